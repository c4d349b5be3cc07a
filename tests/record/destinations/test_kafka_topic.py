"""The sink for Kafka, against the broker that librdkafka has for tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError
from msgspec.structs import replace
from tests.support import appearances
from tests.support.brokers import KafkaBroker
from tests.support.deliveries import delivering, expected
from tests.support.ports import free_port

from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations import kafka_topic
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


def test_messages_come_in_order_with_key_and_headers(
    log: Writer, tmp_path: Path, records: Records
) -> None:
    broker = KafkaBroker(tmp_path)
    log.append([appearances.record(1, appearances.event(1, "new", 0.0, 1.0, "ada"))])
    log.append(records(300))
    with delivering(log, broker.config, tmp_path) as attempts:
        attempts.finish()
    wanted = expected(log, broker.config)
    found = broker.messages(len(wanted))
    # The topic has several partitions: the order is that of each key.
    for stream in ("door", "video"):
        own = [message for message in found if message.key() == stream.encode()]
        kept = [(dict(each.headers())["id"].decode(), each.value()) for each in own]
        assert kept == [(each.id, each.body) for each in wanted if each.stream == stream]
    assert {dict(each.headers())["topic"] for each in found} == {
        b"door/face",
        b"door/appearance",
        b"video/face+text",
    }


def test_a_broker_that_is_away_and_a_message_that_is_too_large(
    log: Writer, tmp_path: Path, records: Records
) -> None:
    broker = KafkaBroker(tmp_path)
    log.append(records(1))
    log.append(records(1, "large", lines=10_000))
    log.append(records(1, "b"))
    away = replace(broker.config, url=f"kafka://127.0.0.1:{free_port()}", timeout=1.0)
    with delivering(log, away, tmp_path) as attempts:
        attempts.until(lambda: len(attempts.errors) > 0)
        assert "127.0.0.1" in attempts.errors[0]
        assert attempts.state.position == 0
    with delivering(log, broker.config, tmp_path) as attempts:
        attempts.finish()
        assert attempts.state.too_large == 1
    assert len(broker.messages(2)) == 2


class SmallTopic:
    """A producer whose broker refuses a batch of more than 3000 bytes, as a whole."""

    def __init__(self, _: dict[str, Any]) -> None:
        self.batch: list[tuple[bytes, str, Callable[..., None]]] = []
        self.kept: list[str] = []

    def produce(
        self, _: str, body: bytes, __: bytes, *, headers: Any, on_delivery: Callable[..., None]
    ) -> None:
        self.batch.append((body, dict(headers)["id"].decode(), on_delivery))

    def flush(self, _: float) -> None:
        batch, self.batch = self.batch, []
        large = sum(len(body) for body, _, _ in batch) > 3000
        for __, id, report in batch:
            if not large:
                self.kept.append(id)
            report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE) if large else None, None)

    def purge(self) -> None:
        """Nothing is on its way."""


def test_a_batch_that_is_too_large_is_sent_in_parts(
    log: Writer, tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[SmallTopic] = []

    def producer(settings: dict[str, Any]) -> SmallTopic:
        made.append(SmallTopic(settings))
        return made[-1]

    monkeypatch.setattr(kafka_topic, "Producer", producer)
    config = SinkConfig(kind="kafka", url="kafka://127.0.0.1:1")
    log.append(records(9))
    log.append(records(1, "large", lines=1000))
    log.append(records(8, "b"))
    wanted = [each.id for each in expected(log, config) if len(each.body) <= 3000]
    assert len(wanted) == 17
    with delivering(log, config, tmp_path) as attempts:
        attempts.finish()
        assert (attempts.state.too_large, attempts.state.sent) == (1, 17)
    assert [id for each in made for id in each.kept] == wanted
