"""Decoding: from a container's packets to frames, and to damage where one is lost."""

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from onlooker.media.deinterlace import Deinterlacer
from onlooker.media.timeline import MAX_REORDERED, StampOrder


@dataclass(frozen=True, slots=True)
class Damage:
    """The place of a frame that cannot be decoded."""

    pts: int | None
    cause: str


def decoded(
    container: InputContainer, stream: VideoStream, deinterlacer: Deinterlacer | None = None
) -> Iterator[VideoFrame | Damage]:
    """Yield the frames of `stream` in presentation order, and Damage for those that are lost.

    A packet that the decoder refuses, or a frame that it marks as corrupt, is Damage in its place;
    decoding continues after it. A container that becomes unreadable is Damage at the end. No
    content of the file makes it raise.
    """
    stream.codec_context.thread_count = 1  # least CPU time; several processes keep the cores busy
    deinterlacer = deinterlacer or Deinterlacer("off")
    for item in _in_order(_in_decoding_order(container, stream)):
        if isinstance(item, VideoFrame) and not item.is_corrupt:
            yield from deinterlacer(item)
            continue
        yield from deinterlacer.flush()
        if isinstance(item, VideoFrame):
            item = Damage(item.pts, "damaged: part of the image is missing")
        yield item
    yield from deinterlacer.flush()


def _in_order(items: Iterator[VideoFrame | Damage]) -> Iterator[VideoFrame | Damage]:
    """Yield items in presentation order.

    The decoder's order is right but for damage: after a refused packet, and up to the next key
    frame, MAX_REORDERED frames are reordered here.
    """
    held: list[tuple[float, int, VideoFrame | Damage]] = []
    depth, time, yielded = 0, -math.inf, -math.inf
    for number, item in enumerate(items):
        time = time if item.pts is None else item.pts
        if isinstance(item, Damage):
            depth = MAX_REORDERED
        elif item.key_frame:
            depth = 0
            if time < yielded:  # the clock has jumped back: it is not before what is held
                while held:
                    yield heapq.heappop(held)[2]
        heapq.heappush(held, (time, number, item))
        while len(held) > depth:
            yielded, _, ready = heapq.heappop(held)
            yield ready
    while held:
        yield heapq.heappop(held)[2]


def _in_decoding_order(
    container: InputContainer, stream: VideoStream
) -> Iterator[VideoFrame | Damage]:
    """Yield frames as the decoder returns them, and Damage for packets that it refuses."""
    packets, stamps = container.demux(stream), StampOrder()
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            yield from _attempt(lambda: stream.codec_context.decode(None), None, stamps)
            yield Damage(None, f"the rest of the video cannot be read ({error.strerror})")
            return
        stamps.sent(packet.pts)
        yield from _attempt(packet.decode, packet.pts, stamps)


def _attempt(
    decode: Callable[[], list[VideoFrame]], pts: int | None, stamps: StampOrder
) -> Iterator[VideoFrame | Damage]:
    try:
        for frame in decode():
            stamp = stamps.of(frame.pts, frame.pict_type)
            frame.pts = frame.dts if stamp is None else stamp
            yield frame
    except av.error.FFmpegError as error:
        stamps.refused(pts)
        yield Damage(pts, f"damaged: {error.strerror}")
