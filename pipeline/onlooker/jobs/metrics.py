"""The metrics of jobs, for Prometheus: read from the database whenever they are asked for."""

from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from onlooker.jobs.job import JobKind, JobState
from onlooker.jobs.job_store import JobStore


class JobMetrics(Collector):
    """A collector of Prometheus's client."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics. Raises JobError."""
        jobs = GaugeMetricFamily(
            "onlooker_jobs", "Jobs that are kept, by kind and state", labels=["kind", "state"]
        )
        counts = self._store.counts()
        for kind in get_args(JobKind):
            for state in get_args(JobState):
                jobs.add_metric([kind, state], counts.get((kind, state), 0))
        progress = GaugeMetricFamily(
            "onlooker_job_progress",
            "Share of the video that is done, of each open job",
            labels=["job", "kind"],
        )
        frames = GaugeMetricFamily(
            "onlooker_job_frames", "Frames analysed, of each open job", labels=["job", "kind"]
        )
        for job in self._store.jobs():
            if job.state == "IN_PROGRESS":
                progress.add_metric([job.id, job.request.kind], job.progress)
                frames.add_metric([job.id, job.request.kind], job.frames)
        notices = GaugeMetricFamily(
            "onlooker_job_notices", "Notices that their topic has not taken yet"
        )
        [(waiting,)] = self._store.database.rows("SELECT count(*) FROM notices")
        notices.add_metric([], float(str(waiting)))
        yield from (jobs, progress, frames, notices)
