"""From a container's packets to pictures: decoding, damage, and planes that are upright."""

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
"""What `av.open` is given for titles that are not UTF-8. PyAV takes them as they are from 19 on,
which needs Python 3.12."""
REORDERED = 16
"""Most pictures that H.264 and HEVC hold back to put them in order. Behind a refused packet, and up
to the next key frame, the decoder's order cannot be trusted: so many are held here instead."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A place in the video where a picture should be and cannot be decoded."""

    pts: int | None
    cause: str


def pictures(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | Damage]:
    """All pictures of `stream` in presentation order, and what cannot become one.

    A packet that the decoder refuses, or a picture that it marks as corrupt, is damage in its
    place; decoding goes on behind it. A container that cannot be read on is damage at the end.
    Never raises for what is in the file.
    """
    stream.codec_context.thread_count = 1  # cheapest by CPU: cores are kept busy by processes
    held: list[tuple[float, int, VideoFrame | Damage]] = []
    depth, time = 0, -math.inf
    for number, item in enumerate(_decoded(container, stream)):
        time = time if item.pts is None else item.pts
        heapq.heappush(held, (time, number, item))
        if isinstance(item, Damage):
            depth = REORDERED
        elif item.key_frame:
            depth = 0
        while len(held) > depth:
            yield _whole(heapq.heappop(held)[2])
    while held:
        yield _whole(heapq.heappop(held)[2])


def _whole(item: VideoFrame | Damage) -> VideoFrame | Damage:
    if isinstance(item, VideoFrame) and item.is_corrupt:
        return Damage(item.pts, "damaged: part of the picture is missing")
    return item


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | Damage]:
    """Pictures as the decoder hands them out and, between them, packets that it refused."""
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
    """Width and height of a picture as it is meant to be seen."""
    return (frame.height, frame.width) if _turns(frame) % 2 else (frame.width, frame.height)


class Upright:
    """Turns decoded pictures into planes as they are meant to be seen."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # keeps its tables from picture to picture

    def __call__(self, frame: VideoFrame) -> Planes:
        """I420 planes of limited range, turned by the video's rotation.

        The planes are the decoder's own memory where nothing had to be changed: do not write.
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
    """Quarter turns against the clock that a phone held sideways asks for."""
    return round(frame.rotation / 90) % 4


_TURNS = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


def _turned(plane: Pixels, turns: int) -> Pixels:
    code = _TURNS[turns]
    return plane if code is None else cast(Pixels, cv2.rotate(plane, code))


def _pixels(plane: VideoPlane) -> Pixels:
    """A plane's pixels without the padding at the end of its rows."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
