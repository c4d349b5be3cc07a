"""The context of Kinesis' operations: the log, and the names of its topics."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from onlooker.api.context import Account, QueueName
from onlooker.record.log.topics import TopicLog
from onlooker.stream import processors
from onlooker.stream.stream_table import StreamTable

THREADS = 4
"""Requests that one process answers at a time."""


@dataclass(frozen=True, slots=True)
class KinesisContext(Account):
    """Settings, the log and the table of streams."""

    log: Path
    table: StreamTable
    _logs: dict[int, TopicLog] = field(default_factory=dict)
    """The log as each thread has it, by the thread's number."""

    @property
    def threads(self) -> Mapping[QueueName, int]:
        return {"store": THREADS}

    def check_ready(self) -> None:
        """Read the log. Raises LogError."""
        with self.reading() as log:
            if log is not None:
                log.topics()

    @contextmanager
    def reading(self) -> Iterator[TopicLog | None]:
        """Yield this thread's log; None if there is none yet. Raises LogError."""
        thread = threading.get_ident()
        log = self._logs.get(thread)
        if log is not None and not log.current:
            self._logs.pop(thread).close()  # a writer may have brought it up to date since
            log = None
        if log is None and self.log.exists():
            log = self._logs[thread] = TopicLog(self.log)
        yield log

    def streams(self) -> dict[str, float]:
        """Return the names of all data streams, each with the time of its creation, in order.

        A stream is there as soon as the configuration, the table or a processor names it, before
        its first record.
        """
        found: dict[str, float] = {}
        added = self.table.added()
        for name, source in {**self.settings.streams, **added}.items():
            found[source.topic or name] = 0.0
        for processor in processors.stored(self.table):
            found[processor.topic] = processor.created
        with self.reading() as log:
            if log is not None:
                found |= log.topics()
        return dict(sorted(found.items()))

    def close(self) -> None:
        """Close the log. No thread may be reading."""
        for log in self._logs.values():
            log.close()
