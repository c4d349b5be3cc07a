"""Publisher and subscriber, against each other and against strangers."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from onlooker.record import curve_keys
from onlooker.record.curve_keys import BadKey, KeyPair
from onlooker.record.log.reader import Log
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.publish import Publisher
from onlooker.record.sinks.publish_messages import AT, PublishError, kind
from onlooker.record.subscribe import Since, subscribe
from onlooker.rekognition.shapes import RecordError, StreamRecord, encode

Records = Callable[..., list[StreamRecord]]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Writer]:
    with Writer(tmp_path / "records.db") as opened:
        yield opened


@pytest.fixture(params=["ipc", "tcp"])
def publisher(request: pytest.FixtureRequest, log: Writer, tmp_path: Path) -> Iterator[Publisher]:
    endpoint = f"ipc://{tmp_path}/records" if request.param == "ipc" else "tcp://127.0.0.1:*"
    with Publisher(log, endpoint) as opened:
        yield opened


def pump(publisher: Publisher, seconds: float = 0.0) -> None:
    publisher.serve(seconds)
    publisher.follower.step()


class Pump:
    """A publisher at work in a thread, with a log of its own to read."""

    def __init__(self, path: Path, endpoint: str, position: int | None = None) -> None:
        self._stop = threading.Event()
        self._arguments = path, endpoint, position
        self._bound = threading.Event()
        self.endpoint = endpoint
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        path, endpoint, position = self._arguments
        with Log(path) as log, Publisher(log, endpoint, position) as publisher:
            self.endpoint = publisher.endpoint
            self._bound.set()
            while not self._stop.is_set():
                pump(publisher, 0.002)

    def __enter__(self) -> "Pump":
        self._thread.start()
        assert self._bound.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


class Listener:
    """A subscriber in a thread of its own, until its publisher closes."""

    def __init__(
        self,
        endpoint: str,
        streams: tuple[str, ...] = (),
        kinds: tuple[str, ...] = (),
        since: Since | None = None,
    ) -> None:
        self.heard: list[StreamRecord] = []
        self._records = subscribe(endpoint, streams, kinds, since, timeout=20)
        self._thread = threading.Thread(target=lambda: self.heard.extend(self._records))
        self._thread.start()

    def all(self) -> list[StreamRecord]:
        self._thread.join(25)
        assert not self._thread.is_alive()
        return self.heard


def joined(publisher: Publisher) -> None:
    """Let a subscriber in that has just been made."""
    assert publisher.wait_for_subscriber(10)
    for _ in range(10):
        pump(publisher, 0.02)


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

    def test_messages_are_topic_and_line(
        self, publisher: Publisher, log: Writer, records: Records
    ) -> None:
        """Any ZeroMQ client can read them, without ours."""
        sent = records(2, stream="door")
        with zmq.Context() as context, context.socket(zmq.SUB) as peer:
            peer.subscribe("door/")
            peer.connect(publisher.endpoint)
            assert publisher.wait_for_subscriber(10)
            log.append(sent)
            pump(publisher)
            received = [peer.recv_multipart() for _ in sent]
        assert received == [[b"door/face+text", encode(record)] for record in sent]

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
        listener, brief = Listener(publisher.endpoint), subscribe(publisher.endpoint, timeout=20)
        joined(publisher)
        made = records(200)
        log.append(made[:100])
        pump(publisher)
        assert next(brief) == made[0]
        brief.close()  # type: ignore[attr-defined]
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
        heard = listener.all()
        assert stream(heard, "a") == list(range(since + 1, 901))
        # Of a stream that it did not name it gets what comes since it came.
        others_heard = stream(heard, "b")
        assert others_heard == list(range(901 - len(others_heard), 901))

    def test_a_slow_one_gets_all_and_holds_nobody_back(
        self, tmp_path: Path, log: Writer, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onlooker.record.sinks.publish.MAX_QUEUE_RECORDS", 20)
        monkeypatch.setattr("onlooker.record.subscribe.MAX_QUEUE_RECORDS", 20)
        monkeypatch.setattr("onlooker.record.subscribe.MAX_HELD_MESSAGES", 50)
        made = records(1500, faces=30)  # 20 kB each: more than all queues take
        with Pump(log.path, "tcp://127.0.0.1:*") as pumped:
            slow = subscribe(pumped.endpoint, since=0, timeout=20)
            log.append(made[:1])
            assert next(slow) == made[0]
            quick = Listener(pumped.endpoint, since=0)
            began = time.monotonic()
            for number in range(1, 1500, 25):
                log.append(made[number : number + 25])
            while len(quick.heard) < 1500:
                assert time.monotonic() - began < 20
                time.sleep(0.01)
            heard = [next(slow) for _ in made[1:]]
        assert heard == made[1:]
        assert quick.all() == made

    def test_a_subscriber_that_is_started_again_and_again(
        self, log: Writer, records: Records
    ) -> None:
        """Fifty times, each with the Sequence that the one before it had last."""
        made = records(2000)
        heard: list[StreamRecord] = []
        chance = random.Random(50)
        with Pump(log.path, "tcp://127.0.0.1:*") as pumped:
            for life in range(50):
                log.append(made[40 * life : 40 * life + 40])
                reading = subscribe(pumped.endpoint, since=len(heard), timeout=20)
                heard += [next(reading) for _ in range(chance.randint(1, 40))]
                reading.close()  # type: ignore[attr-defined]
            rest = Listener(pumped.endpoint, since=len(heard))
            time.sleep(0.3)
        assert [*heard, *rest.all()] == made

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
                while len(listener.heard) < number:
                    time.sleep(0.01)
                log.append(made[number : number + 10])
                process.kill()
            log.append(made[number + 10 : number + 20])  # while nobody publishes
        with Pump(log.path, endpoint, position=0):
            while len(listener.heard) < 60:
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
        """For who listens, and for who asks later."""
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
    def test_a_strangers_request_is_dropped(
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

    def test_a_publisher_that_ends_before_it_answers_is_told(
        self, tmp_path: Path, records: Records
    ) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        with zmq.Context() as context, context.socket(zmq.XPUB) as peer:
            peer.setsockopt(zmq.XPUB_VERBOSE, 1)
            peer.bind(endpoint)
            listening = subscribe(endpoint, since=3, timeout=10)
            while peer.recv() != b"\1" + AT:
                pass
            peer.send_multipart([b"\0end", msgspec.msgpack.encode({"video": 9})])
            with pytest.raises(PublishError, match="from Sequence 4 on are in its log"):
                next(listening)


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
        heard = listener.all()
        assert [name for name, record in sent.items() if record in heard] == list(expected)
        assert len(heard) == len(expected)

    def test_unknown_kind(self) -> None:
        with pytest.raises(ValueError, match="kind 'faces' is none of face, face"):
            subscribe("tcp://127.0.0.1:5555", kinds=("faces",))


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
        with pytest.raises(PublishError, match="cannot publish there"):
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
        waiting = subscribe(endpoint, timeout=20)
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
                listening = subscribe(endpoint, timeout=10)
                while peer.recv() != b"\1" + AT:  # each listener's last subscription
                    pass
                peer.send_multipart(message)
                with pytest.raises(RecordError, match="not a message of Onlooker"):
                    next(listening)

    def test_bad_endpoint(self) -> None:
        with pytest.raises(PublishError, match="nonsense: cannot subscribe there"):
            subscribe("nonsense")

    def test_what_is_no_record(self, tmp_path: Path) -> None:
        endpoint = f"ipc://{tmp_path}/records"
        with zmq.Context() as context, context.socket(zmq.XPUB) as peer:
            peer.setsockopt(zmq.XPUB_VERBOSE, 1)
            peer.bind(endpoint)
            listening = subscribe(endpoint, timeout=10)
            while peer.recv() != b"\1" + AT:
                pass
            peer.send_multipart([AT, msgspec.msgpack.encode({})])
            peer.send_multipart([b"video/face", b"{}"])
            with pytest.raises(RecordError, match="not a stream record"):
                next(listening)


class TestEncryption:
    @pytest.fixture
    def pair(self, tmp_path: Path) -> KeyPair:
        return curve_keys.generate(tmp_path / "server.key")

    def heard(
        self, endpoint: str, pair: KeyPair | None = None, server: str | None = None
    ) -> list[StreamRecord]:
        """What a subscriber gets that asks for all."""
        found: list[StreamRecord] = []
        with contextlib.suppress(TimeoutError):
            found.extend(subscribe(endpoint, since=0, timeout=2, keys=pair, server=server))
        return found

    def test_only_a_known_client_with_the_servers_key_gets_anything(
        self, tmp_path: Path, log: Writer, records: Records, pair: KeyPair
    ) -> None:
        friend, stranger = (curve_keys.generate(tmp_path / name) for name in ("friend", "stranger"))
        log.append(records(20))
        results: dict[str, list[StreamRecord]] = {}
        with Publisher(log, "tcp://127.0.0.1:*", 0, pair, {friend.public}) as publisher:
            asked = {
                "friend": (friend, pair.public),
                "unknown key": (stranger, pair.public),
                "wrong server key": (friend, stranger.public),
                "plain": (None, None),
                "some key": (None, pair.public),
            }
            threads = [
                threading.Thread(
                    target=lambda name=name, given=given: results.update(
                        {name: self.heard(publisher.endpoint, *given)}
                    )
                )
                for name, given in asked.items()
            ]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                pump(publisher, 0.01)
        assert {name: len(found) for name, found in results.items()} == {
            "friend": 20,
            "unknown key": 0,
            "wrong server key": 0,
            "plain": 0,
            "some key": 0,
        }

    def test_nobody_can_read_along(
        self, log: Writer, records: Records, pair: KeyPair, tmp_path: Path
    ) -> None:
        """What goes over the wire, through a proxy that keeps it, has no word of a record."""
        friend = curve_keys.generate(tmp_path / "friend")
        log.append(records(20))
        with Publisher(log, "tcp://127.0.0.1:*", 0, pair, {friend.public}) as publisher:
            port = int(publisher.endpoint.rpartition(":")[2])
            with Tap(port) as tap:
                reading = subscribe(
                    f"tcp://127.0.0.1:{tap.port}", since=0, keys=friend, server=pair.public
                )
                done = threading.Event()
                got: list[StreamRecord] = []

                def read() -> None:
                    got.extend(next(reading) for _ in range(20))
                    reading.close()  # type: ignore[attr-defined]
                    done.set()

                threading.Thread(target=read).start()
                while not done.is_set():
                    pump(publisher, 0.01)
        assert len(got) == 20
        assert len(tap.seen) > 20_000
        for word in (b"video", b"BoundingBox", b"KinesisVideo", "Grüße".encode()):
            assert word not in tap.seen

    def test_with_keys_others_may_be_let_in(self, log: Writer, pair: KeyPair) -> None:
        with Publisher(log, "tcp://0.0.0.0:*", None, pair) as publisher:
            assert publisher.endpoint.startswith("tcp://0.0.0.0:")
            assert listens(publisher.endpoint)

    def test_key_files(self, tmp_path: Path, pair: KeyPair) -> None:
        path = tmp_path / "server.key"
        assert path.stat().st_mode & 0o777 == 0o600
        assert curve_keys.read(path) == pair
        with pytest.raises(BadKey, match="is there already"):
            curve_keys.generate(path)
        with pytest.raises(BadKey, match="onlooker keys generate"):
            curve_keys.read(tmp_path / "none")
        path.write_text(path.read_text().replace(pair.public, "x" * 40))
        with pytest.raises(BadKey, match="do not belong together"):
            curve_keys.read(path)
        path.write_text("hello")
        with pytest.raises(BadKey, match="not a key file"):
            curve_keys.read(path)
        with pytest.raises(BadKey, match="'short' is no public key"):
            curve_keys.check("short")


def listens(endpoint: str) -> bool:
    """Whether a connection to the port of the endpoint is taken, on this machine."""
    try:
        socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])), 5).close()
    except ConnectionRefusedError:
        return False
    return True


class Tap:
    """Hands on what two ends of a connection say, and keeps it."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._target = port
        self.seen = b""

    def __enter__(self) -> "Tap":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._server.accept()
                two = socket.create_connection(("127.0.0.1", self._target))
                for source, target in ((one, two), (two, one)):
                    threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(65536):
                self.seen += data
                target.sendall(data)


@pytest.mark.parametrize("case", ["nobody", "no key", "wrong server", "stranger"])
def test_who_hears_nothing_is_told_why_once(
    case: str, log: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("onlooker.record.subscribe.SILENCE_SECONDS", 0.3)
    pairs = [KeyPair(*(half.decode() for half in zmq.curve_keypair())) for _ in range(3)]
    pair, friend, stranger = pairs
    with Publisher(log, "tcp://127.0.0.1:*", None, pair, frozenset({friend.public})) as publisher:
        endpoint = "tcp://127.0.0.1:9" if case == "nobody" else publisher.endpoint
        server = {"no key": None, "wrong server": stranger.public}.get(case, pair.public)
        mine = {"no key": None, "stranger": stranger}.get(case, friend)
        with pytest.raises(TimeoutError):
            list(subscribe(endpoint, since=0, timeout=2, keys=mine, server=server))
    [said] = [each.getMessage() for each in caplog.records if each.name.endswith("subscribe")]
    assert ("no publisher is listening" if case == "nobody" else "refuses this subscriber") in said
