"""The formats of SQLite files: what marks a file as one's own, how a new one is made, and how an
older one is upgraded.

SQLite's `application_id` says which kind of file it is, `user_version` in which format it is.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from onlooker.errors import OnlookerError

Migrate = Callable[[sqlite3.Connection, int], None]
"""Brings the tables of a file of an earlier format up to date, within a transaction."""

RETRY_SECONDS = 0.01
"""Wait before a lock is asked for again."""


class FormatError(OnlookerError):
    """The file is of another kind, or of a newer format."""


@dataclass(frozen=True)
class FileFormat:
    """A kind of SQLite file and its formats."""

    kind: str
    """The field's words for it, such as "a log of records"."""
    application_id: int
    version: int
    """Number of today's format."""
    migrate: Migrate
    tables: str = ""
    """Statements that make the tables of a new file, each ending with its line."""

    def open(
        self,
        database: sqlite3.Connection,
        seconds: float,
        first: Callable[[sqlite3.Connection], object] = lambda _: None,
    ) -> None:
        """Make a new file's tables, or bring those of an earlier format up to date.

        The file gets a write-ahead log. Processes that do this at the same time wait for each
        other, for at most `seconds`. first: see `make`. The connection is one without transactions
        of its own (`isolation_level=None`). Raises FormatError, sqlite3.Error.
        """
        self.is_new(database)  # another program's file is left as it is
        write_ahead(database, seconds)
        self.make(database, first)
        self.upgrade(database)

    def make(
        self,
        database: sqlite3.Connection,
        first: Callable[[sqlite3.Connection], object] = lambda _: None,
    ) -> None:
        """Make the tables of a new file, wholly or not at all, unless another process has.

        first: puts the first rows into them. Raises FormatError, sqlite3.Error.
        """
        if not self.is_new(database):
            return
        with _changing(database):
            if self.is_new(database):
                for statement in self.tables.split(";\n"):
                    database.execute(statement)
                first(database)
                database.execute(f"PRAGMA application_id = {self.application_id}")
                database.execute(f"PRAGMA user_version = {self.version}")

    def is_new(self, database: sqlite3.Connection) -> bool:
        """Return whether a file has no tables yet.

        It is only read. To be asked before anything changes it, as setting its journal mode does: a
        file of another program is left as it was. Raises FormatError, sqlite3.Error.
        """
        (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables:
            self.found(database)
        return not tables

    def found(self, database: sqlite3.Connection) -> int:
        """Return the number of the format of a file. Raises FormatError, sqlite3.Error."""
        (owner,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if owner != self.application_id:
            raise FormatError(f"not {self.kind}; name another file, or move this one away")
        if version < 1:
            raise FormatError(f"{self.kind} without a format; restore a backup, or move it away")
        if version > self.version:
            raise FormatError(
                f"{self.kind} of format {version}, made by a newer Onlooker, and this one "
                f"reads up to {self.version}; install the newer Onlooker, or restore a backup"
            )
        return int(version)

    def upgrade(
        self, database: sqlite3.Connection, before: Callable[[], None] = lambda: None
    ) -> int:
        """Bring a file up to date, wholly or not at all; return the format that it had.

        before: called before it is changed, when no other process can write to it any more. The
        connection is one without transactions of its own (`isolation_level=None`). Raises
        FormatError, sqlite3.Error.
        """
        if self.found(database) == self.version:
            return self.version
        with _changing(database):
            found = self.found(database)  # another process may have upgraded it meanwhile
            before()
            self.migrate(database, found)
            database.execute(f"PRAGMA user_version = {self.version}")
        return found


@contextmanager
def _changing(database: sqlite3.Connection) -> Iterator[None]:
    """Do all or nothing, while no other process writes. Raises sqlite3.Error."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def write_ahead(database: sqlite3.Connection, seconds: float) -> None:
    """Turn on the write-ahead log, which a file keeps. Raises sqlite3.Error.

    For this statement alone SQLite does not wait for a lock.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(RETRY_SECONDS)


def statements(steps: Mapping[int, str]) -> Migrate:
    """Return what executes, for each earlier format, the statements that lead to the next one."""

    def migrate(database: sqlite3.Connection, found: int) -> None:
        for number in sorted(number for number in steps if number >= found):
            for statement in steps[number].split(";\n"):
                database.execute(statement)

    return migrate
