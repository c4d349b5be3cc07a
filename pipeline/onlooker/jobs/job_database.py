"""The SQLite database of jobs, notices and messages: one connection for each process.

A change is on the disk when its method returns.
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onlooker.config.paths import data_folder
from onlooker.file_format import FormatError
from onlooker.jobs import schema
from onlooker.jobs.errors import JobError

NAME = "jobs.db"
"""Of the database, in the folder of jobs."""
LOCK_SECONDS = 20.0


def jobs_folder(setting: str | None) -> Path:
    """Return the folder that `[jobs] folder` names."""
    return Path(setting).absolute() if setting else data_folder() / "jobs"


class JobDatabase:
    """The database in `folder`, both made if they do not exist.

    Threads may use one together. Raises JobError, as all methods do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / NAME
        self._lock = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(
                f"{folder}: the folder of jobs cannot be made ({error.strerror}); name another in "
                "[jobs] folder"
            ) from error
        with self._explained():
            self._connection = sqlite3.connect(
                self._path, LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute("PRAGMA secure_delete = ON")
                schema.JOBS_FILE.open(self._connection, LOCK_SECONDS, _make_secret)
                [self.secret] = self._connection.execute("SELECT secret FROM secret").fetchone()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction, which is committed unless the block raises."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        with self._lock, self._explained():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FormatError as error:
            raise JobError(f"{self._path}: {error}; [jobs] folder names the folder") from error
        except sqlite3.Error as error:
            raise JobError(
                f"{self._path}: {error}; check the disk's free space, and that the folder can be "
                "written to"
            ) from error


def _make_secret(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO secret VALUES (?)", (secrets.token_bytes(32),))
