"""The sink of a pipe: JSON lines for a program that reads them as they come."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from onlooker.record.log.reader import Entry, Log
from onlooker.record.sinks.sink import Follower

FOLLOW_SECONDS = 0.25
"""Time between two looks at the log."""
END_SECONDS = 1.0
"""Time that an error or a signal waits for what is being written."""


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


@contextmanager
def following(log: Path, writer: LineWriter) -> Iterator[Callable[[], None]]:
    """Write the records of a log while the block runs, and all that it has then at the end.

    That is done in a thread: a pipe that nobody reads keeps the block neither from its work nor
    from its signals. If the block raises, it is waited for END_SECONDS only. Yields a function that
    raises what has ended the thread, if anything has: LogError, and what the file raises.
    """
    ended, errors = threading.Event(), list[Exception]()

    def follow() -> None:
        try:
            with Log(log) as opened:
                follower = Follower(opened, writer)
                while not ended.wait(FOLLOW_SECONDS):
                    follower.catch_up()
                follower.catch_up()
        except Exception as error:  # the main thread's to report
            errors.append(error)

    def check() -> None:
        for error in errors:
            raise error

    thread = threading.Thread(target=follow, name="lines", daemon=True)
    thread.start()
    try:
        yield check
    except BaseException:
        ended.set()
        thread.join(END_SECONDS)
        raise
    ended.set()
    thread.join()
    check()
