"""Threads and processes that write into one store at the same time."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from onlooker.identity.database import Database
from onlooker.identity.store import Store
from onlooker.sql import Connection, Transactions


class Group:
    """Threads that make `change` with their numbers at the same time, and the outcomes."""

    def __init__(
        self,
        database: Transactions,
        count: int,
        change: Callable[..., int],
    ) -> None:
        self.outcomes: dict[int, object] = {}
        self._database = database
        self._change = change
        self._started = threading.Barrier(count + 1)
        self._threads = [
            threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        self._started.wait(30)
        time.sleep(0.1)  # until they wait for their turn

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads), "threads are stuck"

    def _write(self, number: int) -> None:
        self._started.wait(30)
        try:
            self.outcomes[number] = self._database.write(lambda each: self._change(each, number))
        except BaseException as error:
            self.outcomes[number] = error


def pragma(database: sqlite3.Connection, name: str) -> object:
    return database.execute(f"PRAGMA {name}").fetchone()[0]


def writer(store: Store) -> sqlite3.Connection:
    """Return the connection of a file that writes."""
    assert isinstance(store.database, Database)
    return store.database._writer


def limit(store: Store, pages: int) -> None:
    """Let the file grow by this many pages, as if the disk were full then."""

    def change(database: Connection) -> None:
        now = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {now + pages}")

    store.database.write(change)


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Hold the lock of the file, as another process that writes does."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def committing(store: Store) -> Iterator[None]:
    """Keep a thread in the middle of a commit, so that others queue up."""
    begun, go_on = threading.Event(), threading.Event()

    def change(_: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(30)

    thread = threading.Thread(target=store.database.write, args=(change,))
    thread.start()
    assert begun.wait(30)
    yield
    time.sleep(0.1)  # until they wait for their turn
    go_on.set()
    thread.join(30)


def numbers(database: Database) -> list[int]:
    return [number for (number,) in database.rows("SELECT number FROM numbers ORDER BY 1", ())]


def insert(database: sqlite3.Connection, number: int) -> int:
    database.execute("INSERT INTO numbers VALUES (?)", (number,))
    return number
