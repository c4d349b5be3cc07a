"""The sink of a pipe: JSON lines for a program that reads them as they come."""

from collections.abc import Sequence
from typing import BinaryIO

from onlooker.record.log.reader import Entry


class LineWriter:
    """Writes the records of some streams to an open file, one JSON line each."""

    def __init__(self, file: BinaryIO) -> None:
        self.position = 0
        self.streams: frozenset[str] = frozenset()
        """The streams; the log may have others."""
        self._file = file

    def write(self, entries: Sequence[Entry]) -> None:
        """Write records and flush. Raises OSError, OutputError as the file does."""
        for entry in entries:
            if entry.stream in self.streams:
                self._file.write(entry.body + b"\n")
            self.position = entry.position
        self._file.flush()

    def close(self) -> None:
        """Leave the file open: it is the caller's."""
