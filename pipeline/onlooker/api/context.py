"""The context of operations: what all of them share in one process."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Literal

from prometheus_client.registry import Collector

from onlooker.config.schema import Config
from onlooker.identity.search.searcher import Searcher
from onlooker.jobs.job_store import JobStore
from onlooker.jobs.metrics import JobMetrics
from onlooker.media.buckets import Buckets
from onlooker.stream.stream_table import StreamTable
from onlooker.vision.analyser import Analyser

QueueName = Literal["images", "store", "buckets"]
"""The queues of threads: for work that needs models, for short work that needs none, and for
downloads, which wait for another server."""
STORE_THREADS = 4
"""Threads for work that needs no models."""
BUCKET_THREADS = 8
"""Objects of buckets that are fetched at once."""


class AnalyserPool:
    """The loaded models; each analyser is lent to one thread at a time."""

    def __init__(self, analysers: Sequence[Analyser]) -> None:
        self._free: SimpleQueue[Analyser] = SimpleQueue()
        self._size = len(analysers)
        for each in analysers:
            self._free.put(each)

    def __len__(self) -> int:
        return self._size

    @contextmanager
    def lend(self) -> Iterator[Analyser]:
        """Lend an analyser; wait until one is free."""
        analyser = self._free.get()
        try:
            yield analyser
        finally:
            self._free.put(analyser)


@dataclass(frozen=True, slots=True)
class Account:
    """The settings, with the account and region that all services share."""

    settings: Config

    @property
    def threads(self) -> Mapping[QueueName, int]:
        """The threads of each queue."""
        raise NotImplementedError

    def check_ready(self) -> None:
        """Read what is stored. Raises OnlookerError if it cannot be read."""
        raise NotImplementedError

    def collectors(self) -> Sequence[Collector]:
        """Return what Prometheus collects beside the counts of requests."""
        return ()

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a service's resource, such as "collection/staff"."""
        record = self.settings.record
        return f"arn:aws:{service}:{record.region}:{record.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Context(Account):
    """Settings, known faces, buckets, models and the table of streams."""

    searcher: Searcher
    """Collections, for vectors of this server's embedder."""
    buckets: Buckets
    analysers: AnalyserPool
    streams: StreamTable | None = None
    """None if the server knows no stream processors."""
    jobs: JobStore | None = None
    """None if the server takes no jobs."""
    url: str = ""
    """The server's own."""

    @property
    def threads(self) -> Mapping[QueueName, int]:
        return {"images": len(self.analysers), "store": STORE_THREADS, "buckets": BUCKET_THREADS}

    def check_ready(self) -> None:
        """Read the list of collections. Raises StoreError."""
        self.searcher.collections(1)

    def collectors(self) -> Sequence[Collector]:
        return [] if self.jobs is None else [JobMetrics(self.jobs)]
