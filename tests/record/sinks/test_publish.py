"""Publisher and subscriber, against each other and against other programs."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq
from tests.support.appearances import event, record
from tests.support.processes import wait_until
from tests.support.publishing import Listener, Pump, joined, listens, pump

from onlooker.record.log.schema import id_of
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.publish import Publisher
from onlooker.record.sinks.publish_messages import AT, PublishError, pack_newest
from onlooker.record.subscribe import subscribe
from onlooker.rekognition.shapes import Appearance, StreamRecord, encode

Records = Callable[..., list[StreamRecord]]


@pytest.fixture(params=["ipc", "tcp"])
def publisher(request: pytest.FixtureRequest, log: Writer, tmp_path: Path) -> Iterator[Publisher]:
    endpoint = f"ipc://{tmp_path}/records" if request.param == "ipc" else "tcp://127.0.0.1:*"
    with Publisher(log, endpoint) as opened:
        yield opened


def stream(records: list[StreamRecord], name: str) -> list[int]:
    return [record.Sequence for record in records if record.stream == name]


class TestDelivery:
    def test_everything_in_order_once(
        self, publisher: Publisher, log: Writer, records: Records
    ) -> None:
        listener = Listener(publisher.endpoint)
        joined(publisher)
        sent = [*records(500), *records(3, "b", error="damaged"), *records(3, "c", faces=0)]
        for number in range(0, len(sent), 10):
            log.append(sent[number : number + 10])
            pump(publisher)
        publisher.close()
        assert listener.all() == sent

    def test_events_follow_their_record_unless_they_are_quiet(
        self, publisher: Publisher, log: Writer
    ) -> None:
        loud, quiet = event(0, "new", 1.0, 2.0, "anna"), event(1, "new", 1.0, 2.0, quiet=True)
        sent = record(0, loud, quiet)
        listener = Listener(publisher.endpoint)
        with zmq.Context() as context, context.socket(zmq.SUB) as peer:
            peer.subscribe("door/")
            peer.connect(publisher.endpoint)
            joined(publisher)
            assert publisher.wait_for_subscriber(60)
            log.append([sent])
            pump(publisher)
            id_of_log = log.ask(id_of)
            assert peer.recv_multipart() == [b"door/face", encode(sent), id_of_log]
            topic, body, of = peer.recv_multipart()
        assert of == id_of_log
        assert topic == b"door/appearance"
        assert msgspec.json.decode(body, type=Appearance) == sent.Appearances[0]
        publisher.close()
        assert listener.all() == [sent]

    def test_messages_are_topic_line_and_log(
        self, publisher: Publisher, log: Writer, records: Records
    ) -> None:
        """Any ZeroMQ client can read them, without ours."""
        sent = records(2, stream="door")
        with zmq.Context() as context, context.socket(zmq.SUB) as peer:
            peer.subscribe("door/")
            peer.connect(publisher.endpoint)
            assert publisher.wait_for_subscriber(60)
            log.append(sent)
            pump(publisher)
            received = [peer.recv_multipart() for _ in sent]
        of = log.ask(id_of)
        assert received == [[b"door/face+text", encode(record), of] for record in sent]

    def test_without_since_they_begin_now(
        self, publisher: Publisher, log: Writer, records: Records
    ) -> None:
        made = records(6)
        log.append(made[:3])
        pump(publisher)
        listener = Listener(publisher.endpoint)
        joined(publisher)
        log.append(made[3:])
        publisher.close()
        assert listener.all() == made[3:]

    def test_one_that_leaves_does_not_hinder_the_others(
        self, publisher: Publisher, log: Writer, records: Records
    ) -> None:
        listener, brief = Listener(publisher.endpoint), subscribe(publisher.endpoint, timeout=60)
        joined(publisher)
        made = records(200)
        log.append(made[:100])
        pump(publisher)
        assert next(brief) == made[0]
        brief.close()
        log.append(made[100:])
        publisher.close()
        assert listener.all() == made


class TestWhatWasMissed:
    @pytest.mark.parametrize("since", [0, 1, 399, 400, 450])
    def test_comes_first_and_then_the_live_flow(
        self, tmp_path: Path, log: Writer, records: Records, since: int
    ) -> None:
        made, others = records(900, "a"), records(900, "b")
        log.append([*made[:400], *others[:400]])
        with Pump(log.path, "tcp://127.0.0.1:*") as pumped:
            listener = Listener(pumped.endpoint, since={"a": since})
            for number in range(400, 900, 10):
                log.append([*made[number : number + 10], *others[number : number + 10]])
                time.sleep(0.005)
            assert wait_until(lambda: bool(listener.received), 60)
        received = listener.all()
        assert stream(received, "a") == list(range(since + 1, 901))
        # Of a stream that it did not name it gets what comes since it came.
        others_received = stream(received, "b")
        assert others_received == list(range(901 - len(others_received), 901))

    def test_a_slow_one_gets_all_and_delays_no_other(
        self, tmp_path: Path, log: Writer, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onlooker.record.sinks.publish.MAX_QUEUE_RECORDS", 20)
        monkeypatch.setattr("onlooker.record.subscribe.MAX_QUEUE_RECORDS", 20)
        monkeypatch.setattr("onlooker.record.subscribe.MAX_HELD_MESSAGES", 50)
        made = records(1500, faces=30)  # 20 kB each: more than all queues take
        with Pump(log.path, "tcp://127.0.0.1:*") as pumped:
            slow = subscribe(pumped.endpoint, since=0, timeout=60)
            log.append(made[:1])
            assert next(slow) == made[0]
            quick = Listener(pumped.endpoint, since=0)
            began = time.monotonic()
            for number in range(1, 1500, 25):
                log.append(made[number : number + 25])
            while len(quick.received) < 1500:
                assert time.monotonic() - began < 60
                time.sleep(0.01)
            received = [next(slow) for _ in made[1:]]
        assert received == made[1:]
        assert quick.all() == made

    def test_a_subscriber_that_is_started_again_and_again(
        self, log: Writer, records: Records
    ) -> None:
        """Fifty times, each with the Sequence that the one before it had last."""
        made = records(2000)
        received: list[StreamRecord] = []
        chance = random.Random(50)
        with Pump(log.path, "tcp://127.0.0.1:*") as pumped:
            for life in range(50):
                log.append(made[40 * life : 40 * life + 40])
                reading = subscribe(pumped.endpoint, since=len(received), timeout=60)
                received += [next(reading) for _ in range(chance.randint(1, 40))]
                reading.close()
            rest = Listener(pumped.endpoint, since=len(received))
            assert wait_until(lambda: len(received) + len(rest.received) == len(made), 60)
        assert [*received, *rest.all()] == made

    def test_a_killed_publisher_makes_no_gap_and_no_repeat(
        self, tmp_path: Path, log: Writer, records: Records
    ) -> None:
        made, endpoint = records(60), f"ipc://{tmp_path}/records"
        log.append(made[:1])
        code = """
import sys
from pathlib import Path
from onlooker.record.log.reader import Log
from onlooker.record.sinks.publish import Publisher
publisher = Publisher(Log(Path(sys.argv[1])), sys.argv[2], 0)
while True:
    publisher.serve(0.01)
    publisher.follower.step()
"""
        listener = Listener(endpoint, since=0)
        for number in range(1, 60, 20):
            with subprocess.Popen([sys.executable, "-c", code, str(log.path), endpoint]) as process:
                while len(listener.received) < number:
                    time.sleep(0.01)
                log.append(made[number : number + 10])
                process.kill()
            log.append(made[number + 10 : number + 20])  # while no publisher runs
        with Pump(log.path, endpoint, position=0):
            while len(listener.received) < 60:
                time.sleep(0.01)
        assert listener.all() == made

    def test_what_the_log_has_no_more_is_a_gap(
        self, publisher: Publisher, log: Writer, records: Records
    ) -> None:
        made = records(10)
        log.append(made)
        with log._transaction():
            log._database.execute("DELETE FROM records WHERE position <= 4")
        pump(publisher)
        listener = Listener(publisher.endpoint, since=2)
        joined(publisher)
        publisher.close()
        assert listener.all() == made[4:]

    def test_a_damaged_record_is_a_gap(
        self, publisher: Publisher, log: Writer, records: Records
    ) -> None:
        """For live subscribers, and for those that ask later."""
        listener = Listener(publisher.endpoint, since=0)
        joined(publisher)
        made = records(9)
        log.append(made)
        log._database.execute("UPDATE records SET body = '{' WHERE position = 4")
        log._database.execute("UPDATE records SET body = ? WHERE position = 6", (b"{}",))
        pump(publisher)
        assert publisher.position == 9
        late = Listener(publisher.endpoint, since=0)
        joined(publisher)
        publisher.close()
        assert listener.all() == late.all() == [*made[:3], made[4], *made[6:]]

    @pytest.mark.parametrize(
        "request_",
        [
            (b"me", 1, "video", -1, 2**64 - 1),
            (b"me", -1, "video", 0, 9),
            (b"m" * 99, 1, "video", 0, 9),
        ],
    )
    def test_an_invalid_request_is_dropped(
        self,
        publisher: Publisher,
        log: Writer,
        records: Records,
        request_: tuple[object, ...],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        log.append(records(3))
        with zmq.Context() as context, context.socket(zmq.XSUB) as peer:
            peer.connect(publisher.endpoint)
            peer.send(b"\1\0to/me")
            peer.send(b"?" + msgspec.msgpack.encode(request_))
            joined(publisher)
            assert not peer.poll(100)
        with zmq.Context() as context, context.socket(zmq.XSUB) as peer:
            peer.linger = 0
            peer.connect(publisher.endpoint)
            peer.send(b"?" + bytes(10_000_000))
            pump(publisher, 0.2)
        assert len(caplog.records) == 1  # what is as large as the last does not even come

    def test_a_publisher_that_ends_before_it_answers_is_an_error(
        self, tmp_path: Path, log: Writer
    ) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        with zmq.Context() as context, context.socket(zmq.XPUB) as peer:
            peer.setsockopt(zmq.XPUB_VERBOSE, 1)
            peer.bind(endpoint)
            listening = subscribe(endpoint, since=3, timeout=60)
            while peer.recv() != b"\1" + AT:
                pass
            peer.send_multipart([b"\0end", pack_newest({"video": 9}), log.ask(id_of)])
            with pytest.raises(PublishError, match="from Sequence 4 on are in its log"):
                next(listening)


class TestTopics:
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
        log: Writer,
        records: Records,
        streams: tuple[str, ...],
        kinds: tuple[str, ...],
        expected: str,
    ) -> None:
        log.append(
            [
                *records(1, stream="door", epoch="a"),
                *records(1, stream="door", epoch="b", lines=0),
                *records(1, stream="door", epoch="c", faces=0),
                *records(1, stream="door", epoch="d", faces=0, lines=0),
                *records(1, stream="yard", epoch="e"),
                *records(1, stream="yard", epoch="f", faces=0),
                *records(1, stream="yard", epoch="g", error="damaged"),
                *records(1, stream="doors", epoch="h"),
            ]
        )
        publisher.position = 0
        sent = dict(zip("abcdefgh", log.read(), strict=True))
        listener = Listener(publisher.endpoint, streams, kinds, since=0)
        joined(publisher)
        publisher.close()
        received = listener.all()
        assert [name for name, record in sent.items() if record in received] == list(expected)
        assert len(received) == len(expected)


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
    def test_records_stay_on_the_machine(self, log: Writer, endpoint: str) -> None:
        with pytest.raises(PublishError, match=r"could read the records.*tcp://127.0.0.1:PORT"):
            Publisher(log, endpoint)

    def test_a_port_that_is_none_is_refused(self, log: Writer) -> None:
        with pytest.raises(PublishError, match="a port is 1 to 65535, not 99999"):
            Publisher(log, "tcp://127.0.0.1:99999")

    @pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:*", "tcp://localhost:*"])
    def test_loopback(self, log: Writer, endpoint: str) -> None:
        with Publisher(log, endpoint) as publisher:
            assert listens(publisher.endpoint)
        assert not listens(publisher.endpoint)

    @pytest.mark.parametrize(
        "endpoint", ["records", "http://x", "tcp://127.0.0.1", "ipc:///no/such/x"]
    )
    def test_that_are_none(self, log: Writer, endpoint: str) -> None:
        with pytest.raises(PublishError, match=r"not an endpoint|there is no folder"):
            Publisher(log, endpoint)

    def test_taken(self, log: Writer, publisher: Publisher) -> None:
        with pytest.raises(PublishError, match=r"in use|another publisher is there"):
            Publisher(log, publisher.endpoint)

    def test_left_behind_by_a_dead_publisher(self, log: Writer, tmp_path: Path) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        code = "import sys, time, zmq; socket = zmq.Context().socket(zmq.XPUB)\n"
        code += "socket.bind(sys.argv[1]); print('bound', flush=True); time.sleep(60)"
        with subprocess.Popen(
            [sys.executable, "-c", code, endpoint], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"bound\n"
            os.kill(process.pid, signal.SIGKILL)
        assert (tmp_path / "records").exists()
        Publisher(log, endpoint).close()
