"""The store's transactions in PostgreSQL, for many processes on many machines.

A change holds the row of the table `counter` from its beginning to its commit. So changes follow
each other as in SQLite, and change numbers ascend in the order of commits. Readers never wait. A
commit is on the server's disk when it returns.

The server may go and come back: connections that have died are replaced, and what had not begun
to change anything is tried once more.
"""

import logging
import os
import queue
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg

from onlooker.identity.errors import StoreClosed, StoreError, StoreLocked, StoreUnreachable
from onlooker.identity.postgres import postgres_tables
from onlooker.identity.postgres.postgres_connection import (
    LOCK_SECONDS,
    PostgresConnection,
    explain,
    no_pgvector,
)
from onlooker.identity.postgres.postgres_tables import SCHEMA
from onlooker.sql import Connection

T = TypeVar("T")

MAX_READERS = 8
"""Connections of a process that read at a time; further readers wait."""
CREATION_LOCK = 0x4F6E6C6B
"""Key of the lock that a process holds while it creates the tables."""

logger = logging.getLogger(__name__)


class PostgresDatabase:
    """The database at `url`, whose tables are created if there are none. Raises StoreError."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._process = os.getpid()
        self._closed = False
        self._turn = threading.Lock()  # its holder uses the connection that writes
        self._room = threading.BoundedSemaphore(MAX_READERS)
        self._readers: queue.LifoQueue[PostgresConnection] = queue.LifoQueue()
        self._writer = PostgresConnection(url)
        self.place = self._writer.place
        try:
            self._create()
            self._writer.read_vectors()
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
            connection.read_vectors()
        except psycopg.Error as error:
            connection.close()
            raise explain(self.place, error) from error
        return connection

    def write(self, change: Callable[[Connection], T]) -> T:
        """Carry out a change, wholly or not at all, and return when it is on the server's disk.

        `change` may be called again after its effects were undone.
        """
        self._check_open()
        if not self._turn.acquire(timeout=LOCK_SECONDS):
            raise StoreLocked(
                f"{self.place}: other threads have written for {LOCK_SECONDS:.0f} s; try again"
            )
        try:
            fresh = not self._writer.usable
            if fresh:
                self._replace_writer()
            try:
                self._begin()
            except psycopg.OperationalError as error:
                if fresh or self._writer.usable:
                    raise explain(self.place, error) from error
                self._replace_writer()  # it had died meanwhile
                self._begin()
            return self._finish(change)
        except psycopg.Error as error:
            raise explain(self.place, error) from error
        finally:
            self._turn.release()

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

    def remove_indexes(self, name: str, model: str) -> None:
        """Remove the vector indexes of all collections that are gone.

        Those that others use for long remain until the next collection is deleted.
        """
        try:
            self._remove_indexes()
        except StoreError as error:
            logger.warning("a vector index remains for now collection=%s error=%s", name, error)

    def _remove_indexes(self) -> None:
        connection = self.connect()
        try:
            for (index,) in connection.execute(
                "SELECT relname::text FROM pg_class "
                "WHERE relnamespace = ?::regnamespace AND relkind = 'i' "
                "AND relname ~ '_nearest_[0-9]+$' AND split_part(relname::text, '_', 3)::bigint "
                "NOT IN (SELECT id FROM collections WHERE name NOT LIKE '/gone/%')",
                (SCHEMA,),
            ).fetchall():
                connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{index}")
        except psycopg.Error as error:
            raise explain(self.place, error) from error
        finally:
            connection.close()

    def _begin(self) -> None:
        self._writer.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        try:
            self._writer.execute("SELECT change FROM counter FOR UPDATE").fetchone()
        except psycopg.Error:
            self._undo()
            raise

    def _finish(self, change: Callable[[Connection], T]) -> T:
        try:
            result = change(self._writer)
        except BaseException:
            self._undo()
            raise
        try:
            self._writer.execute("COMMIT")
        except psycopg.OperationalError as error:
            raise StoreUnreachable(
                f"{self.place}: the connection was lost during the commit, and it is not known "
                "whether the change was made; send the request again, with the same "
                "ClientRequestToken or ExternalImageId"
            ) from error
        return result

    def _undo(self) -> None:
        try:
            self._writer.execute("ROLLBACK")
        except psycopg.Error:
            self._writer.close()

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
        """Create schema, extension and tables, one process at a time."""
        writer = self._writer
        writer.execute("BEGIN")
        try:
            writer.execute("SELECT pg_advisory_xact_lock(?)", (CREATION_LOCK,))
            [(schema, extension)] = writer.execute(
                "SELECT to_regnamespace(?)::text, "
                "(SELECT extname::text FROM pg_extension WHERE extname = 'vector')",
                (SCHEMA,),
            ).fetchall()
            if extension is None:
                try:
                    writer.execute("CREATE EXTENSION vector SCHEMA public")
                except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
                    raise no_pgvector(self.place) from error
                except psycopg.NotSupportedError as error:
                    raise no_pgvector(self.place) from error
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


def _rows(reader: PostgresConnection, query: str, values: Sequence[object]) -> list[Any]:
    cursor = reader.execute(query, values)
    return [] if cursor.description is None else cursor.fetchall()
