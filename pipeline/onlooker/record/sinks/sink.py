"""The seam for destinations of records: a sink, and what drives it.

The log comes first, and every sink follows it: a sink is never written to before the record is on
the disk, and whatever happens to its destination, the records wait in the log. A sink is written to
at least once per record, in the order of the log; the RecordId tells a consumer what it already
has. `onlooker.record.sinks.json_lines` and `onlooker.record.sinks.publish` are sinks.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from onlooker.record.log.reader import PAGE_RECORDS, Entry, Log


class Sink(Protocol):
    """A destination of a log's records."""

    @property
    def position(self) -> int:
        """Position in the log of the last record that the destination has; 0 before the first."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Write records that follow on `position`, and move it.

        If it raises, `position` is that of the last record written: the others come again.
        """

    def close(self) -> None:
        """Release the destination."""


class Follower:
    """Keeps `sink` up to date with `log`; `batch` records are written at once at most."""

    def __init__(self, log: Log, sink: Sink, batch: int = PAGE_RECORDS) -> None:
        self._log = log
        self._sink = sink
        self._batch = batch
        self._version: tuple[int, int] | None = None
        """Version of the log at which the sink had all of its records."""

    def step(self) -> int:
        """Write the next records and return how many there were; cheap if the log is unchanged.

        Raises LogError if the log cannot be read, and what the sink raises.
        """
        version = self._log.version
        if version == self._version:
            return 0
        entries = self._log.after(self._sink.position, self._batch)
        if entries:
            self._sink.write(entries)
        else:
            self._version = version
        return len(entries)

    def catch_up(self) -> None:
        """Write all records that the sink does not have. Raises as `step` does."""
        while self.step():
            pass


class Cursor:
    """The position of a sink in a file, for a destination that cannot tell it.

    It survives the process that wrote it, but not a loss of power. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> int:
        """Return the position; 0 if none was written."""
        return int.from_bytes(os.pread(self._file, 8, 0), "little")

    def write(self, position: int) -> None:
        os.pwrite(self._file, position.to_bytes(8, "little"), 0)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
