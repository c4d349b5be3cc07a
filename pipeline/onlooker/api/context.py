"""The context of operations: what all of them share in one process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from onlooker.config.schema import Config
from onlooker.identity.search.searcher import Searcher
from onlooker.jobs.job_store import JobStore
from onlooker.media.buckets import Buckets
from onlooker.vision.analyser import Analyser


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
class Context:
    """Settings, known faces, buckets and models."""

    settings: Config
    searcher: Searcher
    """Collections, for vectors of this server's embedder."""
    buckets: Buckets
    analysers: AnalyserPool
    jobs: JobStore | None = None
    """None if the server takes no jobs."""
    url: str = ""
    """The server's own."""

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a service's resource, such as "collection/staff"."""
        record = self.settings.record
        return f"arn:aws:{service}:{record.region}:{record.account}:{resource}"
