"""The sink for Kinesis, against moto's server, and against a client that refuses some records."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.brokers import KinesisBroker
from tests.support.deliveries import delivering, expected

from onlooker.record.destinations.destination import NotTaken
from onlooker.record.destinations.kinesis_stream import KinesisStream
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("ACCESS_KEY_ID", "a"),
        ("SECRET_ACCESS_KEY", "b"),
        ("REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KinesisBroker]:
    made = KinesisBroker(tmp_path)
    made.start()
    try:
        yield made
    finally:
        made.close()


def test_records_come_in_order_through_a_server_that_is_away(
    log: Writer, broker: KinesisBroker, tmp_path: Path, records: Records
) -> None:
    log.append(records(120))
    with delivering(log, replace(broker.config, batch=500), tmp_path) as attempts:
        attempts.finish()
        broker.kill()
        log.append(records(30, "b"))
        attempts.until(lambda: len(attempts.errors) > 1)
        assert "Could not connect" in attempts.errors[-1]
        broker.start()
        attempts.finish()
    assert broker.ids() == [each.id for each in expected(log, broker.config)]


def test_a_stream_that_is_missing_is_named(
    log: Writer, broker: KinesisBroker, tmp_path: Path, records: Records
) -> None:
    log.append(records(1))
    with delivering(log, replace(broker.config, topic="nostream"), tmp_path) as attempts:
        attempts.until(lambda: len(attempts.errors) > 0)
    assert "nostream" in attempts.errors[-1]
    assert "ResourceNotFoundException" in attempts.errors[-1]


class Throttled:
    """A client that takes at most three records of a call, and after some calls none."""

    def __init__(self, calls: int) -> None:
        self.taken: list[bytes] = []
        self.sizes: list[int] = []
        self._calls = calls

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        self.sizes.append(len(Records))
        room = 3 if len(self.sizes) <= self._calls else 0
        self.taken += [record["Data"] for record in Records[:room]]
        error = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}
        return {
            "Records": [
                {"SequenceNumber": "1"} if number < room else error
                for number in range(len(Records))
            ]
        }


def test_refused_records_are_sent_again_before_later_ones(
    log: Writer, broker: KinesisBroker, records: Records
) -> None:
    log.append(records(10))
    wanted = expected(log, broker.config)
    destination = KinesisStream(broker.config)
    client = destination._client = Throttled(calls=10)
    taken: list[int] = []
    destination.send(wanted, taken.append)
    assert client.sizes == [10, 7, 4, 1]
    assert client.taken == [each.body + b"\n" for each in wanted]
    assert taken == [10]
    destination._client = Throttled(calls=2)
    with pytest.raises(NotTaken, match="ProvisionedThroughputExceededException: slow"):
        destination.send(wanted, taken.append)
    assert taken == [10], "it is not certain which of them are there"


def test_a_call_has_as_much_as_kinesis_takes(
    log: Writer, broker: KinesisBroker, records: Records, tmp_path: Path
) -> None:
    log.append(records(520, lines=0, faces=0))
    log.append(records(1, "large", lines=10_000))
    log.append(records(9, "b", lines=1500))
    config = replace(broker.config, batch=500)
    with delivering(log, config, tmp_path) as attempts:
        attempts.finish()
        assert attempts.state.too_large == 1
    large = expected(log, config)[520].id
    assert broker.ids() == [each.id for each in expected(log, config) if each.id != large]
