"""The sink that sends to a destination: order, failures in the middle, sizes, and losses."""

import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.deliveries import delivering
from tests.support.webhooks import first_seen

from onlooker.config.schema import Retention
from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations.delivery import Delivery
from onlooker.record.destinations.destination import NotTaken, TooLarge
from onlooker.record.destinations.message import Message
from onlooker.record.destinations.saved_cursor import SavedCursor
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.sink import Follower
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]
CONFIG = SinkConfig(kind="webhook", url="http://127.0.0.1:1/", batch=4)


class Box:
    """A destination that fails before every message whose number is in `failing`, once."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.failing: set[int] = set()
        self.large: set[str] = set()
        self.connections = 0

    def connect(self) -> "Box":
        self.connections += 1
        return self

    def send(self, messages: Sequence[Message], taken: Callable[[int], None]) -> None:
        for number, message in enumerate(messages):
            if len(self.ids) in self.failing:
                self.failing.discard(len(self.ids))
                raise NotTaken("it failed")
            if message.id in self.large:
                raise TooLarge("it is large")
            self.ids.append(message.id)
            taken(number + 1)

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def cursor(tmp_path: Path) -> Iterator[SavedCursor]:
    with SavedCursor(tmp_path / "cursor") as made:
        made.place(None, True)
        yield made


def test_every_message_comes_in_order_whatever_fails(
    log: Writer, records: Records, cursor: SavedCursor
) -> None:
    log.append(records(30))
    box = Box()
    box.failing = {0, 1, 6, 7, 19, 29}
    follower = Follower(log, Delivery(CONFIG, cursor, box.connect), 10)
    failures = 0
    while cursor.state.position < 30:
        try:
            follower.step()
        except NotTaken:
            failures += 1
    assert failures == 6
    assert box.connections == 7, "a new one after each failure"
    assert first_seen(box.ids) == [record.RecordId for record in records(30)]
    assert box.ids == first_seen(box.ids), "this destination tells exactly what it has"
    assert cursor.state.sent == 30


def test_one_that_is_too_large_is_left_out_and_counted(
    log: Writer, records: Records, cursor: SavedCursor
) -> None:
    made = records(10)
    log.append(made)
    box = Box()
    box.large = {made[3].RecordId, made[9].RecordId}
    Follower(log, Delivery(CONFIG, cursor, box.connect)).catch_up()
    assert box.ids == [each.RecordId for n, each in enumerate(made) if n not in (3, 9)]
    state = cursor.state
    assert (state.position, state.too_large, state.sent) == (10, 2, 8)


def test_what_retention_removes_before_it_is_sent_is_counted_once(
    tmp_path: Path, records: Records, cursor: SavedCursor
) -> None:
    box = Box()
    delivery = Delivery(CONFIG, cursor, box.connect)
    with Writer(tmp_path / "r.db") as log:
        log.append(records(10))
        follower = Follower(log, delivery)
        follower.catch_up()
        log.append(records(5000, "other"))
    with Writer(tmp_path / "r.db", Retention(max_megabytes=1)) as log:
        log.sweep()
        gone = 5010 - len(log)
        assert gone > 1000
        follower, box.failing = Follower(log, delivery), {10, 11}
        while cursor.state.position < log.position:
            try:
                follower.catch_up()
            except NotTaken:
                continue
        assert cursor.state.lost == 5010 - 10 - (cursor.state.sent - 10)
        assert cursor.state.lost > 1000


def test_what_was_gone_before_a_sink_existed_is_no_loss(tmp_path: Path, records: Records) -> None:
    with Writer(tmp_path / "r.db") as log:
        log.append(records(5000))
    with (
        Writer(tmp_path / "r.db", Retention(max_megabytes=1)) as log,
        SavedCursor(tmp_path / "new") as cursor,
    ):
        log.sweep()
        cursor.place(log, True)
        box = Box()
        Follower(log, Delivery(CONFIG, cursor, box.connect)).catch_up()
        assert cursor.state.lost == 0
        assert len(box.ids) == len(log) < 5000


def test_a_server_of_another_protocol_is_a_failure_with_a_cause(
    log: Writer, records: Records, tmp_path: Path
) -> None:
    log.append(records(1))

    class Other(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"INFO {what is this}\r\n")
            while self.request.recv(4096):
                pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Other) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        config = SinkConfig(kind="webhook", url=url, timeout=1.0)
        with delivering(log, config, tmp_path) as attempts:
            attempts.until_failed()
        server.shutdown()
    assert attempts.errors[0].startswith(url)
    assert "BadStatusLine" in attempts.errors[0]


def test_an_authority_that_is_no_certificate_is_a_failure_with_a_cause(
    log: Writer, records: Records, tmp_path: Path
) -> None:
    log.append(records(1))
    (tmp_path / "ca.pem").write_text("no certificate")
    config = SinkConfig(kind="webhook", url="https://127.0.0.1:1", ca=str(tmp_path / "ca.pem"))
    with delivering(log, config, tmp_path) as attempts:
        attempts.until_failed()
    assert "ca.pem: SSLError" in attempts.errors[0]


def test_what_the_library_of_nats_cannot_read_is_a_failure_with_a_cause(
    log: Writer, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = pytest.importorskip("nats.aio.client").Client

    async def connect(*_: object, **__: object) -> None:
        raise ValueError("it cannot be read")

    monkeypatch.setattr(client, "connect", connect)
    log.append(records(1))
    with delivering(log, SinkConfig(kind="nats", url="nats://127.0.0.1:1"), tmp_path) as attempts:
        attempts.until_failed()
    assert attempts.errors[0] == "nats://127.0.0.1:1: ValueError: it cannot be read"
