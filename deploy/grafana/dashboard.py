"""The dashboard for Grafana. `python deploy/grafana/dashboard.py` writes onlooker.json."""

import sys
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableHide,
    VariableRefresh,
)

FILE = Path(__file__).with_name("onlooker.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
STREAMS = 'stream=~"$stream"'
WIDTH, HEIGHT = 12, 8
"""Of a panel, in Grafana's grid of 24 columns."""


def rate(metric: str, by: str = "", selector: str = "") -> str:
    """Return the expression of a counter's rate, summed by labels."""
    expression = f"rate({metric}{{{selector}}}[$__rate_interval])"
    return f"sum by ({by}) ({expression})" if by else expression


def p99(metric: str, by: str) -> str:
    """Return the expression of a histogram's 99th percentile."""
    return f"histogram_quantile(0.99, {rate(f'{metric}_bucket', f'{by}, le')})"


ROWS: dict[str, list[tuple[str, str, dict[str, str]]]] = {
    "Streams": [
        (
            "Frames analysed per second",
            "short",
            {rate("onlooker_frames_analysed_total", "stream", STREAMS): "stream"},
        ),
        (
            "Frames dropped per second, by cause",
            "short",
            {rate("onlooker_frames_dropped_total", "stream, cause", STREAMS): "stream cause"},
        ),
        (
            "Frames failed per second, by cause",
            "short",
            {rate("onlooker_frames_failed_total", "stream, cause", STREAMS): "stream cause"},
        ),
        (
            "Seconds from camera to log, 99th percentile",
            "s",
            {f'onlooker_lag_seconds{{{STREAMS},quantile="0.99"}}': "stream"},
        ),
        ("Sources that work", "short", {f"onlooker_stream_healthy{{{STREAMS}}}": "stream"}),
        (
            "Visits and lines of text per second",
            "short",
            {
                rate("onlooker_appearances_total", "stream", STREAMS): "stream visits",
                rate("onlooker_readings_total", "stream", STREAMS): "stream lines",
            },
        ),
        (
            "Share of the time in which a worker is busy",
            "percentunit",
            {rate("onlooker_worker_busy_seconds_total", "worker, stage"): "worker stage"},
        ),
        (
            "Frames between camera and log",
            "short",
            {f"onlooker_frames_in_flight{{{STREAMS}}}": "stream"},
        ),
    ],
    "Sinks": [
        ("Records to send", "short", {"onlooker_sink_backlog": "sink"}),
        ("Messages per second", "short", {rate("onlooker_sink_messages_total", "sink"): "sink"}),
    ],
    "API": [
        (
            "Requests per second, by result",
            "reqps",
            {rate("onlooker_requests_total", "operation, result"): "operation result"},
        ),
        (
            "Seconds of a request, 99th percentile",
            "s",
            {p99("onlooker_request_seconds", "operation"): "operation"},
        ),
        ("Requests that wait or are worked on", "short", {"onlooker_pending": "queue"}),
        (
            "Jobs that run, and their progress",
            "short",
            {'onlooker_jobs{state="IN_PROGRESS"}': "kind", "onlooker_job_progress": "job"},
        ),
    ],
}
"""Title, unit, and the legend of each expression: names of labels, and words as they are."""

LABELS = {
    "stream",
    "cause",
    "worker",
    "stage",
    "sink",
    "operation",
    "result",
    "queue",
    "kind",
    "job",
}


def legend(words: str) -> str:
    """Return the template of a legend."""
    return " ".join(f"{{{{{word}}}}}" if word in LABELS else word for word in words.split())


def panel(title: str, unit: str, expressions: dict[str, str]) -> timeseries.Panel:
    """Return a panel with a line for each series."""
    made = timeseries.Panel().title(title).unit(unit).datasource(SOURCE).min(0)
    shown = common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST)
    made.legend(shown.placement(LegendPlacement.BOTTOM).calcs([]))
    for letter, (expression, words) in zip("ABCD", expressions.items(), strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(legend(words))
        made.with_target(query.ref_id(letter).datasource(SOURCE))
    return made.span(WIDTH).height(HEIGHT)


def build() -> str:
    """Return the dashboard as JSON."""
    made = (
        dashboard.Dashboard("Onlooker")
        .uid("onlooker")
        .description("Streams, sinks and API of Onlooker.")
        .tags(["onlooker"])
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("stream")
            .label("Stream")
            .datasource(SOURCE)
            .query("label_values(onlooker_frames_received_total, stream)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .hide(VariableHide.DONT_HIDE)
            .include_all(True)
            .multi(True)
        )
    )
    for title, panels in ROWS.items():
        made.with_row(dashboard.Row(title))
        for each in panels:
            made.with_panel(panel(*each))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(build(), encoding="utf-8")
    print(FILE, file=sys.stderr)
