"""Spans that are sent to a collector, with OpenTelemetry's own exporter."""

import logging
import sys
import threading
import time

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.support.collector import Collector, collecting

from onlooker import traces
from onlooker.traces import ENDPOINTS, Ids, TracesError, check, open_spans


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)


def send(configured: str | None) -> None:
    spans = open_spans(configured, "detect-0.1")
    assert spans is not None
    spans.add("frame", Ids(2**127, 5), None, (10**18, 10**18 + 7), {"onlooker.frame": 3})
    spans.add("detect", Ids(2**127, 6), 5, (10**18, 10**18 + 5), {"a": "b"}, "no", server=True)
    spans.close()


def test_a_collector_gets_ids_times_attributes_and_errors() -> None:
    with collecting() as collector:
        send(collector.url)
        first, second = sorted(collector.spans, key=lambda each: each.id)
    assert first.trace == second.trace == f"{2**127:032x}"
    assert (first.name, first.id, first.parent) == ("frame", f"{5:016x}", "")
    assert (first.began, first.ended) == (10**18, 10**18 + 7)
    assert (first.attributes, first.error) == ({"onlooker.frame": 3}, None)
    assert (second.name, second.parent, second.error) == ("detect", first.id, "no")
    assert (first.kind, second.kind) == (Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_SERVER)
    assert first.resource["service.name"] == "onlooker"
    assert first.resource["service.instance.id"] == "detect-0.1"


@pytest.mark.parametrize("name", ENDPOINTS)
def test_variables_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector, collecting() as other:
        path = traces.PATH if "TRACES" in name else ""
        monkeypatch.setenv(name, f"{other.url}{path}")
        send(None)
        assert len(other.spans) == 2
        send(collector.url + "/")  # what is configured comes first
        send(collector.url + traces.PATH)
        assert (len(collector.spans), len(other.spans)) == (4, 2)


def test_without_a_collector_nothing_is_loaded_or_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, module)
    check(None)
    assert open_spans(None, "hub.1") is None
    assert not any(name.startswith("opentelemetry") for name in sys.modules)


def test_without_the_packages(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is configured is an error; a variable may be meant for other programs."""
    for module in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for call in (check, lambda url: open_spans(url, "hub.1")):
        with pytest.raises(TracesError, match=r"pip install 'onlooker\[otel\]'"):
            call("http://127.0.0.1:9")
    monkeypatch.setenv(ENDPOINTS[1], "http://127.0.0.1:9")
    check(None)
    assert open_spans(None, "hub.1") is None
    assert "OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry" in caplog.text


def deliver(collector: Collector, spans: traces.Spans, count: int) -> None:
    """Have so many further deliveries tried."""
    for number in range(count):
        before = collector.requests
        spans.add("frame", Ids(1 + number, 1), None, (1, 2), {})
        end = time.monotonic() + 30
        while collector.requests == before:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_collector_that_refuses_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with collecting() as collector:
        spans = open_spans(collector.url, "hub.1")
        assert spans is not None
        collector.status = 400
        deliver(collector, spans, 2)
        collector.status = 200
        deliver(collector, spans, 1)
        spans.close()
    messages = [each.getMessage() for each in caplog.records if each.name == "onlooker.traces"]
    assert len(messages) == 2
    assert "traces are lost" in messages[0]
    assert "400" in messages[0]
    assert "traces are delivered again" in messages[1]


@pytest.mark.parametrize("what", ["hangs", "is away"])
def test_a_collector_that_does_not_answer_costs_no_time(what: str) -> None:
    before = threading.enumerate()
    with collecting() as collector:
        collector.hang.clear()
        url = collector.url if what == "hangs" else "http://127.0.0.1:9"
        spans = open_spans(url, "hub.1")
        assert spans is not None
        for number in range(10_000):  # more than are kept
            spans.add("frame", Ids(1 + number, 1), None, (1, 2), {})
        began = time.monotonic()
        spans.close()
        assert time.monotonic() - began < 10
        collector.hang.set()
        # What still tries to deliver uses `random`, which would disturb the tests after this one.
        for thread in set(threading.enumerate()) - set(before):
            if thread.daemon:
                thread.join(60)
                assert not thread.is_alive()
