"""The sink for NATS JetStream, against a server: subjects, ids, restarts, a full stream."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support import appearances
from tests.support.brokers import NatsBroker
from tests.support.deliveries import delivering, expected
from tests.support.webhooks import first_seen

from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations.destination import NotTaken
from onlooker.record.destinations.message import Message
from onlooker.record.destinations.nats_stream import NatsStream, part
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

PING_SECONDS = 1.5
"""Time after which the broker ends a connection that answers no ping."""
Records = Callable[..., list[StreamRecord]]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsBroker]:
    made = NatsBroker(tmp_path)
    made.start()
    try:
        yield made
    finally:
        made.close()


def test_records_and_events_have_subjects_and_ids(
    log: Writer, broker: NatsBroker, tmp_path: Path
) -> None:
    log.append([appearances.record(1, appearances.event(1, "new", 0.0, 1.0, "ada"))])
    log.append([appearances.record(2, stream="front.door")])
    with delivering(log, broker.config, tmp_path) as attempts:
        attempts.finish()
    found, wanted = broker.messages(), expected(log, broker.config)
    assert [subject for subject, _, _ in found] == [
        "onlooker.door.face",
        "onlooker.door.appearance",
        "onlooker.front%2Edoor.none",
    ]
    assert [headers["Nats-Msg-Id"] for _, headers, _ in found] == [each.id for each in wanted]
    assert [body for _, _, body in found] == [each.body for each in wanted]


def test_what_comes_twice_within_the_window_is_kept_once(
    log: Writer, broker: NatsBroker, tmp_path: Path, records: Records
) -> None:
    log.append(records(20))
    for _ in range(2):
        with delivering(log, broker.config, tmp_path) as attempts:
            attempts.finish()
        (tmp_path / "sink.cursor").unlink()
    assert broker.ids() == [each.id for each in expected(log, broker.config)]


def test_a_server_that_is_killed_and_one_that_hangs_lose_nothing(
    log: Writer, broker: NatsBroker, tmp_path: Path, records: Records
) -> None:
    config = replace(broker.config, timeout=1.0)
    with delivering(log, config, tmp_path) as attempts:
        for number in range(3):
            log.append(records(200, f"s{number}"))
            attempts.until_sent(210 * number + 100)
            broker.kill()
            log.append(records(10, f"t{number}"))
            attempts.until_failed()
            broker.start()
        attempts.finish()
        broker.pause()
        log.append(records(50, "u"))
        attempts.until(lambda: "no answer in time" in attempts.errors[-1])
        broker.resume()
        attempts.finish()
    assert first_seen(broker.ids()) == [each.id for each in expected(log, config)]


def test_a_connection_is_served_while_nothing_is_sent(
    log: Writer, broker: NatsBroker, tmp_path: Path, records: Records
) -> None:
    log.append(records(5))
    with delivering(log, broker.config, tmp_path) as attempts:
        attempts.finish()
        time.sleep(3 * PING_SECONDS)
        log.append(records(5, "later"))
        attempts.finish()
        broker.stop()
        broker.start()
        log.append(records(5, "restarted"))
        attempts.finish()
        assert attempts.errors == []
    assert broker.ids() == [each.id for each in expected(log, broker.config)]


def test_a_connection_that_fails_leaves_no_socket(tmp_path: Path) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        config = SinkConfig(kind="nats", url=url, timeout=0.2)
        before = files()
        for _ in range(3):
            stream = NatsStream(config)
            with pytest.raises(NotTaken):
                stream.send([Message("id", "door", "face", b"{}", 1)], lambda _: None)
            stream.close()
        assert files() == before


def test_a_full_stream_is_waited_for_in_order(
    log: Writer, broker: NatsBroker, tmp_path: Path, records: Records
) -> None:
    broker.limit(15)
    log.append(records(40))
    with delivering(log, broker.config, tmp_path) as attempts:
        attempts.until(lambda: len(attempts.errors) > 2)
        assert "maximum messages exceeded" in attempts.errors[-1]
        assert attempts.state.sent == 15
        broker.limit(-1)
        attempts.finish()
    assert broker.ids() == [each.id for each in expected(log, broker.config)]


def test_a_message_beyond_the_servers_limit_is_left_out(
    log: Writer, broker: NatsBroker, tmp_path: Path, records: Records
) -> None:
    log.append(records(1))
    log.append(records(1, "large", lines=10_000))
    log.append(records(1, "b"))
    with delivering(log, broker.config, tmp_path) as attempts:
        attempts.finish()
        assert attempts.state.too_large == 1
    assert len(broker.ids()) == 2


def test_a_name_is_one_part_of_a_subject() -> None:
    assert [part(name) for name in ("door-1_a", "a.b", "a b*>", "ü")] == [
        "door-1_a",
        "a%2Eb",
        "a%20b%2A%3E",
        "%C3%BC",
    ]
