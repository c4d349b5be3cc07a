"""The metrics of a run, for Prometheus."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from onlooker.stream.messages import Status
from onlooker.stream.sink_status import SinkStatus


class Metrics:
    """A server of metrics at http://LISTEN/metrics. Raises OSError if it cannot listen.

    Call `update` with each new status; others may register with `registry` too.
    """

    def __init__(self, listen: str) -> None:
        self.status = Status()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        host, _, port = listen.rpartition(":")
        self._server, self._thread = start_http_server(int(port), host.strip("[]"), self.registry)

    def collect(self) -> Iterable[Metric]:
        return families(self.status)

    def update(self, status: Status) -> None:
        """Take the status as it is now."""
        self.status = status

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def families(status: Status) -> Iterator[Metric]:
    """Yield all metrics. Frames received are the sum of analysed, failed, dropped, in flight."""
    received = CounterMetricFamily("onlooker_frames_received", "Frames received", labels=["stream"])
    analysed = CounterMetricFamily("onlooker_frames_analysed", "Frames analysed", labels=["stream"])
    failed = CounterMetricFamily(
        "onlooker_frames_failed", "Frames recorded as failed", labels=["stream", "cause"]
    )
    dropped = CounterMetricFamily(
        "onlooker_frames_dropped", "Frames dropped", labels=["stream", "cause"]
    )
    appearances = CounterMetricFamily(
        "onlooker_appearances", "Visits of people that have begun", labels=["stream"]
    )
    readings = CounterMetricFamily(
        "onlooker_readings", "Lines of text that have come", labels=["stream"]
    )
    in_flight = GaugeMetricFamily(
        "onlooker_frames_in_flight", "Frames between source and log", labels=["stream"]
    )
    healthy = GaugeMetricFamily(
        "onlooker_stream_healthy", "1 if the source reports no error", labels=["stream"]
    )
    reconnects = CounterMetricFamily(
        "onlooker_stream_reconnects", "Connections after the first", labels=["stream"]
    )
    lag = GaugeMetricFamily(
        "onlooker_lag_seconds",
        "From source to log, of the last frames",
        labels=["stream", "quantile"],
    )
    for stream in status.streams:
        name, counts = stream.name, stream.counts
        received.add_metric([name], counts.received)
        analysed.add_metric([name], counts.done)
        appearances.add_metric([name], counts.appearances)
        readings.add_metric([name], counts.readings)
        for cause, number in counts.failed.items():
            failed.add_metric([name, cause], number)
        for drop, number in counts.dropped.items():
            dropped.add_metric([name, drop], number)
        in_flight.add_metric([name], stream.in_flight)
        healthy.add_metric([name], not stream.health)
        reconnects.add_metric([name], stream.reconnects)
        for quantile, seconds in zip(("0.5", "0.99"), stream.lag, strict=True):
            lag.add_metric([name, quantile], seconds)
    busy = CounterMetricFamily(
        "onlooker_worker_busy_seconds", "Time in its step", labels=["worker", "stage"]
    )
    frames = CounterMetricFamily("onlooker_worker_frames", "Frames", labels=["worker", "stage"])
    for worker in status.workers:
        name = f"{worker.machine}/{worker.process}" if worker.machine else worker.process
        busy.add_metric([name, worker.stage], worker.busy)
        frames.add_metric([name, worker.stage], worker.frames)
    yield from (
        received,
        analysed,
        failed,
        dropped,
        appearances,
        readings,
        in_flight,
        healthy,
        reconnects,
        lag,
        busy,
        frames,
    )


class SinkMetrics(Collector):
    """A collector of the metrics of sinks; `status` returns how they are."""

    def __init__(self, status: Callable[[], Sequence[SinkStatus]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        labels = ["sink", "kind"]
        backlog = GaugeMetricFamily(
            "onlooker_sink_backlog", "Records of the log that were not sent yet", labels=labels
        )
        healthy = GaugeMetricFamily(
            "onlooker_sink_healthy", "1 if the last attempt did not fail", labels=labels
        )
        sent = CounterMetricFamily("onlooker_sink_messages", "Messages taken", labels=labels)
        lost = CounterMetricFamily(
            "onlooker_sink_lost_records",
            "Removed by retention before they were sent",
            labels=labels,
        )
        too_large = CounterMetricFamily(
            "onlooker_sink_too_large", "Messages larger than the destination allows", labels=labels
        )
        for sink in self._status():
            values = [sink.name, sink.kind]
            backlog.add_metric(values, sink.backlog)
            healthy.add_metric(values, sink.state in ("well", "starting"))
            sent.add_metric(values, sink.sent)
            lost.add_metric(values, sink.lost)
            too_large.add_metric(values, sink.too_large)
        yield from (backlog, healthy, sent, lost, too_large)
