"""The store's transactions in PostgreSQL, for many processes on many machines.

A change holds the row of the table `counter` from its beginning to its commit. So changes follow
each other as in SQLite, and change numbers ascend in the order of commits. Readers never wait. A
commit is on the server's disk when it returns.

The server may go and come back: connections that have died are replaced, and what had not begun
to change anything is tried once more.
"""

import os
import queue
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.errors import DiskFull

from onlooker.identity.errors import StoreClosed, StoreError, StoreLocked, StoreUnreachable
from onlooker.identity.postgres import postgres_tables
from onlooker.identity.postgres.postgres_connection import (
    LOCK_SECONDS,
    PostgresConnection,
    explain,
)
from onlooker.identity.postgres.postgres_tables import SCHEMA
from onlooker.identity.shared_commits import SharedCommits
from onlooker.sql import Connection

MAX_READERS = 8
"""Connections of a process that read at a time; further readers wait."""
CREATION_LOCK = 0x4F6E6C6B
"""Key of the lock that a process holds while it creates the tables."""
LOCK = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT change FROM counter FOR UPDATE"
HISTORY = (
    "SELECT concat_ws('-', to_regclass(?)::oid, CASE WHEN NOT pg_is_in_recovery() "
    "THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END)"
)
"""The number of the table, which a restored dump changes, and of the server's timeline, which a
failover or a recovery to an earlier time changes."""


class PostgresDatabase(SharedCommits[PostgresConnection]):
    """The database at `url`, whose tables are created if there are none. Raises StoreError."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.history = ""
        self._process = os.getpid()
        self._closed = False
        self._room = threading.BoundedSemaphore(MAX_READERS)
        self._readers: queue.LifoQueue[PostgresConnection] = queue.LifoQueue()
        self._writer = PostgresConnection(url)
        self.place = self._writer.place
        try:
            self._create()
            self.history = _history(self._writer)
        except psycopg.Error as error:
            self._writer.close()
            raise explain(self.place, error) from error
        except BaseException:
            self._writer.close()
            raise

    def close(self) -> None:
        self._closed = True
        with suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()
        self._writer.close()

    def connect(self) -> PostgresConnection:
        """Return another connection, which the caller closes. Raises StoreError."""
        connection = PostgresConnection(self._url)
        try:
            self.history = _history(connection)
        except psycopg.Error as error:
            connection.close()
            raise explain(self.place, error) from error
        return connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that shows the database as of one moment."""
        with self._reader("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as (reader, _):
            try:
                yield reader
            finally:
                with suppress(psycopg.Error):  # a dead one is not used again
                    reader.execute("ROLLBACK")

    def rows(self, query: str, values: Sequence[object]) -> list[Any]:
        """Return the rows of one query."""
        with self._reader(query, values) as (_, found):
            return found

    # Transactions

    _failures = psycopg.Error

    def _begin(self) -> None:
        """Begin a transaction, on a new connection if the one at hand has died."""
        fresh = not self._writer.usable
        if fresh:
            self._replace_writer()
        try:
            self._lock()
        except psycopg.OperationalError:
            if fresh or self._writer.usable:
                raise
            self._replace_writer()
            self._lock()

    def _lock(self) -> None:
        try:
            # One round trip; prepared statements cannot be two.
            self._writer.psycopg.execute(LOCK, prepare=False)
        except psycopg.Error:
            self._undo()
            raise

    def _end(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except psycopg.OperationalError as error:
            raise StoreUnreachable(
                f"{self.place}: the connection was lost during the commit, and it is not known "
                "whether the change was made; send the request again, with the same "
                "ClientRequestToken or ExternalImageId"
            ) from error

    def _undo(self) -> None:
        try:
            if self._in_transaction():
                self._writer.execute("ROLLBACK")
        except psycopg.Error:
            self._writer.close()

    def _in_transaction(self) -> bool:
        return not self._writer.usable

    def _may_be_due_to_one(self, error: psycopg.Error) -> bool:
        # A lost connection, a lock of another process or a server that shuts down is not.
        return not isinstance(error, psycopg.OperationalError) or isinstance(error, DiskFull)

    def _explained(self, error: psycopg.Error) -> StoreError:
        return explain(self.place, error)

    def _replace_writer(self) -> None:
        self._writer.close()
        self._writer = self.connect()

    @contextmanager
    def _reader(
        self, first: str, values: Sequence[object] = ()
    ) -> Iterator[tuple[PostgresConnection, list[Any]]]:
        """Yield a connection that has run the first statement, and that one's rows."""
        self._check_open()
        if not self._room.acquire(timeout=LOCK_SECONDS):
            raise StoreLocked(
                f"{self.place}: {MAX_READERS} others have read for {LOCK_SECONDS:.0f} s; try again"
            )
        reader: PostgresConnection | None = None
        try:
            reader, found = self._first(first, values)
            yield reader, found
        except psycopg.Error as error:
            raise explain(self.place, error) from error
        finally:
            if reader is not None:
                if self._closed or not reader.usable:
                    reader.close()
                else:
                    self._readers.put(reader)
            self._room.release()

    def _first(self, query: str, values: Sequence[object]) -> tuple[PostgresConnection, list[Any]]:
        """Run a first statement, on a new connection if those at hand have died."""
        with suppress(queue.Empty):
            while True:
                reader = self._readers.get_nowait()
                try:
                    return reader, _rows(reader, query, values)
                except psycopg.OperationalError:
                    if reader.usable:
                        self._readers.put(reader)
                        raise
                    reader.close()
                except BaseException:
                    reader.close()
                    raise
        reader = self.connect()
        try:
            return reader, _rows(reader, query, values)
        except BaseException:
            reader.close()
            raise

    def _create(self) -> None:
        """Create schema and tables, one process at a time."""
        writer = self._writer
        writer.execute("BEGIN")
        try:
            writer.execute("SELECT pg_advisory_xact_lock(?)", (CREATION_LOCK,))
            [(schema,)] = writer.execute("SELECT to_regnamespace(?)::text", (SCHEMA,)).fetchall()
            if schema is None:
                writer.execute(f"CREATE SCHEMA {SCHEMA}")
            postgres_tables.create(
                writer, self.place, (secrets.token_bytes(16), secrets.token_bytes(32))
            )
            writer.execute("COMMIT")
        except BaseException:
            self._undo()
            raise

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            raise StoreClosed(
                f"{self.place}: opened in process {self._process} and used in {os.getpid()}, its "
                "child; open a Store in each process"
            )
        if self._closed:
            raise StoreClosed(f"{self.place}: was closed")


def _history(connection: PostgresConnection) -> str:
    try:
        ((history,),) = connection.execute(HISTORY, (f"{SCHEMA}.faces",)).fetchall()
    except (psycopg.NotSupportedError, psycopg.ProgrammingError):  # a host that forbids it
        return ""
    return str(history)


def _rows(reader: PostgresConnection, query: str, values: Sequence[object]) -> list[Any]:
    cursor = reader.execute(query, values)
    return [] if cursor.description is None else cursor.fetchall()
