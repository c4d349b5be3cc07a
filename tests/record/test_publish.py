import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from msgspec.structs import replace

from onlooker.record.publish import Publisher, PublishError, kind, subscribe
from onlooker.record.shapes import RecordError, StreamRecord, encode

Records = Callable[..., list[StreamRecord]]


@pytest.fixture(params=["ipc", "tcp"])
def publisher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Publisher]:
    endpoint = f"ipc://{tmp_path}/records" if request.param == "ipc" else "tcp://127.0.0.1:*"
    with Publisher(endpoint) as opened:
        yield opened


def distinct(records: list[StreamRecord]) -> list[StreamRecord]:
    """The records, each with a RecordId of its own."""
    return [replace(each, RecordId=str(uuid.UUID(int=n))) for n, each in enumerate(records)]


class Listener:
    """A subscriber in a thread of its own, until its publisher closes."""

    def __init__(
        self, publisher: Publisher, streams: tuple[str, ...] = (), kinds: tuple[str, ...] = ()
    ) -> None:
        self.heard: list[StreamRecord] = []
        records = subscribe(publisher.endpoint, streams, kinds, timeout=20)
        self._thread = threading.Thread(target=lambda: self.heard.extend(records))
        self._thread.start()
        assert publisher.wait_for_subscriber(10)

    def all(self) -> list[StreamRecord]:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.heard


class TestDelivery:
    def test_everything_in_order_once(self, publisher: Publisher, records: Records) -> None:
        others = records(3, error="damaged"), records(3, faces=0, lines=0)
        sent = distinct([*records(500), *others[0], *others[1]])
        listener = Listener(publisher)
        for record in sent:
            publisher.publish(record)
        publisher.close()
        assert listener.all() == sent
        assert publisher.missed == 0

    def test_messages_are_topic_and_line(self, publisher: Publisher, records: Records) -> None:
        """Any ZeroMQ client can read them, without ours."""
        sent = records(2, stream="door")
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.subscribe("")
            socket.connect(publisher.endpoint)
            assert publisher.wait_for_subscriber(10)
            for record in sent:
                publisher.publish(record)
            received = [socket.recv_multipart() for _ in sent]
        assert received == [[b"door/face+text", encode(record)] for record in sent]

    def test_nobody_listens(self, publisher: Publisher, records: Records) -> None:
        for record in records(10):
            publisher.publish(record)
        assert not publisher.wait_for_subscriber(0.05)
        assert publisher.missed == 0

    def test_two_listeners_and_one_that_leaves(
        self, publisher: Publisher, records: Records
    ) -> None:
        listener = Listener(publisher)
        brief = subscribe(publisher.endpoint, timeout=20)
        time.sleep(0.3)  # a second subscription to the same is not told
        sent = records(200)
        for record in sent[:100]:
            publisher.publish(record)
        assert next(brief) in sent
        brief.close()  # type: ignore[attr-defined]
        for record in sent[100:]:
            publisher.publish(record)
        publisher.close()
        assert listener.all() == sent


class TestTopics:
    def test_kinds(self, records: Records) -> None:
        assert kind(records(1)[0]) == "face+text"
        assert kind(records(1, lines=0)[0]) == "face"
        assert kind(records(1, faces=0)[0]) == "text"
        assert kind(records(1, faces=0, lines=0)[0]) == "none"
        assert kind(records(1, error="damaged")[0]) == "failed"

    @pytest.mark.parametrize(
        ("streams", "kinds", "expected"),
        [
            ((), (), "abcdefgh"),
            (("door",), (), "abcd"),
            (("door", "yard"), (), "abcdefg"),
            ((), ("face",), "abeh"),
            ((), ("text",), "acefh"),
            ((), ("face+text",), "aeh"),
            (("door",), ("text",), "ac"),
            (("door",), ("face", "text"), "abc"),
            (("doo",), (), ""),
            ((), ("none", "failed"), "dg"),
        ],
    )
    def test_filters(
        self,
        publisher: Publisher,
        records: Records,
        streams: tuple[str, ...],
        kinds: tuple[str, ...],
        expected: str,
    ) -> None:
        sent = dict(
            zip(
                "abcdefgh",
                distinct(
                    [
                        *records(1, stream="door"),
                        *records(1, stream="door", lines=0),
                        *records(1, stream="door", faces=0),
                        *records(1, stream="door", faces=0, lines=0),
                        *records(1, stream="yard"),
                        *records(1, stream="yard", faces=0),
                        *records(1, stream="yard", error="damaged"),
                        *records(1, stream="doors"),
                    ]
                ),
                strict=True,
            )
        )
        listener = Listener(publisher, streams, kinds)
        time.sleep(0.1)  # several prefixes come one after the other
        for record in sent.values():
            publisher.publish(record)
        publisher.close()
        heard = listener.all()
        assert [name for name, record in sent.items() if record in heard] == list(expected)
        assert len(heard) == len(expected)

    def test_unknown_kind(self) -> None:
        with pytest.raises(ValueError, match="kind 'faces' is none of face, face"):
            subscribe("tcp://127.0.0.1:5555", kinds=("faces",))


class TestSlowSubscriber:
    def test_holds_the_publisher_back_once(
        self, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onlooker.record.publish.QUEUE", 100)
        many = records(1, faces=60) * 1000  # 30 kB each: more than the queues take
        with (
            Publisher(f"ipc://{tmp_path}/records", patience=0.3) as publisher,
            zmq.Context() as context,
            context.socket(zmq.SUB) as stuck,
        ):
            stuck.rcvhwm = 10
            stuck.linger = 0
            stuck.subscribe("")
            stuck.connect(publisher.endpoint)
            assert publisher.wait_for_subscriber(10)
            started = time.monotonic()
            for record in many:
                publisher.publish(record)
            assert 0.3 < time.monotonic() - started < 10
            assert 0 < publisher.missed < len(many)


class TestEndpoints:
    @pytest.mark.parametrize(
        "endpoint",
        [
            "tcp://*:5555",
            "tcp://0.0.0.0:5555",
            "tcp://192.168.1.5:5555",
            "tcp://eth0:5555",
            "tcp://[::]:1",
        ],
    )
    def test_records_stay_on_the_machine(self, endpoint: str) -> None:
        with pytest.raises(PublishError, match=r"could read who was seen.*tcp://127.0.0.1:PORT"):
            Publisher(endpoint)

    def test_a_port_that_is_none_is_refused(self) -> None:
        with pytest.raises(PublishError, match="a port is 1 to 65535, not 99999"):
            Publisher("tcp://127.0.0.1:99999")

    @pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:*", "tcp://localhost:*"])
    def test_loopback(self, endpoint: str) -> None:
        Publisher(endpoint).close()

    @pytest.mark.parametrize(
        "endpoint", ["records", "http://x", "tcp://127.0.0.1", "ipc:///no/such/x"]
    )
    def test_that_are_none(self, endpoint: str) -> None:
        with pytest.raises(PublishError, match="cannot publish there"):
            Publisher(endpoint)

    def test_taken(self, publisher: Publisher) -> None:
        with pytest.raises(PublishError, match=r"in use|another publisher is there"):
            Publisher(publisher.endpoint)

    def test_left_behind_by_a_dead_publisher(self, tmp_path: Path) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        code = "import sys, time; from onlooker.record.publish import Publisher\n"
        code += "Publisher(sys.argv[1]); print('bound', flush=True); time.sleep(60)"
        with subprocess.Popen(
            [sys.executable, "-c", code, endpoint], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"bound\n"
            os.kill(process.pid, signal.SIGKILL)
        assert (tmp_path / "records").exists()
        Publisher(endpoint).close()


class TestSubscribe:
    def test_no_publisher(self, tmp_path: Path) -> None:
        with pytest.raises(TimeoutError, match=r"records: no record in 0.1 s"):
            next(subscribe(f"ipc://{tmp_path}/records", timeout=0.1))

    def test_silent_publisher(self, publisher: Publisher) -> None:
        with pytest.raises(TimeoutError, match=r"no record in 0\.2 s"):
            next(subscribe(publisher.endpoint, timeout=0.2))

    def test_waits_for_a_publisher_that_comes_later(self, tmp_path: Path, records: Records) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        waiting = subscribe(endpoint, timeout=20)
        with Publisher(endpoint) as publisher:
            assert publisher.wait_for_subscriber(10)
            publisher.publish(records(1)[0])
        assert list(waiting) == records(1)

    def test_a_killed_publisher_is_waited_for_and_repeats_come_once(
        self, tmp_path: Path, records: Records
    ) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        made = records(5)
        (tmp_path / "first").write_bytes(b"\n".join(map(encode, made[:3])))
        code = """
import sys, time
from onlooker.record.publish import Publisher
from onlooker.record.shapes import decode
publisher = Publisher(sys.argv[1])
assert publisher.wait_for_subscriber(20)
for line in open(sys.argv[2], "rb"):
    publisher.publish(decode(line))
time.sleep(60)
"""
        heard: list[StreamRecord] = []
        waiting = subscribe(endpoint, timeout=20)
        listening = threading.Thread(target=lambda: heard.extend(waiting))
        listening.start()
        arguments = [sys.executable, "-c", code, endpoint, str(tmp_path / "first")]
        with subprocess.Popen(arguments) as process:
            while len(heard) < 3:
                time.sleep(0.01)
            process.kill()
        with Publisher(endpoint) as publisher:
            assert publisher.wait_for_subscriber(10)
            for record in made[1:]:
                publisher.publish(record)
        listening.join(20)
        assert heard == made

    def test_messages_of_somebody_else(self, tmp_path: Path) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
            socket.bind(endpoint)
            for message in ([b"weather"], [b"a/face", b"{}", b"more"], [b"\xff\xfe"]):
                listening = subscribe(endpoint, timeout=10)
                while socket.recv() != b"\1\0end":  # each listener's last subscription
                    pass
                socket.send_multipart(message)
                with pytest.raises(RecordError, match="not a message of Onlooker"):
                    next(listening)

    def test_bad_endpoint(self) -> None:
        with pytest.raises(PublishError, match="nonsense: cannot subscribe there"):
            subscribe("nonsense")

    def test_what_is_no_record(self, tmp_path: Path) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
            socket.bind(endpoint)
            listening = subscribe(endpoint, timeout=10)
            socket.recv()
            socket.send_multipart([b"film/face", b"{}"])
            with pytest.raises(RecordError, match="not a stream record"):
                next(listening)
