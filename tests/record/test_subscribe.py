"""A subscriber, and everything that may come over the wire."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from tests.support.frame_records import make_records
from tests.support.publishing import Pump, joined

from onlooker.record.curve_keys import KeyPair
from onlooker.record.log.schema import id_of
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.publish import Publisher
from onlooker.record.sinks.publish_messages import (
    AT,
    END,
    INBOX,
    KINDS,
    Message,
    PublishError,
    pack_newest,
    unpack,
)
from onlooker.record.subscribe import OtherLog, Subscriber, subscribe
from onlooker.rekognition.shapes import RecordError, StreamRecord, encode

Records = Callable[..., list[StreamRecord]]

ENDPOINT = "tcp://127.0.0.1:9"


LOG = b"log" * 5 + b"1"


class Scripted(Subscriber):
    """A subscriber that is sent `messages`, of LOG unless they say so, and then nothing."""

    def __init__(self, messages: Sequence[Sequence[bytes]], since: int | None) -> None:
        super().__init__(ENDPOINT, (), since, 1.0, None, None)
        self._messages = iter(messages)

    def _receive(self, end: float) -> Message:
        for message in self._messages:
            parts = message if isinstance(message, Message) else (*message, LOG)
            own = [INBOX + self._inbox if part == b"INBOX" else part for part in parts]
            return self._of_this_log(unpack(own))
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
    st.sampled_from(["video", "b"]), st.integers(0, 9) | st.integers(2**62, 2**63 - 2)
)
PARTS = (
    st.binary(max_size=20)
    | st.sampled_from(BODIES)
    | (PACKED | ANSWERS | SEQUENCES).map(msgspec.msgpack.encode)
    | SEQUENCES.map(pack_newest)
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
        (AT, msgspec.msgpack.encode({"video": 1})),
        (AT, msgspec.msgpack.encode([3, b"", {}])),
        (AT, pack_newest({"video": -1})),
        (AT, pack_newest({"video": 2**63 - 1})),
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
    asked = (AT, pack_newest({"video": 3}))
    with pytest.raises(RecordError, match=cause):
        list(Scripted([asked, answer], 0).records(KINDS))


def test_an_answer_to_somebody_else_or_to_an_earlier_request_is_passed_over() -> None:
    sequences, answer = (
        pack_newest({"video": 2}),
        msgspec.msgpack.encode([1, BODIES[:2]]),
    )
    late = (b"INBOX", msgspec.msgpack.encode([0, BODIES[2:]]))
    found = received([late, (AT, sequences), late, (INBOX + b"x", b"?"), (b"INBOX", answer), late])
    assert [record.Sequence for record in found] == [1, 2]


def test_since_is_a_sequence() -> None:
    for since in (-1, {"video": -1}):
        with pytest.raises(ValueError, match="since is a Sequence: 0"):
            subscribe(ENDPOINT, since=since)


def test_log_is_the_id_of_one() -> None:
    with pytest.raises(ValueError, match="log is 'mine'; the id of a log has 32 hex digits"):
        subscribe(ENDPOINT, log="mine")


AT_2 = (AT, pack_newest({"video": 2}))
ANSWER_2 = (b"INBOX", msgspec.msgpack.encode([1, BODIES[:2]]))


@pytest.mark.parametrize(
    ("script", "whole"),
    [
        ([AT_2, ANSWER_2, Message(AT, pack_newest({"video": 3}), bytes(16))], 2),
        ([AT_2, ANSWER_2, Message(b"video/text", BODIES[2], bytes(16))], 2),
        ([AT_2, Message(*ANSWER_2, bytes(16))], 0),
        ([AT_2, Message(AT, pack_newest({}), bytes(16)), ANSWER_2], 0),
        ([(b"video/text", BODIES[0]), Message(*AT_2, bytes(16))], 0),
    ],
    ids=["how far it is", "a record", "an answer", "before the answer", "before it joined"],
)
def test_a_log_that_is_replaced_is_an_error_and_no_silence(
    script: list[tuple[bytes, ...]], whole: int
) -> None:
    """Its Sequences go on where those of the one before ended: nothing else would show it."""
    found: list[StreamRecord] = []
    with pytest.raises(OtherLog, match=r"the log 0{32}, and your Sequences .*6c6f67"):
        found.extend(Scripted(script, 0).records(KINDS))
    assert [record.Sequence for record in found] == [1, 2][:whole]


def test_a_log_that_is_replaced_while_a_gap_is_filled(tmp_path: Path, records: Records) -> None:
    """ZeroMQ reconnects unseen, and sends the next request to whoever publishes by then."""
    endpoint = f"ipc://{tmp_path}/records"
    with ThreadPoolExecutor() as pool:
        with zmq.Context() as context, context.socket(zmq.XPUB) as before:
            before.bind(endpoint)
            listening = pool.submit(list, subscribe(endpoint, since=0, timeout=60))
            while (message := before.recv()) != b"\1" + AT:
                pass
            before.send_multipart([AT, pack_newest({"video": 250}), LOG])
            while not message.startswith(b"?"):
                message = before.recv()
        with Writer(tmp_path / "new.db") as new:
            new.append(records(400))
            with Pump(new.path, endpoint, position=0), pytest.raises(OtherLog):
                listening.result()


def test_a_position_is_refused_by_another_log(
    tmp_path: Path, log: Writer, records: Records
) -> None:
    """As after the log was deleted: its Sequences begin at 1 again."""
    log.append(records(3))
    with Pump(log.path, f"ipc://{tmp_path}/one", position=0) as one:
        listening = subscribe(one.endpoint, since=0, timeout=60)
        assert listening.log is None
        last = [next(listening).Sequence for _ in range(2)][-1]
        position = listening.log
        assert position == log.ask(id_of).hex()
        listening.close()
        again = subscribe(one.endpoint, since=last, timeout=60, log=position)
        assert next(again).Sequence == 3
        again.close()
    with Writer(tmp_path / "new.db") as new:
        new.append(records(9))
    with Pump(tmp_path / "new.db", f"ipc://{tmp_path}/two", position=0) as two:
        with pytest.raises(OtherLog, match=f"your Sequences are of the log {position}"):
            next(subscribe(two.endpoint, since=last, timeout=60, log=position))
        assert next(subscribe(two.endpoint, since=0, timeout=60)).Sequence == 1


@pytest.fixture(params=["ipc", "tcp"])
def publisher(request: pytest.FixtureRequest, log: Writer, tmp_path: Path) -> Iterator[Publisher]:
    endpoint = f"ipc://{tmp_path}/records" if request.param == "ipc" else "tcp://127.0.0.1:*"
    with Publisher(log, endpoint) as opened:
        yield opened


class TestSubscribe:
    def test_no_publisher(self, tmp_path: Path) -> None:
        with pytest.raises(TimeoutError, match=r"records: no record in 0.1 s"):
            next(subscribe(f"ipc://{tmp_path}/records", timeout=0.1))

    def test_silent_publisher(self, publisher: Publisher) -> None:
        with pytest.raises(TimeoutError, match=r"no record in 0\.2 s"):
            next(subscribe(publisher.endpoint, timeout=0.2))

    def test_waits_for_a_publisher_that_comes_later(
        self, tmp_path: Path, log: Writer, records: Records
    ) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        waiting = subscribe(endpoint, timeout=60)
        with Publisher(log, endpoint) as publisher:
            joined(publisher)
            log.append(records(1))
        assert list(waiting) == records(1)

    def test_messages_of_somebody_else(self, tmp_path: Path) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        with zmq.Context() as context, context.socket(zmq.XPUB) as peer:
            peer.setsockopt(zmq.XPUB_VERBOSE, 1)
            peer.bind(endpoint)
            for message in ([b"weather", b""], [b"a/face", b"{}", b"more"], [b"\xff\xfe"]):
                listening = subscribe(endpoint, timeout=60)
                while peer.recv() != b"\1" + AT:  # each listener's last subscription
                    pass
                peer.send_multipart(message)
                with pytest.raises(RecordError, match="not a message of Onlooker"):
                    next(listening)

    def test_bad_endpoint(self) -> None:
        with pytest.raises(PublishError, match="nonsense: not an endpoint; write tcp"):
            subscribe("nonsense")

    def test_what_is_no_record(self, tmp_path: Path) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        with zmq.Context() as context, context.socket(zmq.XPUB) as peer:
            peer.setsockopt(zmq.XPUB_VERBOSE, 1)
            peer.bind(endpoint)
            listening = subscribe(endpoint, timeout=60)
            while peer.recv() != b"\1" + AT:
                pass
            peer.send_multipart([AT, pack_newest({}), LOG])
            peer.send_multipart([b"video/face", b"{}", LOG])
            with pytest.raises(RecordError, match="not a stream record"):
                next(listening)


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="kind 'faces' is none of face, face"):
        subscribe("tcp://127.0.0.1:5555", kinds=("faces",))


@pytest.mark.parametrize("case", ["no publisher", "no key", "wrong server", "unknown"])
def test_a_subscriber_without_messages_warns_once(
    case: str, log: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("onlooker.record.subscribe.SILENCE_SECONDS", 0.3)
    pairs = [KeyPair(*(half.decode() for half in zmq.curve_keypair())) for _ in range(3)]
    pair, client, unknown = pairs
    with Publisher(log, "tcp://127.0.0.1:*", None, pair, frozenset({client.public})) as publisher:
        endpoint = "tcp://127.0.0.1:9" if case == "no publisher" else publisher.endpoint
        server = {"no key": None, "wrong server": unknown.public}.get(case, pair.public)
        mine = {"no key": None, "unknown": unknown}.get(case, client)
        with pytest.raises(TimeoutError):
            list(subscribe(endpoint, since=0, timeout=2, keys=mine, server=server))
    [warning] = [each.getMessage() for each in caplog.records if each.name.endswith("subscribe")]
    assert (
        "no publisher is listening" if case == "no publisher" else "refuses this subscriber"
    ) in warning
