"""The SQLite file under the store: opening it, its format, transactions, and what goes wrong.

Write-ahead log and `synchronous = FULL`: a commit is on the disk when it returns, and readers never
wait for writers. Each process has one connection that writes and as many that read as there are
readers at a time.

Threads that write at the same time share a commit: while one waits for the disk, the others queue
up, and the next one to get the lock carries out all of them in one transaction. So the disk is
waited for once, not once for each, and nobody waits for company.
"""

import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

from onlooker.identity.errors import (
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)
from onlooker.identity.schema import MIGRATIONS

T = TypeVar("T")

APPLICATION = 0x4F6E6C6B  # "Onlk": SQLite's own mark for "this file belongs to that program"
PATIENCE = 10.0
"""Seconds to wait for another process that writes before giving up."""
KEPT = 8192
"""KiB of the file that each connection keeps in memory. Mapping it would be faster still, but count
all that was ever read to each process."""
TOGETHER = 256
"""The most writes that share a commit."""

CAUSES: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreLocked,
        f"another process has kept it locked for {PATIENCE:.0f} s; try again when that process is "
        "done",
    ),
    sqlite3.SQLITE_READONLY: (
        StoreReadOnly,
        "it cannot be written; make the file and its folder writable, or name another folder in "
        "ONLOOKER_DATA",
    ),
    sqlite3.SQLITE_FULL: (
        StoreFull,
        "the disk is full, and nothing was changed; free some space and try again",
    ),
    sqlite3.SQLITE_NOTADB: (
        StoreDamaged,
        "it is not a face store; move that file away, or name another folder in ONLOOKER_DATA",
    ),
    sqlite3.SQLITE_CORRUPT: (
        StoreDamaged,
        "it is damaged; put a copy of it back with `onlooker collection restore`, or move it away "
        "and index the pictures again",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "it cannot be opened; check that it is a file in a folder that you may write to, or name "
        "another folder in ONLOOKER_DATA",
    ),
    sqlite3.SQLITE_CONSTRAINT: (StoreError, "there is one of that name; nothing was changed"),
    sqlite3.SQLITE_IOERR: (
        StoreError,
        "the disk failed to read or write it, and nothing was changed; check the disk and its "
        "free space",
    ),
}


class _Write(Generic[T]):
    """A change that a thread wants, and what came of it."""

    def __init__(self, change: Callable[[sqlite3.Connection], T]) -> None:
        self.change = change
        self.done = False
        self.result: T
        self.error: Exception | None = None


class Database:
    """The file at `path`, which is made if there is none. Raises StoreError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = os.getpid()
        self._closed = False
        self._turn = threading.Lock()  # whose it is may use the connection that writes
        self._queue: deque[_Write[Any]] = deque()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{path.parent}: the folder for the face store cannot be made "
                f"({error.strerror}); name another in ONLOOKER_DATA"
            ) from error
        self._presence = _be_present(path)
        try:
            self._writer = self.connect()
            try:
                opened = _file_at(path)
                self._open()
                # A lock is not made a shared one in one step: a copy may have been put back then.
                if _file_at(path) != opened:
                    self._writer.close()
                    self._writer = self.connect()
                    self._open()
                if self._version() < len(MIGRATIONS):
                    self.write(self._migrate)
            except BaseException:
                self._writer.close()
                raise
        except BaseException:
            self._presence.leave()
            raise

    def close(self) -> None:
        self._closed = True
        with suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()
        self._writer.close()
        self._presence.leave()

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Carry out a change, all of it or nothing, and return when it is on the disk.

        `change` may be called again after its traces were undone.
        """
        self._check_open()
        wanted = _Write(change)
        self._queue.append(wanted)
        with self._turn:
            while not wanted.done:
                count = min(TOGETHER, len(self._queue))
                self._commit([self._queue.popleft() for _ in range(count)])
        if wanted.error is not None:
            raise wanted.error
        return wanted.result

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database as it is at one moment."""
        with self._reader() as reader:
            try:
                reader.execute("BEGIN")
                yield reader
            finally:
                reader.rollback()

    def rows(self, query: str, values: Sequence[object]) -> list[Any]:
        """What one query finds: faster than `reading`, which is for several."""
        with self._reader() as reader:
            return reader.execute(query, values).fetchall()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        self._check_open()
        try:
            reader = self._readers.get_nowait()
        except queue.Empty:
            reader = self.connect()
        try:
            yield reader
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        finally:
            if self._closed:
                reader.close()
            else:
                self._readers.put(reader)

    def _commit(self, writes: list[_Write[Any]]) -> None:
        try:
            self._transact(writes)
        except sqlite3.Error as error:
            # Full disk, damage: perhaps the fault of one. Each by itself shows whose. That another
            # process has the lock is nobody's, and each would wait for it as long again.
            if len(writes) > 1 and _cause(error) != sqlite3.SQLITE_BUSY:
                for write in writes:
                    self._commit([write])
            else:
                for write in writes:
                    write.done, write.error = True, explain(self.path, error)
                    write.error.__cause__ = error
        except KeyboardInterrupt as error:
            # Of this thread's wait. The others cannot know what became of theirs: they ask again.
            for write in writes:
                if not write.done:
                    write.done, write.error = True, StoreError(f"{self.path}: interrupted")
                    write.error.__cause__ = error
            raise

    def _transact(self, writes: list[_Write[Any]]) -> None:
        database = self._writer
        try:
            # IMMEDIATE takes the write lock at once: no reader finds out half-way that it may not.
            database.execute("BEGIN IMMEDIATE")
            for write in writes:
                write.error = None
                database.execute("SAVEPOINT one")
                try:
                    write.result = write.change(database)
                except sqlite3.Error:
                    raise
                except Exception as error:  # raised again where the change was asked for
                    write.error = error
                    database.execute("ROLLBACK TO one")
                database.execute("RELEASE one")
            database.execute("COMMIT")
        finally:
            database.rollback()
        for write in writes:
            write.done = True

    # The file

    def connect(self) -> sqlite3.Connection:
        """Another connection, which the caller closes."""
        try:
            database = sqlite3.connect(
                self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                database.execute("PRAGMA foreign_keys = ON")
                database.execute(f"PRAGMA cache_size = -{KEPT}")
            except BaseException:
                database.close()
                raise
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        return database

    def _open(self) -> None:
        try:
            self._check_owner()
            if self._presence.first and _is_left_over(self.path):
                check(self.path, self._writer)
            self._log_ahead()
            # FULL: a commit is on the disk when it returns.
            self._writer.execute("PRAGMA synchronous = FULL")
            # Who is deleted is not left on the disk.
            self._writer.execute("PRAGMA secure_delete = ON")
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        finally:
            self._presence.settle()

    def _migrate(self, database: sqlite3.Connection) -> None:
        for version in range(self._version(), len(MIGRATIONS)):  # others may have while we waited
            for statement in MIGRATIONS[version].split(";\n"):
                database.execute(statement)
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _check_owner(self) -> None:
        (owner,) = self._writer.execute("PRAGMA application_id").fetchone()
        (tables,) = self._writer.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and owner != APPLICATION:
            raise StoreError(
                f"{self.path}: it is the database of another program; move that file away, or "
                "name another folder in ONLOOKER_DATA"
            )
        if self._version() > len(MIGRATIONS):
            raise StoreError(
                f"{self.path}: it has format {self._version()}, made by a newer Onlooker, and "
                f"this one reads up to {len(MIGRATIONS)}; update Onlooker"
            )

    def _log_ahead(self) -> None:
        """Write-ahead log: readers never wait. For this switch alone SQLite itself does not."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def _version(self) -> int:
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            raise StoreClosed(
                f"{self.path}: opened in process {self._process} and used in {os.getpid()}, its "
                "child; open a Store in each process"
            )
        if self._closed:
            raise StoreClosed(f"{self.path}: was closed")


class _Presence:
    """A lock that every process holds, shared, while it has the file open.

    The first one has it alone until it has seen that the file is whole, and what puts a copy back
    has it alone to know that nobody reads or writes. The system takes it from the dead.
    """

    def __init__(self, file: TextIO | None, first: bool) -> None:
        self._file = file
        self.first = first

    def settle(self) -> None:
        """Let the others in."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def leave(self) -> None:
        if self._file is not None:
            self._file.close()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody has the file open while this lasts; StoreLocked if somebody has."""
    presence = _be_present(path)
    try:
        if not presence.first:
            raise StoreLocked(f"{path}: a process has it open; stop `onlooker` everywhere first")
        yield
    finally:
        presence.leave()


def _be_present(path: Path) -> _Presence:
    try:
        file = path.with_name(path.name + ".lock").open("a")
    except OSError:  # a folder that is only to be read, or the path is none: SQLite says more
        return _Presence(None, False)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(file, fcntl.LOCK_SH)
        return _Presence(file, False)
    return _Presence(file, True)


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file has that name now."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return None
    return there.st_dev, there.st_ino


def _is_left_over(path: Path) -> bool:
    """Whether the last process that had the file open did not close it: its log is still there."""
    log = path.with_name(path.name + "-wal")
    return log.is_file() and log.stat().st_size > 0


def check(path: Path, database: sqlite3.Connection) -> None:
    """StoreDamaged unless every page and every index of the file is sound.

    Reads all of it: five seconds for a million faces, which is the most that a store that was not
    closed takes to open.
    """
    database.execute(f"PRAGMA mmap_size = {1 << 40}")  # SQLite makes it what it can
    found = [said for (said,) in database.execute("PRAGMA integrity_check(3)")]
    database.execute("PRAGMA mmap_size = 0")
    if found != ["ok"]:
        kind, advice = CAUSES[sqlite3.SQLITE_CORRUPT]
        raise kind(f"{path}: {'; '.join(found)}; {advice}".replace("\n", "; "))


def explain(path: Path, error: sqlite3.Error) -> StoreError:
    """The StoreError that says what an error of SQLite means and what to do."""
    kind, advice = CAUSES.get(_cause(error), (StoreError, "this is unexpected, please report it"))
    return kind(f"{path}: {error}; {advice}")


def _cause(error: sqlite3.Error) -> int:
    """One of SQLite's codes, 0 for an error that has none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF  # the rest tells kinds of one cause apart
