"""From a container's packets to pictures: decoding, damage, and planes that are upright."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from onlooker.media.image import Pixels, Planes


@dataclass(frozen=True, slots=True)
class Damage:
    """A place in the film where a picture should be and cannot be decoded."""

    pts: int | None
    cause: str


def pictures(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | Damage]:
    """All pictures of `stream` in presentation order, and what cannot become one.

    A packet that the decoder refuses, or a picture that it marks as corrupt, is damage in its
    place; decoding goes on behind it. A container that cannot be read on is damage at the end.
    Never raises for what is in the file.
    """
    stream.codec_context.thread_count = 1  # cheapest by CPU: cores are kept busy by processes
    waiting: list[Damage] = []
    for item in _decoded(container, stream):
        if isinstance(item, Damage):
            waiting.append(item)
            continue
        # Packets come in decoding order: damage waits until the pictures before it are out.
        due = [damage for damage in waiting if _before(damage, item)]
        waiting = [damage for damage in waiting if not _before(damage, item)]
        yield from due
        yield item
    yield from waiting


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | Damage]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            yield from _whole(stream.codec_context.decode(None))
            yield Damage(None, f"the rest of the film cannot be read ({error.strerror})")
            return
        try:
            yield from _whole(packet.decode())
        except av.error.FFmpegError as error:
            yield Damage(packet.pts, f"damaged: {error.strerror}")


def _whole(frames: list[VideoFrame]) -> Iterator[VideoFrame | Damage]:
    for frame in frames:
        yield (
            Damage(frame.pts, "damaged: part of the picture is missing")
            if frame.is_corrupt
            else frame
        )


def _before(damage: Damage, frame: VideoFrame) -> bool:
    return damage.pts is None or frame.pts is None or damage.pts < frame.pts


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height of a picture as it is meant to be seen."""
    return (frame.height, frame.width) if _turns(frame) % 2 else (frame.width, frame.height)


class Upright:
    """Turns decoded pictures into planes as they are meant to be seen."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # keeps its tables from picture to picture

    def __call__(self, frame: VideoFrame) -> Planes:
        """I420 planes of limited range, turned by the film's rotation.

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
