"""Records that leave the machine, and a third party on the wire."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.publishing import Listener, listens, pump

from onlooker.record import curve_keys
from onlooker.record.curve_keys import KeyPair
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.publish import Publisher
from onlooker.record.subscribe import subscribe
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


class Tap:
    """A proxy between two ends of a connection, which keeps what passes."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._target = port
        self.captured = b""

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
                self.captured += data
                target.sendall(data)


class TestEncryption:
    @pytest.fixture
    def pair(self, tmp_path: Path) -> KeyPair:
        return curve_keys.generate(tmp_path / "server.key")

    def received(
        self, endpoint: str, pair: KeyPair | None, server: str | None
    ) -> list[StreamRecord]:
        """Return what a subscriber gets that asks for all records."""
        found: list[StreamRecord] = []
        with contextlib.suppress(TimeoutError):
            found.extend(subscribe(endpoint, since=0, timeout=2, keys=pair, server=server))
        return found

    def test_only_a_known_client_with_the_servers_key_gets_anything(
        self, tmp_path: Path, log: Writer, records: Records, pair: KeyPair
    ) -> None:
        client, unknown = (curve_keys.generate(tmp_path / name) for name in ("client", "unknown"))
        made = records(20)
        log.append(made)
        results: dict[str, list[StreamRecord]] = {}
        with Publisher(log, "tcp://127.0.0.1:*", 0, pair, {client.public}) as publisher:
            asked = {
                "unknown key": (unknown, pair.public),
                "wrong server key": (client, unknown.public),
                "plain": (None, None),
                "some key": (None, pair.public),
            }
            threads = [
                threading.Thread(
                    target=lambda name=name, given=given: results.update(
                        {name: self.received(publisher.endpoint, *given)}
                    )
                )
                for name, given in asked.items()
            ]
            for thread in threads:
                thread.start()
            known = Listener(publisher.endpoint, since=0, keys=client, server=pair.public)
            began = time.monotonic()
            while any(thread.is_alive() for thread in threads) or len(known.received) < 20:
                assert time.monotonic() - began < 60
                pump(publisher, 0.01)
        assert known.all() == made  # it ends when the publisher does: nothing comes twice
        assert results == {name: [] for name in asked}

    def test_nobody_can_read_along(
        self, log: Writer, records: Records, pair: KeyPair, tmp_path: Path
    ) -> None:
        """No word of a record goes over the wire."""
        client = curve_keys.generate(tmp_path / "client")
        log.append(records(20))
        with Publisher(log, "tcp://127.0.0.1:*", 0, pair, {client.public}) as publisher:
            port = int(publisher.endpoint.rpartition(":")[2])
            with Tap(port) as tap:
                reading = subscribe(
                    f"tcp://127.0.0.1:{tap.port}", since=0, keys=client, server=pair.public
                )
                done = threading.Event()
                got: list[StreamRecord] = []

                def read() -> None:
                    got.extend(next(reading) for _ in range(20))
                    reading.close()
                    done.set()

                threading.Thread(target=read).start()
                while not done.is_set():
                    pump(publisher, 0.01)
        assert len(got) == 20
        assert len(tap.captured) > 20_000
        for word in (b"video", b"BoundingBox", b"KinesisVideo", "Grüße".encode()):
            assert word not in tap.captured

    def test_with_keys_others_may_be_let_in(self, log: Writer, pair: KeyPair) -> None:
        with Publisher(log, "tcp://0.0.0.0:*", None, pair) as publisher:
            assert publisher.endpoint.startswith("tcp://0.0.0.0:")
            assert listens(publisher.endpoint)
