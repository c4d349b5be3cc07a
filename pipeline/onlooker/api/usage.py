"""Answered calls by day and operation, kept in a file: what the service is used for, and how much.

Processes count in memory and add their counts to the file every few seconds, so that no request
waits for a disk. A process that is killed loses the calls of its last seconds.
"""

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from onlooker.file_format import FileFormat, FormatError, statements

FLUSH_SECONDS = 5.0
LOCK_TIMEOUT_SECONDS = 5.0
NAME = "usage.db"

TABLE = (
    "CREATE TABLE calls (day TEXT, operation TEXT, number INTEGER NOT NULL, "
    "PRIMARY KEY (day, operation)) WITHOUT ROWID"
)
FILE = FileFormat("a count of answered calls", 1330533205, 1, statements({}), TABLE)
"""Its application_id reads "ONSU"."""
ADD = (
    "INSERT INTO calls VALUES (?, ?, ?) "
    "ON CONFLICT (day, operation) DO UPDATE SET number = number + excluded.number"
)

logger = logging.getLogger(__name__)


class Usage:
    """The counts of one process; threads may count together.

    store: the file of the collections, beside which the counts are.
    """

    def __init__(self, store: Path) -> None:
        self._path = path_of(store)
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._flush_regularly, daemon=True)
        self._thread.start()

    def count(self, operation: str) -> None:
        """Count a call that was answered."""
        day = datetime.now(UTC).date().isoformat()
        with self._lock:
            self._counts[day, operation] += 1

    def flush(self) -> None:
        """Add the counts to the file. If it cannot be written they are kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            with _opened(self._path) as database, database:
                database.executemany(ADD, [(*key, number) for key, number in counts.items()])
        except (sqlite3.Error, FormatError) as error:
            logger.warning("usage not written path=%s cause=%s", self._path, error)
            with self._lock:
                self._counts.update(counts)

    def close(self) -> None:
        """Write what is left."""
        self._ended.set()
        self._thread.join()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _flush_regularly(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            self.flush()


def path_of(store: Path) -> Path:
    """Return the path of the counts beside a store of collections."""
    return store.with_name(NAME)


def months(store: Path) -> list[str]:
    """Return the months with calls, such as "2026-11", the newest first.

    Raises sqlite3.Error, FormatError.
    """
    if not path_of(store).exists():
        return []
    with _opened(path_of(store)) as database:
        found = database.execute("SELECT DISTINCT substr(day, 1, 7) FROM calls ORDER BY 1 DESC")
        return [month for (month,) in found]


def calls(store: Path, month: str) -> Mapping[str, int]:
    """Return the calls of a month, in UTC, by operation. Raises sqlite3.Error, FormatError."""
    if not path_of(store).exists():
        return {}
    with _opened(path_of(store)) as database:
        found = database.execute(
            "SELECT operation, sum(number) FROM calls WHERE substr(day, 1, 7) = ? "
            "GROUP BY operation ORDER BY operation",
            (month,),
        )
        return dict(found.fetchall())


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS)) as database:
        FILE.make(database)
        FILE.upgrade(database)
        yield database
