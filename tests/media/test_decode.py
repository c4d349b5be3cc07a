"""The order of decoded frames, and damage in its place."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from tests.support import films

from onlooker.media.decode import Damage, _in_order, decoded
from onlooker.media.timeline import MAX_REORDERED


class Packet:
    """A packet that yields frames, or an error."""

    def __init__(self, pts: int | None, *frames: int) -> None:
        self.pts, self.frames = pts, frames

    def decode(self) -> list[VideoFrame]:
        if not self.frames:
            raise av.error.InvalidDataError(1, "bad packet")
        return [at(pts) for pts in self.frames]


class Container:
    """A container of packets in decoding order; None is a read error."""

    def __init__(self, *packets: Packet | None) -> None:
        self.packets = packets
        self.read = 0

    def demux(self, stream: object) -> Iterator[Packet]:
        for packet in self.packets:
            self.read += 1
            if packet is None:
                raise av.error.InvalidDataError(1, "bad container")
            yield packet


class Stream:
    """A decoder that still holds a frame."""

    def __init__(self) -> None:
        self.codec_context, self.thread_count = self, 0

    def decode(self, packet: None) -> list[VideoFrame]:
        return [at(99)]


def at(pts: int) -> VideoFrame:
    frame = VideoFrame(16, 16, "yuv420p")
    frame.pts = pts
    return frame


def order(*packets: Packet | None) -> list[str]:
    """Return the times of the decoded items, damage in brackets."""
    items = decoded(Container(*packets), Stream())  # type: ignore[arg-type]
    return [f"({item.pts})" if isinstance(item, Damage) else str(item.pts) for item in items]


def test_damage_is_in_the_place_of_its_frame() -> None:
    # 3 is decoded first because 1 and 2 depend on it; without it, 4 comes out too early.
    packets = Packet(0, 0), Packet(3), Packet(4, 4), Packet(1, 1), Packet(2, 2)
    assert order(*packets) == ["0", "1", "2", "(3)", "4"]


def test_no_more_frames_are_held_than_necessary() -> None:
    packets = [Packet(0), *(Packet(pts, pts) for pts in range(1, 100))]
    container = Container(*packets)
    first = next(decoded(container, Stream()))  # type: ignore[arg-type]
    assert first.pts == 0
    assert container.read == MAX_REORDERED + 1


def test_damage_without_a_time_stays_in_decoding_order() -> None:
    assert order(Packet(0, 0), Packet(None), Packet(1, 1)) == ["0", "(None)", "1"]


def test_damage_at_the_end_is_reported() -> None:
    assert order(Packet(0, 0), Packet(1), Packet(2)) == ["0", "(1)", "(2)"]


def test_held_frames_come_out_after_a_read_error() -> None:
    assert order(Packet(0, 0), None, Packet(1, 1)) == ["0", "99", "(None)"]


def test_a_clock_that_jumps_back_at_a_key_frame_is_no_disorder() -> None:
    # After damage frames are sorted; the second recording begins at 1 again all the same.
    frames = [SimpleNamespace(pts=pts, key_frame=pts in (1, 2)) for pts in (2, 6, 7, 1, 3)]
    items = [frames[0], Damage(5, "damaged"), *frames[1:]]
    assert [item.pts for item in _in_order(iter(items))] == [2, 5, 6, 7, 1, 3]  # type: ignore[arg-type]


def test_the_decoder_has_one_thread(tmp_path: Path) -> None:
    with av.open(str(films.write(tmp_path / "video.mp4", count=3))) as container:
        assert isinstance(container, InputContainer)
        stream = container.streams.video[0]
        next(decoded(container, stream))
        assert stream.codec_context.thread_count == 1
