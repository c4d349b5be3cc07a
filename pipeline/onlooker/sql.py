"""Databases as statements use them, so that the same ones run in SQLite and in PostgreSQL.

Values are marked by `?`. Statements use what both databases understand.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Rows(Protocol):
    """The outcome of a statement."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection inside a transaction; `sqlite3.Connection` is one."""

    def execute(self, query: str, values: Sequence[Any] = ..., /) -> Rows: ...

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> Rows: ...


class Transactions(Protocol):
    """A database, for any number of threads of one process."""

    @property
    def place(self) -> str:
        """The file, or the database without its password, for messages."""

    @property
    def history(self) -> str:
        """A text that changes if commits may be lost, by a failover to an older replica, say.

        It is of the last query or before. Change numbers of another history mean other changes.
        """

    def write(self, change: Callable[[Connection], T]) -> T:
        """Carry out a change, wholly or not at all, and return when it is on the disk.

        Changes of all processes follow each other. `change` may be called again after its effects
        were undone.
        """

    def reading(self) -> AbstractContextManager[Connection]:
        """Yield a connection that shows the database as of one moment."""

    def rows(self, query: str, values: Sequence[object]) -> list[Any]:
        """Return the rows of one query."""

    def close(self) -> None: ...
