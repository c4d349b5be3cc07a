"""Counts for Prometheus, added up over all processes of the server.

Each process counts in files of the folder `$PROMETHEUS_MULTIPROC_DIR`, which is in the environment
that it is started with; any process can read them. Without it a process counts for itself alone.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from onlooker.models import model

REQUESTS = Counter(
    "onlooker_requests_total",
    "Requests answered, by operation and by HTTP status or the error's name.",
    ("operation", "result"),
)
SECONDS = Histogram(
    "onlooker_request_seconds",
    "From a request's headers to its answer.",
    ("operation",),
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
PENDING = Gauge(
    "onlooker_pending",
    "Requests that wait or are worked on, by queue.",
    ("queue",),
    multiprocess_mode="livesum",
)
BODIES = Gauge(
    "onlooker_body_bytes", "Bytes of bodies held in memory.", multiprocess_mode="livesum"
)
MODELS = Counter("onlooker_model_seconds_total", "Time that models have run.")
RESTARTS = Counter(
    "onlooker_worker_restarts_total", "Processes that died or hung, and were replaced."
)


class ModelSeconds:
    """Adds the run time of this process's models to MODELS."""

    def __init__(self) -> None:
        self._counted = model.seconds()

    def update(self) -> None:
        """Add the seconds since the last update."""
        now = model.seconds()
        MODELS.inc(max(0.0, now - self._counted))
        self._counted = now


def text(others: Sequence[Collector] = ()) -> bytes:
    """Return all counts in the form that Prometheus reads, with those of `others`."""
    return generate_latest(registry(others=others))


def registry(folder: str | None = None, others: Sequence[Collector] = ()) -> CollectorRegistry:
    """Return a registry that reads the counts of all processes whenever it is collected.

    folder: the folder of their files; None means this process's own.
    """
    counts = CollectorRegistry()
    MultiProcessCollector(counts, path=folder)  # type: ignore[no-untyped-call]
    for other in others:
        counts.register(other)
    return counts
