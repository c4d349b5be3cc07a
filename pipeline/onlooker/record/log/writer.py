"""The one process that appends to the record log, and removes what is too old."""

import fcntl
import os
import sqlite3
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from onlooker.config.schema import EVERYTHING, Limits
from onlooker.record.log.reader import PATIENCE, PERSON, TEXT, Log, LogError, default_path
from onlooker.rekognition.shapes import StreamRecord, encode

SCHEMA = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sequence INTEGER NOT NULL
);
CREATE TABLE records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES streams (id),
    sequence INTEGER NOT NULL,
    identity BLOB NOT NULL UNIQUE,
    written REAL NOT NULL,
    time REAL NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL,
    UNIQUE (stream, sequence)
);
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (kind, name)
);
CREATE TABLE seen (
    name INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (name, position)
) WITHOUT ROWID;
CREATE INDEX seen_by_position ON seen (position);
PRAGMA application_id = 1330531403;
PRAGMA user_version = 1;
COMMIT;
"""
"""`seen` says which people and lines of text (`names`) each record has."""

LAST = 1000
"""Records whose checksum a writer looks at where the one before it did not close the log."""
SWEEP = 2000
"""Records that retention removes at once."""
SWEEP_EVERY = 10.0
"""Seconds between looks at what is too old, or too much."""
OVERTAKEN = (
    "NOT EXISTS (SELECT 1 FROM streams "
    "WHERE streams.id = records.stream AND streams.sequence = records.sequence)"
)
"""Of a record: its stream has a newer one."""


class Writer(Log):
    """A log to append to, made if there is none; one process at a time.

    Raises LogError for a file that is none, that another process writes to, or that is damaged.
    """

    def __init__(self, path: Path, limits: Limits = EVERYTHING) -> None:
        self.limits = limits
        self._streams: dict[str, tuple[int, int]] = {}
        """Id and last Sequence, as far as they were needed."""
        self._names: dict[tuple[str, str], int] = {}
        self._swept = time.monotonic()
        self._lock, before = _locked(path)
        try:
            _make(path)
            super().__init__(path)
            self._database.close()
            with self._told():
                self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            try:
                with self._told():
                    self._database.execute("PRAGMA synchronous = FULL")
                self._recognise()
                self._recover(before)
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise

    def append(self, records: Iterable[StreamRecord]) -> int:
        """Write records that are not there yet, each with the next Sequence of its stream.

        Returns how many they were. All are on the disk then; after LogError none is.
        """
        # Before them: if it fails, none of them has been written.
        if time.monotonic() - self._swept > SWEEP_EVERY:
            self._swept = time.monotonic()
            self.sweep()
        now, number = time.time(), 0
        with self._transaction():
            for record in records:
                number += self._insert(record, now)
        return number

    def sweep(self) -> None:
        """Remove what is older, and then what is more, than is to be kept.

        The newest of each stream stays: it says how far a video was looked at.
        """
        if self.limits.days:
            oldest = time.time() - self.limits.days * 86400
            while self._remove("written < ?", oldest):
                pass
        while self.limits.megabytes and self._bytes() > self.limits.megabytes * 1e6:
            if not self._remove("?", True):
                return

    def close(self) -> None:
        """Let the log go: the next writer need not look whether it is whole."""
        super().close()
        _lock_path(self.path).unlink(missing_ok=True)
        os.close(self._lock)

    def _insert(self, record: StreamRecord, now: float) -> bool:
        identity = uuid.UUID(record.RecordId).bytes
        execute = self._database.execute
        if execute("SELECT 1 FROM records WHERE identity = ?", (identity,)).fetchone():
            return False
        stream, last = self._streams.get(record.stream) or self._stream(record.stream)
        sequence = last + 1
        if record.Sequence != sequence:
            record = replace(record, Sequence=sequence)
        body = encode(record)
        added = execute(
            "INSERT INTO records (stream, sequence, identity, written, time, body, crc) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (stream, sequence, identity, now, record.time, body, zlib.crc32(body)),
        )
        execute("UPDATE streams SET sequence = ? WHERE id = ?", (sequence, stream))
        self._streams[record.stream] = stream, sequence
        for kind, name in set(_names(record)):
            number = self._names.get((kind, name)) or self._name(kind, name)
            execute("INSERT INTO seen VALUES (?, ?)", (number, added.lastrowid))
        return True

    def _stream(self, name: str) -> tuple[int, int]:
        execute = self._database.execute
        execute("INSERT OR IGNORE INTO streams (name, sequence) VALUES (?, 0)", (name,))
        found = execute("SELECT id, sequence FROM streams WHERE name = ?", (name,)).fetchone()
        return int(found[0]), int(found[1])

    def _name(self, kind: str, name: str) -> int:
        execute = self._database.execute
        execute("INSERT OR IGNORE INTO names (kind, name) VALUES (?, ?)", (kind, name))
        found = execute("SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        if len(self._names) > 10_000:
            self._names.clear()
        self._names[kind, name] = number = int(found[0])
        return number

    def _remove(self, condition: str, value: object) -> int:
        """Remove some of the oldest that meet the condition; how many that were."""
        with self._transaction():
            execute = self._database.execute
            found = execute(
                "SELECT max(position), count(*) FROM (SELECT position FROM records "
                f"WHERE {OVERTAKEN} AND {condition} ORDER BY position LIMIT ?)",
                (value, SWEEP),
            ).fetchone()
            if found[1]:
                execute(f"DELETE FROM records WHERE position <= ? AND {OVERTAKEN}", (found[0],))
                execute(
                    "DELETE FROM seen WHERE position <= ? AND NOT EXISTS "
                    "(SELECT 1 FROM records WHERE records.position = seen.position)",
                    (found[0],),
                )
                execute(
                    "DELETE FROM names WHERE NOT EXISTS (SELECT 1 FROM seen WHERE name = names.id)"
                )
                self._names.clear()
        if found[1]:
            with self._told():
                self._database.execute("PRAGMA incremental_vacuum").fetchall()
        return int(found[1])

    def _bytes(self) -> int:
        """What the records take; removed ones' room is used again."""
        [(pages,)], [(free,)], [(size,)] = (
            self._rows(f"PRAGMA {what}") for what in ("page_count", "freelist_count", "page_size")
        )
        return (int(pages) - int(free)) * int(size)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # What is remembered may be of this group, which is not there.
                self._streams.clear()
                self._names.clear()
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _recover(self, before: str) -> None:
        """Look whether the log is whole, where the writer `before` did not close it."""
        wrong: list[str] = []
        if before and before != _boot():
            wrong = self._check_structure()
        if before and not wrong:
            wrong = list(self._check_sums(self.position - LAST))
        if wrong:
            raise LogError(
                f"{self.path}: damaged: {wrong[0]}; `onlooker log export` saves what can be read; "
                "then move the file away, or name another"
            )


def _names(record: StreamRecord) -> Iterator[tuple[str, str]]:
    for response in record.FaceSearchResponse:
        if response.MatchedFaces:
            face = response.MatchedFaces[0].Face
            yield PERSON, face.ExternalImageId or face.FaceId
    for found in record.TextDetections:
        if found.Type == "LINE":
            yield TEXT, found.DetectedText


def _make(path: Path) -> None:
    """An empty log at `path`, whole or not at all, unless something is there."""
    if path.exists() and path.stat().st_size:
        return
    new = path.with_name(path.name + "-new")
    try:
        for left in (new, Path(f"{new}-wal"), Path(f"{new}-shm")):
            left.unlink(missing_ok=True)
        database = sqlite3.connect(new, isolation_level=None)
        try:
            database.executescript(SCHEMA)
        finally:
            database.close()
        os.replace(new, path)
    except (OSError, sqlite3.Error) as error:
        raise LogError(f"{path}: {error}; records cannot be logged there") from error


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + "-writer")


def _locked(path: Path) -> tuple[int, str]:
    """The lock of the log at `path`, and what a writer left there that did not close it.

    A file of its own: SQLite loses its locks on a file that is closed elsewhere in the process.
    """
    lock = _lock_path(path)
    try:
        if path == default_path():
            path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever held it may have removed it meanwhile.
                if lock.exists() and os.path.samestat(os.fstat(file), lock.stat()):
                    before = os.read(file, 100).decode(errors="replace")
                    os.ftruncate(file, 0)
                    os.pwrite(file, _boot().encode(), 0)
                    return file, before
            except BaseException:
                os.close(file)
                raise
            os.close(file)
    except BlockingIOError:
        raise LogError(
            f"{path}: another process is writing records there; wait for it, or name another file"
        ) from None
    except OSError as error:
        raise LogError(
            f"{path}: {error.strerror}; records cannot be logged there, name another file"
        ) from error


def _boot() -> str:
    """What changes when the machine is started anew, where the system tells."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "?"
