"""The SQLite file under the store: its format, connections, transactions and errors.

It has a write-ahead log and `synchronous = FULL`: a commit is on the disk when it returns, and
readers never wait for writers. Each process has one connection that writes, and as many that read
as there are readers at a time.
"""

import os
import queue
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from onlooker.durable_file import FileLock
from onlooker.file_format import FormatError, write_ahead
from onlooker.identity.errors import (
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)
from onlooker.identity.migrations import FILE, migrate
from onlooker.identity.shared_commits import SharedCommits

JOURNAL = "people.db"
"""Name of the journal of people, which is beside every store: no store has it."""
LOCK_SECONDS = 10.0
"""Time to wait for another process that writes before giving up."""
CACHE_KIB = 8192
"""Memory for pages of the file, per connection. Mapping the file would be faster, but would count
everything that was ever read as this process's memory."""

CAUSES: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreLocked,
        f"another process has kept it locked for {LOCK_SECONDS:.0f} s; try again when that process "
        "is done",
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
        "it is damaged; restore a backup with `onlooker collection restore`, or move it away and "
        "index the images again",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "it cannot be opened; check that it is a file in a folder that you may write to, or name "
        "another folder in ONLOOKER_DATA",
    ),
    sqlite3.SQLITE_CONSTRAINT: (StoreError, "the name is taken already; nothing was changed"),
    sqlite3.SQLITE_IOERR: (
        StoreError,
        "the disk failed to read or write it, and nothing was changed; check the disk and its "
        "free space",
    ),
}
"""The error and the advice for each cause that SQLite names."""


class Database(SharedCommits[sqlite3.Connection]):
    """The file at `path`, which is created if there is none. All methods raise StoreError."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.place = str(path)
        self.history = ""
        """A file is replaced only while no process has it open, and then it gets another key."""
        self._process = os.getpid()
        self._closed = False
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        if path.name == JOURNAL:
            raise StoreError(
                f"{path}: no face store can be called {JOURNAL}, which is the name of the journal "
                "of people beside it; choose another name"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{path.parent}: the folder for the face store cannot be made "
                f"({error.strerror}); name another in ONLOOKER_DATA"
            ) from error
        self._presence = _Presence(path)
        try:
            self._writer = self.connect()
            try:
                opened = _identity_of(path)
                self._open()
                # The lock is released for a moment when it becomes a shared one: another process
                # may have restored a backup then.
                if _identity_of(path) != opened:
                    self._writer.close()
                    self._writer = self.connect()
                    self._open()
                if self._version() < FILE.version:
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

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that shows the database as of one moment."""
        with self._reader() as reader:
            try:
                reader.execute("BEGIN")
                yield reader
            finally:
                reader.rollback()

    def rows(self, query: str, values: Sequence[object]) -> list[Any]:
        """Return the rows of one query; for several, use `reading`, which is slower."""
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

    # Transactions

    _failures = sqlite3.Error

    def _begin(self) -> None:
        # IMMEDIATE takes the write lock at once, not in the middle, when it may be too late.
        self._writer.execute("BEGIN IMMEDIATE")

    def _end(self) -> None:
        self._writer.execute("COMMIT")

    def _undo(self) -> None:
        self._writer.rollback()

    def _in_transaction(self) -> bool:
        return self._writer.in_transaction

    def _may_be_due_to_one(self, error: sqlite3.Error) -> bool:
        return _cause(error) != sqlite3.SQLITE_BUSY

    def _explained(self, error: sqlite3.Error) -> StoreError:
        return explain(self.path, error)

    # The file

    def connect(self) -> sqlite3.Connection:
        """Return another connection, which the caller closes."""
        try:
            database = sqlite3.connect(
                self.path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                database.execute("PRAGMA foreign_keys = ON")
                database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            except BaseException:
                database.close()
                raise
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        return database

    def _open(self) -> None:
        try:
            self._check_owner()
            if self._presence.first and _was_not_closed(self.path):
                check(self.path, self._writer)
            write_ahead(self._writer, LOCK_SECONDS)
            # FULL: a commit is on the disk when it returns.
            self._writer.execute("PRAGMA synchronous = FULL")
            # Deleted people are erased from the disk.
            self._writer.execute("PRAGMA secure_delete = ON")
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        finally:
            self._presence.settle()

    def _migrate(self, database: sqlite3.Connection) -> None:
        migrate(database, self._version())  # another process may have done it meanwhile
        database.execute(f"PRAGMA application_id = {FILE.application_id}")

    def _check_owner(self) -> None:
        try:
            FILE.is_new(self._writer)
        except FormatError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def _version(self) -> int:
        try:
            (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
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
    """The lock that every process holds, shared, while it has the file open.

    The first process holds it exclusively until it knows that the file is sound. A restore holds it
    exclusively, so that no process reads or writes. The system releases it when a process dies.
    """

    def __init__(self, path: Path) -> None:
        lock_path = path.with_name(path.name + ".lock")
        self._lock: FileLock | None = None
        self.first = False
        try:
            try:
                self._lock = FileLock(lock_path, wait=False)
                self.first = True
            except BlockingIOError:
                self._lock = FileLock(lock_path, shared=True)
        except OSError:  # the folder cannot be written, or is none: SQLite's error says more
            pass

    def settle(self) -> None:
        """Let other processes in."""
        if self._lock is not None:
            self._lock.change(shared=True)

    def leave(self) -> None:
        if self._lock is not None:
            self._lock.close()


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep other processes from opening the file. Raises StoreLocked if one has it open."""
    presence = _Presence(path)
    try:
        if not presence.first:
            raise StoreLocked(f"{path}: a process has it open; stop `onlooker` everywhere first")
        yield
    finally:
        presence.leave()


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file that has this name now."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _was_not_closed(path: Path) -> bool:
    """Return whether the last process that had the file open died: its log is still there."""
    log = path.with_name(path.name + "-wal")
    return log.is_file() and log.stat().st_size > 0


def check(path: Path, database: sqlite3.Connection) -> None:
    """Raise StoreDamaged unless every page and every index of the file is sound.

    It reads the whole file: five seconds for a million faces. Opening a store that was not closed
    takes no longer.
    """
    database.execute(f"PRAGMA mmap_size = {1 << 40}")  # SQLite reduces it to its limit
    found = [text for (text,) in database.execute("PRAGMA integrity_check(3)")]
    database.execute("PRAGMA mmap_size = 0")
    if found != ["ok"]:
        kind, advice = CAUSES[sqlite3.SQLITE_CORRUPT]
        raise kind(f"{path}: {'; '.join(found)}; {advice}".replace("\n", "; "))


def explain(path: Path, error: sqlite3.Error) -> StoreError:
    """Return the StoreError that says what an error of SQLite means and what to do."""
    kind, advice = CAUSES.get(_cause(error), (StoreError, "this is unexpected, please report it"))
    return kind(f"{path}: {error}; {advice}")


def _cause(error: sqlite3.Error) -> int:
    """Return SQLite's primary error code; 0 for an error without one."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF  # the other bits tell variants of one cause apart
