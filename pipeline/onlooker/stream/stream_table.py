"""Streams beside the configuration file: those that were added, paused, and the stream processors.

The file of the configuration is the user's and is never rewritten. What programs and the console
change is in this table, an SQLite file that any process may open; `onlooker run` follows it. The
process that does holds the table's lock, so that two do not read the same cameras.
"""

import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from onlooker import durable_file
from onlooker.config import paths
from onlooker.config.schema import SourceConfig
from onlooker.durable_file import FileLock, Occupied
from onlooker.errors import OnlookerError
from onlooker.file_format import FileFormat, FormatError, statements

APPLICATION_ID = 1330533204
"""SQLite's mark of the kind of file: "ONST"."""
LOCK_TIMEOUT_SECONDS = 10.0
LOCK_SUFFIX = "-runner"
"""End of the name of the file that the process that runs the streams locks."""
SECRET_BYTES = 32

TABLES = """
CREATE TABLE added (name TEXT PRIMARY KEY, source BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE paused (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE troubles (name TEXT PRIMARY KEY, cause TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE processors (
    name TEXT PRIMARY KEY,
    stream TEXT NOT NULL,
    body BLOB NOT NULL,
    wanted INTEGER NOT NULL,
    status TEXT NOT NULL,
    message TEXT,
    updated REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE facts (revision INTEGER NOT NULL, secret BLOB NOT NULL);
"""
"""`revision` counts the changes that the streams have to follow; `secret` signs tokens."""
FILE = FileFormat("a table of streams", APPLICATION_ID, 1, statements({}), TABLES)


class StreamTableError(OnlookerError):
    """The table cannot be used, or not like this; the text says why and what to do."""


class StreamExists(StreamTableError):
    """A stream of this name is there already."""


class StreamNotFound(StreamTableError):
    """No stream of this name was added."""


def default_path() -> Path:
    """Return the path of the user's own table: `streams.db` in the user's folder."""
    return paths.data_folder() / "streams.db"


class StreamTable:
    """The table at `path`, which is made if there is none. Threads may share it.

    Raises StreamTableError if the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        _make(path)
        with self._errors():
            self._database = sqlite3.connect(
                path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA synchronous = FULL")
            try:
                FILE.upgrade(self._database)
            except BaseException as error:
                self._database.close()
                if isinstance(error, FormatError):
                    raise StreamTableError(f"{path}: {error}") from error
                raise

    @property
    def revision(self) -> int:
        """A number that rises with every change that the streams have to follow."""
        return int(self._value("SELECT revision FROM facts"))

    @property
    def secret(self) -> bytes:
        """The secret that signs tokens, for all processes and for ever."""
        return bytes(self._value("SELECT secret FROM facts"))

    def added(self) -> dict[str, SourceConfig]:
        """Return the streams that were added, by name."""
        decode = msgspec.json.Decoder(SourceConfig).decode
        return {name: decode(source) for name, source in self.rows("SELECT * FROM added")}

    def add(self, name: str, source: SourceConfig, taken: Collection[str] = ()) -> None:
        """Add a stream. `taken` are the names of the configuration file's. Raises StreamExists."""
        if name in taken or name in self.added():
            raise StreamExists(f"there is a stream {name!r} already; choose another name")
        with self.change_streams():
            self.execute("INSERT INTO added VALUES (?, ?)", name, msgspec.json.encode(source))

    def change(self, name: str, source: SourceConfig) -> None:
        """Give an added stream another source. Raises StreamNotFound."""
        with self.change_streams():
            encoded = msgspec.json.encode(source)
            if not self.execute("UPDATE added SET source = ? WHERE name = ?", encoded, name):
                raise _not_added(name)

    def remove(self, name: str) -> None:
        """Remove an added stream; its records stay in the log. Raises StreamNotFound."""
        with self.change_streams():
            if not self.execute("DELETE FROM added WHERE name = ?", name):
                raise _not_added(name)
            self.execute("DELETE FROM paused WHERE name = ?", name)

    def paused(self) -> set[str]:
        """Return the names of the streams that are paused, of the file or added."""
        return {name for (name,) in self.rows("SELECT name FROM paused")}

    def pause(self, name: str) -> None:
        """Have a stream, of the file or added, not run until `resume`."""
        with self.change_streams():
            self.execute("INSERT OR IGNORE INTO paused VALUES (?)", name)

    def resume(self, name: str) -> None:
        """Have a paused stream run again."""
        with self.change_streams():
            self.execute("DELETE FROM paused WHERE name = ?", name)

    def troubles(self) -> dict[str, str]:
        """Return why streams were not started, by name."""
        return dict(self.rows("SELECT name, cause FROM troubles"))

    def write_troubles(self, found: dict[str, str]) -> None:
        """Write down why streams were not started."""
        if found != self.troubles():
            with self.transaction():
                self.execute("DELETE FROM troubles")
                for item in found.items():
                    self.execute("INSERT INTO troubles VALUES (?, ?)", *item)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Raises StreamTableError."""
        with self._lock, self._errors():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes of the block together, on the disk at its end, or none of them."""
        with self._lock, self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def change_streams(self) -> Iterator[None]:
        """Do as `transaction` does, for changes that the streams have to follow."""
        with self.transaction():
            yield
            self.execute("UPDATE facts SET revision = revision + 1")

    def execute(self, statement: str, *values: object) -> int:
        """Execute a statement within `transaction`; return the number of changed rows."""
        return self._database.execute(statement, values).rowcount

    def selected(self, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query within `transaction`."""
        return self._database.execute(statement, values).fetchall()

    @contextmanager
    def runner(self) -> Iterator[bool]:
        """Take the lock of the process that runs the streams; False if another one has it."""
        try:
            lock = FileLock(self._runner_path, wait=False)
        except BlockingIOError:
            yield False
            return
        with lock:
            yield True

    @property
    def has_runner(self) -> bool:
        """Whether a process runs the streams of this table."""
        try:
            with FileLock(self._runner_path, shared=True, wait=False):
                return False
        except BlockingIOError:
            return True

    @property
    def _runner_path(self) -> Path:
        return self.path.with_name(self.path.name + LOCK_SUFFIX)

    def _value(self, statement: str) -> Any:
        [(found,)] = self.rows(statement)
        return found

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise SQLite's errors as StreamTableError."""
        try:
            yield
        except sqlite3.Error as error:
            raise StreamTableError(f"{self.path}: the table of streams: {error}") from error


def _not_added(name: str) -> StreamNotFound:
    return StreamNotFound(
        f"no stream {name!r} was added here; one of the configuration file is changed there"
    )


def _make(path: Path) -> None:
    """Make an empty table at `path`, whole or not at all, unless one is there."""
    try:
        if path == default_path():
            path.parent.mkdir(parents=True, exist_ok=True)
        if durable_file.claim(path, lambda file: file.read(6) == b"SQLite", "a table of streams"):
            return
        with durable_file.replacing(path, overwrite=False) as part:
            database = sqlite3.connect(part, isolation_level=None)
            try:
                FILE.make(database, _begin)
            finally:
                database.close()
            part.chmod(0o600)  # sources may have passwords
    except Occupied as error:
        if path.is_file():  # another process has just made it
            with path.open("rb") as file:
                if file.read(6) == b"SQLite":
                    return
        raise StreamTableError(str(error)) from error
    except (OSError, sqlite3.Error) as error:
        cause = getattr(error, "strerror", None) or error
        raise StreamTableError(f"{path}: {cause}; the table of streams cannot be kept") from error


def _begin(database: sqlite3.Connection) -> None:
    values = 1, secrets.token_bytes(SECRET_BYTES)
    database.execute("INSERT INTO facts VALUES (?, ?)", values)


def now() -> float:
    """Return the time in epoch seconds, in milliseconds as Amazon's times are."""
    return round(time.time(), 3)
