"""Spans of requests, as a collector receives them; those of a real server are in test_app."""

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.support.api import ask, context
from tests.support.collector import Collector, collecting

from onlooker.api.app import Server
from onlooker.api.request_traces import RequestTraces
from onlooker.traces import Spans

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as opened:
        yield opened


def asked(collector: Collector, share: float, parents: list[str]) -> list[str]:
    """Send a request for each `traceparent`, and return the RequestIds."""
    spans = Spans(collector.url + "/v1/traces", "api.1")
    server = Server(context(), None, traces=RequestTraces(spans, share))

    async def ask_all() -> list[str]:
        answers = [
            await ask(
                server,
                "RekognitionService.DetectLabels",
                {},
                [("traceparent", parent)] if parent else [],
            )
            for parent in parents
        ]
        return [answer.headers["x-amzn-RequestId"] for answer in answers]

    try:
        return asyncio.run(ask_all())
    finally:
        server.close()
        spans.close()


def test_the_request_id_is_the_traces(collector: Collector) -> None:
    [request_id] = asked(collector, 1.0, [""])
    [span] = collector.spans
    assert span.trace == request_id.replace("-", "")
    assert span.parent == ""
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.attributes["aws.request_id"] == request_id
    assert span.error == span.attributes["error.type"] == "UnknownOperationException"
    assert 0 < span.ended - span.began < 30 * 10**9


def test_a_client_that_traces_has_the_request_in_its_trace(collector: Collector) -> None:
    asked(collector, 0.0, [f"00-{TRACE}-{PARENT}-01", f"01-{TRACE}-{PARENT}-03-more"])
    assert [(span.trace, span.parent) for span in collector.spans] == [(TRACE, PARENT)] * 2
    assert len({span.id for span in collector.spans}) == 2


def test_a_client_that_does_not_keep_its_trace(collector: Collector) -> None:
    asked(collector, 1.0, [f"00-{TRACE}-{PARENT}-00"])
    assert collector.spans == []


@pytest.mark.parametrize(
    "header",
    [
        "x",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
    ],
)
def test_a_header_that_is_invalid_is_ignored(collector: Collector, header: str) -> None:
    [request_id] = asked(collector, 1.0, [header])
    [span] = collector.spans
    assert (span.trace, span.parent) == (request_id.replace("-", ""), "")


def test_a_share(collector: Collector) -> None:
    request_ids = asked(collector, 0.25, [""] * 60)
    expected = {uuid.UUID(each).hex for each in request_ids if int(each[:8], 16) < 2**30}
    assert {span.trace for span in collector.spans} == expected
