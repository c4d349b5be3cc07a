"""Sparse decoding: the frames that are wanted, and of the others only what these depend on.

A frame that no other frame refers to is not decoded if it is not wanted, nor is the rest of a group
of pictures behind its last wanted frame. The frames that come out are those of `decode.decoded`, to
the bit.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from onlooker.media.decode import Damage
from onlooker.media.timeline import MAX_REORDERED

CODECS = ("h264", "hevc")
"""Codecs whose decoders can leave frames out to which no other refers."""
CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Containers that give each frame a packet and a time stamp of its own."""
LOOKAHEAD_PACKETS = 256
LOOKAHEAD_BYTES = 16 * 1024 * 1024
"""Packets are read this far ahead to find out whether a wanted frame depends on one; by bytes,
but never less than the order of the frames needs."""
CLOSING_PACKETS = 2 * MAX_REORDERED + 2
"""Packets from a key frame on after which all frames that are shown before it are numbered."""
SLICE, IDR_SLICE = 1, 5
"""Types of units of H.264."""

Choose = Callable[[int], bool]
"""Returns whether the frame of this number is wanted; called for 0, 1, 2 ... in turn."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """The place of a frame that is not wanted."""

    pts: int
    key_frame: bool


@dataclass(slots=True, eq=False)
class _Planned:
    """A packet, and what is known of its frame."""

    packet: "Packet[VideoStream]"
    number: int
    """In the order of decoding."""
    group: int
    """Number of key frames up to it."""
    pts: int
    key: bool
    """Decoding can begin with it."""
    leading: bool = False
    """It is shown before the key frame of its group, and may depend on the group before."""
    known: bool = False
    """Whether it is known if the frame is wanted."""
    wanted: bool = False


def suits(container: InputContainer, stream: VideoStream) -> bool:
    """Return whether a video can be decoded sparsely."""
    return container.format.name in CONTAINERS and stream.codec_context.name in CODECS


def sparsely_decoded(
    container: InputContainer, stream: VideoStream, choose: Choose, threads: int = 1
) -> Iterator[VideoFrame | Damage | Skipped]:
    """Yield an item for each frame in presentation order: Skipped for one that is not wanted.

    A wanted frame that cannot be decoded is Damage. threads: of the decoder.
    """
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "AUTO"
    run = _Run(stream, choose)
    packets, end = container.demux(stream), False
    while not end:
        try:
            packet = next(packets)
            # The last one is empty, and says that there are no more.
            end = packet.size == 0 and packet.pts is None
        except StopIteration:
            end = True
        except av.error.FFmpegError as error:
            yield from run.finish()
            yield Damage(None, f"the rest of the video cannot be read ({error.strerror})")
            return
        if not end:
            run.read(packet)
        yield from run.ready()
    yield from run.finish()


class _Run:
    """One pass over the packets of a video."""

    def __init__(self, stream: VideoStream, choose: Choose) -> None:
        self._decoder = stream.codec_context
        self._choose = choose
        self._read = 0
        self._numbered = 0
        self._keys: deque[_Planned] = deque()
        """Key frames whose groups are not decided on yet, and the one that was read last."""
        self._ahead: deque[_Planned] = deque()
        self._ahead_bytes = 0
        self._unordered: list[tuple[int, int, _Planned]] = []
        self._needed_until: dict[int, int] = {}
        """By group, the number of the last packet that a wanted frame needs."""
        self._order: deque[_Planned] = deque()
        """Frames in presentation order that were not yielded yet."""
        self._results: dict[int, VideoFrame | Damage] = {}
        """By number."""
        self._fed: dict[int, _Planned] = {}
        """By time stamp, the wanted frames in the decoder."""
        self._last_fed = -1
        self._fresh_group = 0
        """The group at which the decoder began after frames were left out."""
        self._ended = False

    def read(self, packet: "Packet[VideoStream]") -> None:
        """Take the next packet of the container."""
        pts = packet.pts if packet.pts is not None else packet.dts
        last = self._keys[-1] if self._keys else None
        group = 0 if last is None else last.group
        key = packet.is_keyframe and (self._decoder.name != "h264" or self._is_idr(packet))
        planned = _Planned(packet, self._read, group + key, pts or 0, key)
        if key:
            self._keys.append(planned)
        else:
            planned.leading = last is not None and planned.pts < last.pts
        self._read += 1
        self._ahead.append(planned)
        self._ahead_bytes += packet.size
        if packet.is_discard:  # it is decoded for others, but never shown
            planned.known = True
            return
        heappush(self._unordered, (planned.pts, planned.number, planned))
        if len(self._unordered) > MAX_REORDERED + 1:
            self._number(heappop(self._unordered)[2])

    def _is_idr(self, packet: "Packet[VideoStream]") -> bool:
        """Return whether no frame behind a key frame of H.264 refers to one before it.

        With intra refresh and open groups a key frame is only a point of recovery. ITU-T H.264,
        table 7-1, and ISO/IEC 14496-15 for the length in front of each unit.
        """
        data, header = memoryview(packet), self._decoder.extradata or b""
        if header[:1] != b"\x01":  # start codes instead of lengths
            return False
        size, at = (header[4] & 3) + 1, 0
        while at + size < len(data):
            kind = data[at + size] & 31
            if kind in (SLICE, IDR_SLICE):
                return kind == IDR_SLICE
            at += size + int.from_bytes(data[at : at + size])
        return False

    def _number(self, planned: _Planned) -> None:
        planned.known = True
        planned.wanted = self._choose(self._numbered)
        self._numbered += 1
        self._order.append(planned)
        if planned.wanted:
            until = self._needed_until
            until[planned.group] = max(until.get(planned.group, -1), planned.number)
            if planned.leading:
                until[planned.group - 1] = planned.number

    def ready(self) -> Iterator[VideoFrame | Damage | Skipped]:
        """Decode what is known well enough; yield the frames whose turn has come."""
        while self._ahead and self._ahead[0].known and self._is_far():
            self._decide(self._ahead[0])
        yield from self._yielded()

    def _is_far(self) -> bool:
        number = len(self._ahead)
        full = number >= LOOKAHEAD_PACKETS or self._ahead_bytes >= LOOKAHEAD_BYTES
        return full and number > CLOSING_PACKETS

    def finish(self) -> Iterator[VideoFrame | Damage | Skipped]:
        """Decode and yield the rest."""
        while self._unordered:
            self._number(heappop(self._unordered)[2])
        self._ended = True
        while self._ahead:
            self._decide(self._ahead[0])
            yield from self._yielded()
        self._drain()
        yield from self._yielded()

    def _decide(self, planned: _Planned) -> None:
        """Decode a packet if a wanted frame may depend on it."""
        self._ahead.popleft()
        self._ahead_bytes -= planned.packet.size
        while len(self._keys) > 1 and self._keys[0].group < planned.group:
            self._needed_until.pop(self._keys.popleft().group - 1, None)
        needed = planned.number <= self._needed_until.get(planned.group, -1)
        if not needed and self._is_closed(planned.group):
            return
        if planned.key and self._last_fed != planned.number - 1:
            self._drain()
            self._fresh_group = planned.group
        if planned.leading and planned.group == self._fresh_group:
            return  # what it depends on was left out, so nothing that is wanted needs it
        self._last_fed = planned.number
        self._feed(planned)

    def _is_closed(self, group: int) -> bool:
        """Return whether it is known of all packets that need this group if they are wanted."""
        following = (key for key in self._keys if key.group == group + 1)
        key = next(following, None)
        return self._ended or (key is not None and self._read - key.number > CLOSING_PACKETS)

    def _feed(self, planned: _Planned) -> None:
        if planned.wanted:
            self._fed[planned.pts] = planned
        self._decoder.skip_frame = "DEFAULT" if planned.wanted else "NONREF"
        try:
            self._take(self._decoder.decode(planned.packet))
        except av.error.FFmpegError as error:
            if self._fed.pop(planned.pts, None) is not None:
                self._results[planned.number] = Damage(planned.pts, f"damaged: {error.strerror}")

    def _take(self, frames: list[VideoFrame]) -> None:
        for frame in frames:
            planned = None if frame.pts is None else self._fed.pop(frame.pts, None)
            if planned is None:
                continue
            if frame.is_corrupt:
                cause = "damaged: part of the image is missing"
                self._results[planned.number] = Damage(planned.pts, cause)
            else:
                self._results[planned.number] = frame
            for pts in [each for each in self._fed if each < planned.pts]:
                self._lose(pts)

    def _lose(self, pts: int) -> None:
        self._results[self._fed.pop(pts).number] = Damage(pts, "damaged: no image comes of it")

    def _drain(self) -> None:
        """Take all frames that are in the decoder, which can then begin with a key frame."""
        if self._last_fed < 0:
            return
        with suppress(av.error.FFmpegError):
            self._take(self._decoder.decode(None))
        for pts in list(self._fed):
            self._lose(pts)
        self._decoder.flush_buffers()

    def _yielded(self) -> Iterator[VideoFrame | Damage | Skipped]:
        while self._order:
            first = self._order[0]
            if not first.wanted:
                yield Skipped(first.pts, first.packet.is_keyframe)
            elif (item := self._results.pop(first.number, None)) is not None:
                yield item
            else:
                return
            self._order.popleft()
