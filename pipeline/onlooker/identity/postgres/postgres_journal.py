"""The journal of people in PostgreSQL, for the machines that share a store there.

Its tables are made with the store's. A transaction holds the row of the table `ids`, so those of
all machines follow each other; it may use the store meanwhile, whose changes never wait for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from onlooker.identity.errors import StoreUnreachable
from onlooker.identity.postgres.postgres_connection import PostgresConnection, explain

T = TypeVar("T")


class PostgresJournal:
    """The journal in the database at `url`, which has the tables. All methods raise StoreError.

    A connection that has died is replaced, except inside a transaction.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = PostgresConnection(url)
        self.place = self._connection.place
        self._inside = False

    def close(self) -> None:
        self._connection.close()

    def execute(self, query: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        return self._run(lambda: self._connection.execute(query, values))

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Any]:
        listed = list(values)
        return self._run(lambda: self._connection.executemany(query, listed))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all or nothing, and exclude other processes that change something."""
        self._run(self._begin)
        self._inside = True
        try:
            yield
        except BaseException:
            self._undo()
            raise
        finally:
            self._inside = False
        try:
            self._connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            raise StoreUnreachable(
                f"{self.place}: the connection was lost during the commit, and it is not known "
                "whether the change was made; try again"
            ) from error
        except psycopg.Error as error:
            raise explain(self.place, error) from error

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT last FROM ids FOR UPDATE")
        except psycopg.Error:
            self._undo()
            raise

    def _undo(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()

    def _run(self, call: Callable[[], T]) -> T:
        """Return what `call` does, on a new connection if the one at hand has died."""
        try:
            try:
                return call()
            except psycopg.OperationalError:
                if self._inside or self._connection.usable:
                    raise
                self._connection.close()
                self._connection = PostgresConnection(self._url)
                return call()
        except psycopg.Error as error:
            raise explain(self.place, error) from error
