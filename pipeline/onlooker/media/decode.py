"""Decoding: from a container's packets to frames, damage, and upright planes."""

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from onlooker.media.picture import Pixels, Planes

TOLERANT: dict[str, Any] = (
    {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}
)
"""Arguments of `av.open` for titles that are not UTF-8. PyAV 19, which needs Python 3.12, accepts
them by itself."""
REORDER_FRAMES = 16
"""Maximum frames that H.264 and HEVC reorder. After a refused packet, and up to the next key frame,
the decoder's order cannot be trusted: this many frames are reordered here instead."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The place of a frame that cannot be decoded."""

    pts: int | None
    cause: str


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | Damage]:
    """Yield the frames of `stream` in presentation order, and Damage for those that are lost.

    A packet that the decoder refuses, or a frame that it marks as corrupt, is Damage in its place;
    decoding continues after it. A container that becomes unreadable is Damage at the end. No
    content of the file makes it raise.
    """
    stream.codec_context.thread_count = 1  # least CPU time; several processes keep the cores busy
    held: list[tuple[float, int, VideoFrame | Damage]] = []
    depth, time = 0, -math.inf
    for number, item in enumerate(_in_decoding_order(container, stream)):
        time = time if item.pts is None else item.pts
        heapq.heappush(held, (time, number, item))
        if isinstance(item, Damage):
            depth = REORDER_FRAMES
        elif item.key_frame:
            depth = 0
        while len(held) > depth:
            yield _whole(heapq.heappop(held)[2])
    while held:
        yield _whole(heapq.heappop(held)[2])


def _whole(item: VideoFrame | Damage) -> VideoFrame | Damage:
    if isinstance(item, VideoFrame) and item.is_corrupt:
        return Damage(item.pts, "damaged: part of the image is missing")
    return item


def _in_decoding_order(
    container: InputContainer, stream: VideoStream
) -> Iterator[VideoFrame | Damage]:
    """Yield frames as the decoder returns them, and Damage for packets that it refuses."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            yield from _attempt(lambda: stream.codec_context.decode(None), None)
            yield Damage(None, f"the rest of the video cannot be read ({error.strerror})")
            return
        yield from _attempt(packet.decode, packet.pts)


def _attempt(
    decode: Callable[[], list[VideoFrame]], pts: int | None
) -> Iterator[VideoFrame | Damage]:
    try:
        yield from decode()
    except av.error.FFmpegError as error:
        yield Damage(pts, f"damaged: {error.strerror}")


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """Return the width and height of a frame after its rotation."""
    return (frame.height, frame.width) if _turns(frame) % 2 else (frame.width, frame.height)


class Upright:
    """A converter from decoded frames to upright planes."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # reuses its tables for all frames

    def __call__(self, frame: VideoFrame) -> Planes:
        """Return I420 planes of limited range, turned by the video's rotation.

        They are the decoder's own memory if nothing had to be changed: do not write to them.
        """
        turns = _turns(frame)
        full_range = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        if full_range or frame.format.name != "yuv420p":
            frame = self._reformatter.reformat(
                frame,
                format="yuv420p",
                src_color_range=ColorRange.JPEG if full_range else None,
                dst_color_range=ColorRange.MPEG,
                threads=1,
            )
        y, u, v = (_turned(_pixels(plane), turns) for plane in frame.planes)
        return Planes(y, u, v)


def _turns(frame: VideoFrame) -> int:
    """Return the counter-clockwise quarter turns that the display matrix demands."""
    return round(frame.rotation / 90) % 4


_TURNS = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


def _turned(plane: Pixels, turns: int) -> Pixels:
    code = _TURNS[turns]
    return plane if code is None else cast(Pixels, cv2.rotate(plane, code))


def _pixels(plane: VideoPlane) -> Pixels:
    """Return a plane's pixels without the padding at the end of its rows."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
