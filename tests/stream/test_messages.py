"""The messages and their encoding."""

from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.stream import messages
from onlooker.stream.messages import Counts, Slot
from onlooker.types import Frame, TextLine, TextQuad, Word

NAMES = st.text(max_size=20)
NUMBERS = st.integers(0, 2**63 - 1)
SECONDS = st.floats(0, 1e9)
CAUSES = st.none() | st.text(max_size=50)
BOOLS = st.booleans()
DROPS = st.none() | st.sampled_from(get_args(messages.Drop))
SLOTS = st.none() | st.builds(Slot, NAMES, NUMBERS, NUMBERS)
COUNTS = st.builds(
    Counts,
    NUMBERS,
    NUMBERS,
    st.dictionaries(st.sampled_from(messages.FAILURES), NUMBERS),
    st.dictionaries(st.sampled_from(get_args(messages.Drop)), NUMBERS),
)

TO_HUB = st.one_of(
    st.builds(
        messages.Open,
        NAMES,
        NUMBERS,
        st.sampled_from(["every", "live"]),
        NUMBERS,
        st.lists(NUMBERS, max_size=4).map(tuple),
        st.none() | NUMBERS,
        COUNTS,
        st.none() | NUMBERS,
    ),
    st.builds(
        messages.Offer, NAMES, NUMBERS, NUMBERS, SLOTS, CAUSES, DROPS, BOOLS, SECONDS, SECONDS
    ),
    st.builds(messages.Health, NAMES, NUMBERS, NAMES, NUMBERS),
    st.builds(messages.Forget, NAMES, NUMBERS),
    st.builds(messages.End, NAMES, NUMBERS, NUMBERS, CAUSES),
    st.builds(messages.Ready, NAMES),
    st.builds(messages.Result, NUMBERS, CAUSES, SECONDS, SECONDS, SECONDS),
    st.just(messages.Register()),
    st.builds(messages.Heartbeat, NAMES),
    st.builds(messages.Broken, NAMES),
    st.builds(messages.Died, NAMES),
    st.just(messages.StatusRequest()),
)
FROM_HUB = st.one_of(
    st.builds(messages.Start, NUMBERS, NUMBERS, st.lists(NUMBERS, max_size=4).map(tuple), COUNTS),
    st.builds(messages.Free, NUMBERS, NUMBERS, COUNTS, BOOLS),
    st.builds(messages.Job, NUMBERS, SLOTS, CAUSES, st.none() | st.binary(max_size=50)),
    st.builds(messages.Release, NAMES),
    st.just(messages.RegisterAgain(3)),
)


@given(TO_HUB, st.binary(max_size=100))
def test_messages_to_the_hub_arrive_unchanged(message: messages.ToHub, frame: bytes) -> None:
    assert messages.unpack_to_hub(messages.pack(message, frame)) == (message, frame)


@given(FROM_HUB, st.binary(max_size=100))
def test_messages_from_the_hub_arrive_unchanged(message: messages.FromHub, frame: bytes) -> None:
    assert messages.unpack_from_hub(messages.pack(message, frame)) == (message, frame)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_other_bytes_are_an_error(parts: list[bytes]) -> None:
    with pytest.raises(messages.MessageError):
        messages.unpack_to_hub(parts)
    with pytest.raises(messages.MessageError):
        messages.unpack_from_hub(parts)


def test_each_direction_has_its_own_messages() -> None:
    with pytest.raises(messages.MessageError, match="not a message"):
        messages.unpack_to_hub(messages.pack(messages.RegisterAgain(3)))
    with pytest.raises(messages.MessageError, match="not a message"):
        messages.unpack_from_hub(messages.pack(messages.StatusRequest()))


def test_a_frame_arrives_to_the_last_bit() -> None:
    quad = ((0.1, 1 / 3), (2e300, 0.0), (-0.0, 5e-324), (7.0, 8.0))
    word = Word(text="Größe 大", score=1 / 7, quad=quad)
    frame = Frame(
        stream="lobby",
        epoch="e",
        index=3,
        pts=-12,
        time_base=(1, 90000),
        fragment=0,
        fragment_pts=-20,
        started=1.5e9,
        width=1920,
        height=1080,
        quads=(TextQuad(quad=quad, score=0.1),),
        lines=(TextLine(text="Größe 大", score=1 / 7, quad=quad, words=(word,)),),
        error="no",
    )
    same = messages.unpack_frame(messages.pack_frame(frame))
    assert same == frame
    assert messages.pack_frame(same) == messages.pack_frame(frame)
    assert same.time == float(Fraction(-12, 90000))


def test_other_bytes_are_no_frame() -> None:
    with pytest.raises(messages.MessageError, match="not a frame"):
        messages.unpack_frame(b"\x80")


def test_the_status_adds_up_its_streams() -> None:
    counts = Counts(received=9, done=4, failed={"error": 2}, dropped={"superseded": 1})
    stream = messages.StreamStatus("a", counts, "source-0.1", 2, None, False, None, 0.5)
    status = messages.Status(streams=(stream, stream))
    assert messages.unpack_from_hub(messages.pack(status)) == (status, b"")
    assert (status.done, status.failed, status.settled) == (8, 4, 14)
