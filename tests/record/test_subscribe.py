"""A subscriber, and everything that may come over the wire."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.record.conftest import make_records

from onlooker.record.sinks.publish_messages import AT, END, INBOX, KINDS, PublishError
from onlooker.record.subscribe import Subscriber, subscribe
from onlooker.rekognition.shapes import RecordError, StreamRecord, encode

Records = Callable[..., list[StreamRecord]]

ENDPOINT = "tcp://127.0.0.1:9"


class Scripted(Subscriber):
    """A subscriber that is sent `messages`, and then nothing."""

    def __init__(self, messages: Sequence[Sequence[bytes]], since: int | None) -> None:
        super().__init__(ENDPOINT, (), since, 1.0, None, None)
        self._messages = iter(messages)

    def _receive(self, end: float) -> list[bytes]:
        for message in self._messages:
            return [INBOX + self._inbox if part == b"INBOX" else part for part in message]
        raise TimeoutError("no more")


def received(messages: Sequence[Sequence[bytes]], since: int | None = 0) -> list[StreamRecord]:
    found: list[StreamRecord] = []
    with pytest.raises(TimeoutError, match="no more"):
        found.extend(Scripted(messages, since).records(KINDS))
    return found


BODIES = [encode(record) for record in make_records(4)]
PACKED = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5) | st.sampled_from(BODIES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
ANSWERS = st.tuples(st.integers(-1, 3), st.lists(st.sampled_from(BODIES), max_size=4))
SEQUENCES = st.dictionaries(
    st.sampled_from(["video", "b"]), st.integers(0, 9) | st.integers(2**62, 2**64 - 1)
)
PARTS = (
    st.binary(max_size=20)
    | st.sampled_from(BODIES)
    | (PACKED | ANSWERS | SEQUENCES).map(msgspec.msgpack.encode)
    | st.integers(-9, 10**30).map(
        lambda number: BODIES[0].replace(b'"Sequence":1,', b'"Sequence":%d,' % number)
    )
)
TOPICS = st.sampled_from([AT, END, b"INBOX", INBOX + b"other", b"video/face+text", b"b/none"])
MESSAGES = st.lists(
    st.tuples(TOPICS | st.binary(max_size=6), PARTS)
    | st.tuples(TOPICS)
    | st.tuples(TOPICS, PARTS, PARTS),
    max_size=8,
)


@given(MESSAGES, st.none() | st.integers(0, 9))
def test_whatever_comes_is_records_or_an_error_of_ours(
    messages: list[tuple[bytes, ...]], since: int | None
) -> None:
    last: dict[str, int] = {}
    try:
        for record in Scripted(messages, since).records(KINDS):
            assert record.Sequence > last.get(record.stream, 0)
            last[record.stream] = record.Sequence
    except (RecordError, PublishError, TimeoutError):
        pass


@pytest.mark.parametrize(
    "message",
    [
        (AT, b"what?"),
        (AT, msgspec.msgpack.encode([1])),
        (AT, msgspec.msgpack.encode({"video": -1})),
        (AT, msgspec.msgpack.encode({"video": 2**63 - 1})),
        (AT,),
        (END, b""),
        (b"video/face", BODIES[0], b""),
        (b"video/faces", BODIES[0]),
        (b"", b""),
    ],
)
def test_a_message_of_somebody_else(message: tuple[bytes, ...]) -> None:
    with pytest.raises(RecordError, match="not a message of Onlooker's publisher"):
        list(Scripted([message], 0).records(KINDS))


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ((b"INBOX", b"what?"), "not an answer"),
        ((b"INBOX",), "not a message"),
        ((b"INBOX", msgspec.msgpack.encode([1, ["text"]])), "not an answer"),
        ((b"INBOX", msgspec.msgpack.encode([1, [b"{}"]])), "not a stream record"),
        ((b"INBOX", msgspec.msgpack.encode([1, [BODIES[3]]])), "none of those asked for"),
        ((b"INBOX", msgspec.msgpack.encode([1, [BODIES[0]] * 2])), "none of those asked for"),
    ],
)
def test_an_answer_that_is_none(answer: tuple[bytes, ...], cause: str) -> None:
    asked = (AT, msgspec.msgpack.encode({"video": 3}))
    with pytest.raises(RecordError, match=cause):
        list(Scripted([asked, answer], 0).records(KINDS))


def test_an_answer_to_somebody_else_or_to_an_earlier_request_is_passed_over() -> None:
    sequences, answer = (
        msgspec.msgpack.encode({"video": 2}),
        msgspec.msgpack.encode([1, BODIES[:2]]),
    )
    late = (b"INBOX", msgspec.msgpack.encode([0, BODIES[2:]]))
    found = received([late, (AT, sequences), late, (INBOX + b"x", b"?"), (b"INBOX", answer), late])
    assert [record.Sequence for record in found] == [1, 2]


def test_since_is_a_sequence() -> None:
    for since in (-1, {"video": -1}):
        with pytest.raises(ValueError, match="since is a Sequence: 0"):
            subscribe(ENDPOINT, since=since)
