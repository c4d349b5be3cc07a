"""The analysed frames of a stream for whoever watches it: images with the records made of them.

The process that records a frame has its pixels and all that is known about it. It publishes both on
a socket in the run's directory. ZeroMQ tells it who has subscribed to what, so that an image is
encoded only while somebody watches that stream, and nothing is done otherwise.

Topics: `STREAM`, a zero byte, and "record" or "picture". Parts of a message: topic, record as JSON,
place of the image as JSON, JPEG. The last one is empty for a frame that has no image.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Self

import cv2
import msgspec
import numpy as np
import simplejpeg
import zmq

from onlooker.media import area
from onlooker.media.picture import Pixels, Planes
from onlooker.media.planes import stretched
from onlooker.rekognition.shapes import StreamRecord, encode
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.picture import Picture

MAX_SIDE = 1280
"""Long side of an image in pixels; larger ones are made smaller."""
QUALITY = 75
"""Of the JPEG."""
MAX_QUEUED = 8
"""Messages that wait for one who watches; further ones are dropped."""

CHROMA = ((np.arange(256) - 128) * (255 / 224) + 128).round().clip(0, 255).astype(np.uint8)
"""Colour difference of limited range, 16 to 240, stretched to 0 to 255."""

logger = logging.getLogger(__name__)


class Place(msgspec.Struct, frozen=True):
    """The time of a frame, and the part of it that the image shows."""

    time: float
    """Seconds since 1970 if the stream is live, or of the video."""
    region: tuple[float, float, float, float]
    """Left, top, width and height as ratios of the frame."""


def endpoint(run: Path) -> str:
    """Return the endpoint of the run in directory `run`."""
    return f"ipc://{run}/live"


def topic(stream: str, kind: str) -> bytes:
    """Return the topic of a stream's messages; kind: "record" or "picture"."""
    return f"{stream}\0{kind}".encode()


class LivePictures:
    """The publisher of the run in directory `run`. Raises zmq.ZMQError if it cannot bind."""

    def __init__(self, run: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = 0
        self._socket.sndhwm = MAX_QUEUED
        self._wanted: set[bytes] = set()
        try:
            self._socket.bind(endpoint(run))
        except BaseException:
            self.close()
            raise

    def show(self, frame: Frame, record: StreamRecord, picture: "Picture") -> None:
        """Publish a frame to those who watch its stream."""
        self._take_subscriptions()
        wanted = topic(frame.stream, "picture"), topic(frame.stream, "record")
        if self._wanted.isdisjoint(wanted):
            return
        jpeg, region = b"", (0.0, 0.0, 1.0, 1.0)
        if isinstance(picture, Planes) and frame.error is None:
            left, top = frame.origin
            region = (
                left / frame.width,
                top / frame.height,
                picture.width / frame.width,
                picture.height / frame.height,
            )
            if wanted[0] in self._wanted:
                jpeg = encoded(picture)
        time = frame.started + frame.time
        parts = [encode(record), msgspec.json.encode(Place(time, region))]
        for each, image in zip(wanted, (jpeg, b""), strict=True):
            if each in self._wanted:
                self._socket.send_multipart([each, *parts, image], zmq.NOBLOCK)

    def _take_subscriptions(self) -> None:
        while self._socket.poll(0):
            message = self._socket.recv()
            if message[:1] == b"\1":
                self._wanted.add(message[1:])
            else:
                self._wanted.discard(message[1:])

    def close(self) -> None:
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encoded(picture: Planes) -> bytes:
    """Return the JPEG of an image, at most MAX_SIDE pixels long."""
    y, u, v = picture.y, picture.u, picture.v
    scale = MAX_SIDE / max(picture.width, picture.height)
    if scale < 1:
        width, height = round(picture.width * scale), round(picture.height * scale)
        half = (width + 1) // 2, (height + 1) // 2
        y, u, v = _shrunk(y, (width, height)), _shrunk(u, half), _shrunk(v, half)
    planes = stretched(y), cv2.LUT(u, CHROMA), cv2.LUT(v, CHROMA)
    return bytes(simplejpeg.encode_jpeg_yuv_planes(*planes, quality=QUALITY))


def _shrunk(plane: Pixels, size: tuple[int, int]) -> Pixels:
    if plane.shape == (2 * size[1], 2 * size[0]):  # OpenCV has a kernel of its own for it
        return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
    return area.resize(plane, *size)


def open_live(run: Path | None) -> LivePictures | None:
    """Return the publisher of a run, or None: frames are recorded whether or not they are shown."""
    if run is None:
        return None
    try:
        return LivePictures(run)
    except zmq.ZMQError as error:
        logger.warning("frames cannot be watched run=%s cause=%s", run, error)
        return None
