"""The settings of traces."""

from typing import Annotated

from msgspec import Meta

from onlooker.config.section import Ratio, Section


class Telemetry(Section, frozen=True, kw_only=True):
    """`[telemetry]`: traces for OpenTelemetry, with the extra `[otel]`."""

    traces: Annotated[str, Meta(pattern=r"^https?://\S+$")] | None = None
    """Collector that takes OTLP over HTTP, such as "http://localhost:4318"; None means that of the
    variable OTEL_EXPORTER_OTLP_ENDPOINT, and no traces without it."""
    frames: Ratio = 0.01
    """Share of the frames whose way from the source to the log is traced."""
    requests: Ratio = 1.0
    """Share of the requests to the API that are traced, unless the client says it."""
