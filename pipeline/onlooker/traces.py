"""Spans for OpenTelemetry: sent to a collector by OTLP over HTTP, in the background.

A collector that is slow, full or away costs spans, and nothing else. OpenTelemetry's packages are
an extra, and are imported only if there is a collector.
"""

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from onlooker.errors import OnlookerError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables that name a collector if the configuration does not."""
PATH = "/v1/traces"
SEND_SECONDS = 1.0
"""Time between two deliveries, for one of them, and at most for the last one."""

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

logger = logging.getLogger(__name__)


class TracesError(OnlookerError):
    """Traces cannot be sent; the text says why and what to do."""


class Ids(NamedTuple):
    """The identity of a span."""

    trace: int
    """128 bits."""
    span: int
    """64 bits."""


def check(configured: str | None) -> None:
    """Raise TracesError if traces are configured, and what sends them is not installed.

    configured: `[telemetry] traces`. If only a variable of the environment asks for traces, it is a
    warning in the log: that may be meant for other programs.
    """
    if _collector(configured) is None:
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as error:
        advice = f"needs OpenTelemetry ({error}): `pip install 'onlooker[otel]'`"
        if configured is None:
            logger.warning("no traces are sent: %s %s", " or ".join(ENDPOINTS), advice)
        else:
            raise TracesError(f"[telemetry] traces {advice}, or remove the setting") from error


def open_spans(configured: str | None, process: str) -> "Spans | None":
    """Return what sends the spans of this process, called `process`; None if nothing is to be sent.

    configured: as `check`, which has been called, has it. Raises TracesError.
    """
    url = _collector(configured)
    if url is None:
        return None
    try:
        return Spans(url, process)
    except ImportError:
        check(configured)
        return None


def _collector(configured: str | None) -> str | None:
    """Return the URL to which spans are sent, if there is one."""
    if configured is not None:
        return configured if configured.endswith(PATH) else configured.rstrip("/") + PATH
    full, base = map(os.environ.get, ENDPOINTS)
    return full or (base.rstrip("/") + PATH if base else None)


class Spans:
    """A sender of the spans of this process, called `process`, to `url`."""

    def __init__(self, url: str, process: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
        from opentelemetry.sdk.trace.id_generator import IdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        class Given(IdGenerator):
            """The ids of the next span."""

            ids = Ids(1, 1)

            def generate_trace_id(self) -> int:
                return self.ids.trace

            def generate_span_id(self) -> int:
                return self.ids.span

        class Told(SpanExporter):
            """An exporter that logs when its deliveries begin to fail, and when they succeed."""

            def __init__(self, exporter: SpanExporter) -> None:
                self._exporter = exporter
                self._well = True
                self._cause = _FirstMessage()

            def export(self, spans: Any) -> Any:
                self._cause.text = ""
                result = self._exporter.export(spans)
                if self._well and result.name != "SUCCESS":
                    logger.warning("traces are lost url=%s cause=%s", url, self._cause.text)
                elif not self._well and result.name == "SUCCESS":
                    logger.warning("traces are delivered again url=%s", url)
                self._well = result.name == "SUCCESS"
                return result

            def shutdown(self) -> None:
                self._exporter.shutdown()

        self._given = Given()
        self._lock = threading.Lock()  # from the ids to the span that has them
        exporter = Told(OTLPSpanExporter(url, timeout=SEND_SECONDS))
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({"service.name": "onlooker", "service.instance.id": process}),
            id_generator=self._given,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=1000 * SEND_SECONDS)
        )
        self._tracer = self._provider.get_tracer("onlooker")

    def add(
        self,
        name: str,
        ids: Ids,
        parent: int | None,
        times: tuple[int, int],
        attributes: Attributes,
        error: str | None = None,
        *,
        server: bool = False,
    ) -> None:
        """Send a span that is over, soon; do not wait for it.

        parent: id of a span of the same trace. times: begin and end, in nanoseconds since 1970.
        server: whether it answers a request.
        """
        from opentelemetry import trace
        from opentelemetry.context import Context

        context = Context()
        if parent is not None:
            above = trace.SpanContext(
                ids.trace, parent, is_remote=True, trace_flags=trace.TraceFlags(1)
            )
            context = trace.set_span_in_context(trace.NonRecordingSpan(above), context)
        kind = trace.SpanKind.SERVER if server else trace.SpanKind.INTERNAL
        with self._lock:
            self._given.ids = ids
            span = self._tracer.start_span(
                name, context, kind, attributes=attributes, start_time=times[0]
            )
        if error is not None:
            span.set_status(trace.Status(trace.StatusCode.ERROR, error))
        span.end(times[1])

    def close(self) -> None:
        """Send what is left, if that takes no longer than SEND_SECONDS."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(SEND_SECONDS)


class _FirstMessage(logging.Handler):
    """The first message of OpenTelemetry about a delivery; it would log each attempt."""

    text = ""

    def __init__(self) -> None:
        super().__init__()
        library = logging.getLogger("opentelemetry")
        library.addHandler(self)
        library.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.text = self.text or record.getMessage()
