"""Publishers and subscribers at work in threads."""

import socket
import threading
from pathlib import Path

from onlooker.record.curve_keys import KeyPair
from onlooker.record.log.reader import Log
from onlooker.record.sinks.publish import Publisher
from onlooker.record.subscribe import Since, subscribe
from onlooker.rekognition.shapes import StreamRecord


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
        assert self._bound.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


class Listener:
    """A subscriber in a thread of its own, until its publisher closes."""

    def __init__(
        self,
        endpoint: str,
        streams: tuple[str, ...] = (),
        kinds: tuple[str, ...] = (),
        since: Since | None = None,
        keys: KeyPair | None = None,
        server: str | None = None,
    ) -> None:
        self.received: list[StreamRecord] = []
        self._records = subscribe(endpoint, streams, kinds, since, 60, keys, server)
        self._thread = threading.Thread(target=lambda: self.received.extend(self._records))
        self._thread.start()

    def all(self) -> list[StreamRecord]:
        self._thread.join(65)
        assert not self._thread.is_alive()
        return self.received


def joined(publisher: Publisher) -> None:
    """Let a subscriber in that has just been made."""
    assert publisher.wait_for_subscriber(60)
    for _ in range(10):
        pump(publisher, 0.02)


def listens(endpoint: str) -> bool:
    """Whether a connection to the port of the endpoint is taken, on this machine."""
    try:
        socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])), 5).close()
    except ConnectionRefusedError:
        return False
    return True
