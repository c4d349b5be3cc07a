"""What Prometheus reads of a run."""

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.ports import free_port

from onlooker.stream.messages import Counts, Status, StreamStatus
from onlooker.stream.metrics import Metrics, families

DOOR = StreamStatus(
    name="door",
    counts=Counts(
        received=12,
        done=7,
        failed={"error": 2},
        dropped={"superseded": 1},
        appearances=3,
        readings=5,
    ),
    source="source-0.1",
    in_flight=2,
    frames=None,
    finished=False,
    error=None,
    seconds=0.5,
    policy="live",
    health="the image is black",
    reconnects=3,
    lag=(0.25, 1.5),
)


def read(address: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Values by name and labels."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


def test_frames_received_are_those_analysed_failed_dropped_and_in_flight(address: str) -> None:
    metrics = Metrics(address)
    try:
        assert not any(dict(labels).get("stream") for _, labels in read(address))
        metrics.update(Status(streams=(DOOR,)))
        found = read(address)
    finally:
        metrics.close()
    door = ("stream", "door")

    def value(name: str, *labels: tuple[str, str]) -> float:
        return found[f"onlooker_{name}", frozenset({door, *labels})]

    assert value("frames_received_total") == 12
    assert value("frames_analysed_total") == 7
    assert value("appearances_total") == 3
    assert value("readings_total") == 5
    assert value("frames_failed_total", ("cause", "error")) == 2
    assert value("frames_dropped_total", ("cause", "superseded")) == 1
    assert value("frames_in_flight") == 2
    assert value("stream_healthy") == 0
    assert value("stream_reconnects_total") == 3
    assert value("lag_seconds", ("quantile", "0.99")) == 1.5


def test_an_address_that_is_taken_is_an_error(address: str) -> None:
    metrics = Metrics(address)
    try:
        with pytest.raises(OSError, match="in use"):
            Metrics(address)
    finally:
        metrics.close()


def test_a_run_without_streams_has_no_values() -> None:
    assert all(not family.samples for family in families(Status()))
