"""The journal of people as an SQLite file: its format, transactions and errors."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onlooker.file_format import FileFormat, FormatError, statements
from onlooker.identity.errors import StoreError

LOCK_TIMEOUT_SECONDS = 30.0

TABLES = """
CREATE TABLE visitors (
    appearance TEXT PRIMARY KEY,
    person TEXT,
    face_id TEXT,
    end REAL NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX visitors_by_person ON visitors (person, end);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    body BLOB NOT NULL,
    undone REAL,
    pending INTEGER NOT NULL
);
CREATE INDEX changes_pending ON changes (pending) WHERE pending;
CREATE TABLE refusals (
    appearance TEXT NOT NULL,
    person TEXT NOT NULL,
    change INTEGER NOT NULL REFERENCES changes (number),
    PRIMARY KEY (appearance, person, change)
) WITHOUT ROWID;
CREATE INDEX refusals_by_person ON refusals (person);
CREATE TABLE redirects (person TEXT PRIMARY KEY, target TEXT NOT NULL, change INTEGER NOT NULL);
CREATE TABLE hidden (person TEXT PRIMARY KEY);
CREATE TABLE cursors (log TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE ids (last INTEGER NOT NULL);
INSERT INTO ids VALUES (0);
"""
"""`visitors.person` is whose the appearance is; `face_id` the stored face, if its vector is kept.
`ids` has the last number that was given to an unknown person, so that none is given twice."""

FILE = FileFormat("a journal of people", 1330531408, 1, statements({}), TABLES)
"""Its application_id reads "ONLP"."""

RECOGNISED = """
CREATE TABLE IF NOT EXISTS recognised (
    appearance TEXT NOT NULL,
    record TEXT NOT NULL,
    person TEXT,
    PRIMARY KEY (appearance, record)
) WITHOUT ROWID;
"""
"""Who an appearance that still goes on seemed to be, in the event of this record."""


class JournalFile:
    """The file at `path`, made if there is none. All methods raise StoreError."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors():
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.execute("PRAGMA secure_delete = ON")
                self._open()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        self._database.close()

    def execute(self, query: str, values: Sequence[Any] = (), /) -> sqlite3.Cursor:
        with self._errors():
            return self._database.execute(query, values)

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:
        with self._errors():
            return self._database.executemany(query, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all or nothing, and exclude other processes that change something."""
        with self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _open(self) -> None:
        try:
            FILE.open(self._database, LOCK_TIMEOUT_SECONDS)
        except FormatError as error:
            raise StoreError(f"{self._path}: {error}") from error
        self._database.execute(RECOGNISED)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self._path}: {error}") from error
