"""A source's side of the protocol; tests/stream/test_hub.py has both sides against each other."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from tests.support.frames import frame

from onlooker.config.schema import SourceConfig
from onlooker.media.picture import Planes
from onlooker.stream import messages
from onlooker.stream.feeds import Feed
from onlooker.stream.messages import Counts
from onlooker.stream.source import Source

VIDEO = SourceConfig(url="a.mp4", policy="every")


def planes(width: int, height: int) -> Planes:
    chroma = np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)
    return Planes(np.zeros((height, width), np.uint8), chroma, chroma)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    feed = Feed(stream="a", source=VIDEO, digest="d", start=5, frames=9, width=4, height=4)
    return Source(feed, f"{tmp_path}/source-0.3", window=2, session=3)


def start(source: Source, index: int, in_flight: tuple[int, ...] = ()) -> list[messages.ToHub]:
    sends = source.receive(messages.Start(source.session, index, in_flight, Counts(index, index)))
    return [message for message, _ in sends]


def test_it_starts_where_the_hub_says(source: Source) -> None:
    assert source.registration(None) == messages.Open("a", 3, "every", 5, (), 9, Counts(5, 5), None)
    assert not source.ready
    assert start(source, 7) == []
    assert source.ready
    assert source.next == 7


def test_it_waits_while_the_ring_is_full(source: Source) -> None:
    start(source, 5)
    [(first, data)] = source.offer(frame("a", 5), planes(4, 4), 0.1, 0.0)
    assert isinstance(first, messages.Offer)
    assert messages.unpack_frame(data) == frame("a", 5)
    source.offer(frame("a", 6), planes(4, 4), 0.2, 0.0)
    assert not source.ready
    assert source.receive(messages.Free(3, 5, Counts(6, 6), True)) == []
    assert source.ready
    [(third, _)] = source.offer(frame("a", 7), planes(4, 4), 0.3, 0.0)
    assert isinstance(third, messages.Offer)
    assert first.slot is not None
    assert third.slot is not None
    assert third.slot.slot == first.slot.slot
    assert third.slot.generation > first.slot.generation


def test_a_new_hub_is_given_the_state_of_the_old_one(source: Source) -> None:
    start(source, 5)
    source.offer(frame("a", 5), planes(4, 4), 0.1, 0.0)
    source.offer(frame("a", 6), planes(4, 4), 0.2, 0.0)
    source.receive(messages.Free(3, 5, Counts(7, 6), True))
    assert source.registration(8) == messages.Open("a", 3, "every", 7, (6,), 9, Counts(7, 6), 8)
    [again] = start(source, 6)
    assert isinstance(again, messages.Offer)
    assert again.index == 6


def test_a_new_hub_does_not_end_the_motion_gate(tmp_path: Path) -> None:
    """What the hub before it had settled without a word is not waited for."""
    camera = SourceConfig(url="rtsp://door", policy="live", motion_threshold=0.5)
    source = Source(Feed(stream="a", source=camera), f"{tmp_path}/source-0.3", 4, 3)
    start(source, 0)
    source.offer(frame("a", 0), planes(4, 4), 0.1, 0.0)
    source.receive(messages.Free(3, 0, Counts(1, 1), True))
    bright = Planes(np.full((4, 4), 200, np.uint8), *(np.zeros((2, 2), np.uint8),) * 2)
    source.offer(frame("a", 1), bright, 0.1, 0.0)
    start(source, 2)
    [(_, data)] = source.offer(frame("a", 2), planes(4, 4), 0.1, 0.0)
    assert messages.unpack_frame(data).same == 0


def test_no_frame_repeats_one_of_an_earlier_connection(tmp_path: Path) -> None:
    """Its record has a RecordId of another epoch, by which the recorder would not find it."""
    camera = SourceConfig(url="rtsp://door", policy="live", motion_threshold=0.5)
    source = Source(Feed(stream="a", source=camera), f"{tmp_path}/source-0.3", 4, 3)
    start(source, 0)
    found = []
    for index, epoch in enumerate(("first", "first", "second", "second")):
        one = replace(frame("a", index), epoch=epoch)
        [(_, data)] = source.offer(one, planes(4, 4), 0.1, 0.0)
        found.append(messages.unpack_frame(data).same)
        source.receive(messages.Free(3, index, Counts(index + 1, index + 1), True))
    assert found == [None, 0, None, 2]


def test_frames_that_the_hub_still_has_are_kept_and_not_offered_again(source: Source) -> None:
    start(source, 5)
    for index in (5, 6):
        source.offer(frame("a", index), planes(4, 4), 0.1, 0.0)
    assert start(source, 7, in_flight=(6,)) == []
    assert source.registration(None).held == (6,)
    assert source.ready


def test_the_end_is_said_again_too(source: Source) -> None:
    start(source, 5)
    assert source.end("the disk went away") == [
        (messages.End("a", 3, 5, "the disk went away"), b"")
    ]
    assert not source.ready
    assert start(source, 5) == [messages.End("a", 3, 5, "the disk went away")]


def test_a_larger_image_gets_a_larger_ring(source: Source) -> None:
    start(source, 5)
    slots = []
    for index, size in ((5, (4, 4)), (6, (8, 6)), (7, (4, 4)), (8, (2, 2))):
        assert source.ready
        [(offer, _)] = source.offer(frame("a", index), planes(*size), 0.1, 0.0)
        assert isinstance(offer, messages.Offer)
        assert offer.slot is not None
        slots.append(offer.slot)
        source.receive(
            messages.Free(3, index - 1, Counts(index, index), True)
        )  # always one on its way
    assert slots[0].ring.endswith("source-0.3.4x4.ring")
    assert {slot.ring for slot in slots[1:]} == {slots[0].ring.replace("4x4", "8x6")}
    assert slots[1].slot == slots[3].slot != slots[2].slot


def test_no_room_for_the_ring_is_an_error(tmp_path: Path) -> None:
    feed = Feed(stream="a", source=VIDEO, digest="d", width=4, height=4)
    source = Source(feed, f"{tmp_path}/nowhere/source-0.1", window=2, session=3)
    start(source, 0)
    with pytest.raises(OSError, match="nowhere"):
        source.offer(frame("a", 0), planes(4, 4), 0.1, 0.0)


def test_a_message_for_its_predecessor_is_ignored(source: Source) -> None:
    assert source.receive(messages.Start(2, 9, (), Counts(9, 9))) == []
    assert not source.started
    assert source.registration(None).counts == Counts(5, 5)
