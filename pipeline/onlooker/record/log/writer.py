"""The one process that appends to the record log, and removes records past their retention."""

import logging
import os
import re
import sqlite3
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from msgspec.structs import replace

from onlooker import durable_file
from onlooker.config.schema import KEEP_ALL, Retention
from onlooker.durable_file import FileLock, Occupied
from onlooker.record.log import (
    best_faces,
    integrity,
    retention,
    schema,
    states,
    topics,
    visit_table,
)
from onlooker.record.log.reader import (
    LOCK_TIMEOUT_SECONDS,
    PERSON,
    TEXT,
    Log,
    LogError,
    default_path,
)
from onlooker.record.log.states import StageState
from onlooker.rekognition.shapes import StreamRecord, encode
from onlooker.types import Chip

CHECKED_RECORDS = 1000
"""Newest records whose checksums are verified if the writer before did not close the log."""
LOCK_SUFFIX = "-writer"
"""End of the name of the file that a writer locks, beside the log."""
MAX_CACHED_NAMES = 10_000
"""Names whose numbers are kept in memory."""
SWEEP_SECONDS = 10.0
"""Seconds between searches for records past their retention."""

NO_VECTORS: Mapping[str, bytes] = MappingProxyType({})
NO_TOPICS: Mapping[str, str] = MappingProxyType({})
NO_CHIPS: Mapping[str, Sequence[Chip]] = MappingProxyType({})

logger = logging.getLogger(__name__)


class Writer(Log):
    """A log opened for appending, made if there is none; for one process at a time.

    Raises LogError if the file is something else, is damaged, or has another writer.
    """

    def __init__(self, path: Path, limits: Retention = KEEP_ALL) -> None:
        self.limits = limits
        self._streams: dict[str, tuple[int, int]] = {}
        """Number and last Sequence of the streams written to so far."""
        self._names: dict[tuple[str, str], int] = {}
        """Numbers of names, by kind and name."""
        self._topics: dict[str, int] = {}
        """Numbers of topics, by name."""
        self._swept = time.monotonic()
        self._lock, boot = _locked(path)
        try:
            _make(path)
            super().__init__(path)
            self._database.close()
            with self._errors():
                self._database = sqlite3.connect(
                    path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None
                )
            try:
                with self._errors():
                    self._database.execute("PRAGMA synchronous = FULL")
                self._check_format()
                self._upgrade()
                self._verify(boot)
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            # The log is as the writer before left it: closed, or not.
            self._lock.close(remove=not boot)
            raise

    def append(
        self,
        records: Iterable[StreamRecord],
        stage_states: Iterable[StageState] = (),
        vectors: Mapping[str, bytes] = NO_VECTORS,
        topic_names: Mapping[str, str] = NO_TOPICS,
        chips: Mapping[str, Sequence[Chip]] = NO_CHIPS,
    ) -> int:
        """Append the records that are not in the log, each with its stream's next Sequence.

        In the same transaction the states of stages are stored, unless later ones are in the log,
        the mean embeddings of appearances (`vectors`, by AppearanceId), and the changes of images
        of best faces (`chips`, by RecordId). topic_names: topics of records, by RecordId, if they
        are not named after their streams.

        Returns how many were appended. They are on the disk then. Raises LogError, after which none
        of them is in the log.
        """
        # First, so that none of them is written if it fails.
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            self.sweep()
        now, number = time.time(), 0
        with self._transaction():
            for record in records:
                topic = topic_names.get(record.RecordId, record.stream)
                position = self._insert(record, now, vectors, topic)
                if position is not None:
                    number += 1
                    changes = chips.get(record.RecordId, ())
                    best_faces.change(self._database, position, now, changes)
            for state in stage_states:
                states.save(self._database, state)
        return number

    def sweep(self) -> None:
        """Remove the records that are older than the limits allow, then those that are too many.

        The newest record of each stream stays: it says how far the stream has come.
        """
        if self.limits.best_faces_max_age_days:
            age = self.limits.best_faces_max_age_days * 86400
            with self._transaction():
                best_faces.remove_written_before(self._database, time.time() - age)
        if self.limits.max_age_days:
            before = time.time() - self.limits.max_age_days * 86400
            # Asked first, since that takes no lock.
            while (oldest := self._oldest_written()) is not None and oldest < before:
                self._remove(before)
        while self.limits.max_megabytes and self._used_bytes() > self.limits.max_megabytes * 1e6:
            if not self._remove():
                return

    def close(self) -> None:
        """Close the log; the next writer need not verify it."""
        super().close()
        self._lock.close(remove=True)

    def _insert(
        self, record: StreamRecord, now: float, vectors: Mapping[str, bytes], topic: str
    ) -> int | None:
        """Insert a record; return its position, or None if the log has it already."""
        identity = uuid.UUID(record.RecordId).bytes
        execute = self._database.execute
        if execute("SELECT 1 FROM records WHERE identity = ?", (identity,)).fetchone():
            return None
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
        position = added.lastrowid
        assert position is not None
        visit_table.save(self._database, stream, position, record, vectors)
        if topic not in self._topics:
            self._topics[topic] = topics.number(self._database, topic, now)
        topics.save(self._database, self._topics[topic], position)
        return position

    def _stream(self, name: str) -> tuple[int, int]:
        execute = self._database.execute
        execute("INSERT OR IGNORE INTO streams (name, sequence) VALUES (?, 0)", (name,))
        found = execute("SELECT id, sequence FROM streams WHERE name = ?", (name,)).fetchone()
        return int(found[0]), int(found[1])

    def _name(self, kind: str, name: str) -> int:
        execute = self._database.execute
        execute("INSERT OR IGNORE INTO names (kind, name) VALUES (?, ?)", (kind, name))
        found = execute("SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        if len(self._names) >= MAX_CACHED_NAMES:
            self._names.clear()
        self._names[kind, name] = number = int(found[0])
        return number

    def _oldest_written(self) -> float | None:
        with self._errors():
            return retention.oldest_written(self._database)

    def _used_bytes(self) -> int:
        with self._errors():
            return retention.used_bytes(self._database)

    def _remove(self, written_before: float | None = None) -> int:
        with self._transaction():
            removed = retention.remove_oldest(self._database, written_before)
            self._names.clear()  # some may have been removed
        with self._errors():
            self._database.execute("PRAGMA incremental_vacuum").fetchall()
        return removed

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # They may be of this transaction, which is taken back.
                self._streams.clear()
                self._names.clear()
                self._topics.clear()
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _upgrade(self) -> None:
        if self._format < schema.FORMAT:
            logger.info("upgrading log path=%s format=%d", self.path, self._format)
            with self._errors():
                schema.FILE.upgrade(self._database)
            self._check_format()

    def _verify(self, boot: str) -> None:
        """Check the log after a writer that did not close it; `boot` is that of its machine.

        Raises LogError if the log is damaged.
        """
        faults: list[str] = []
        if boot and boot != _boot():
            faults = integrity.structure_faults(self._database)
        if boot and not faults:
            start = self.position - CHECKED_RECORDS
            faults = list(integrity.record_faults(self._rows, start))
        if faults:
            raise LogError(
                f"{self.path}: damaged: {faults[0]}; `onlooker log export` saves what can be read; "
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
    """Make an empty log at `path`, whole or not at all, unless one is there. Raises LogError."""
    try:
        there = durable_file.claim(path, schema.is_log, "a log of records")
        if there and path.stat().st_size:
            return
        for suffix in ("-wal", "-shm", "-journal"):  # SQLite would take what is in them for ours
            if (rest := path.with_name(path.name + suffix)).exists():
                raise LogError(
                    f"{rest}: is left of another log; delete it, or name another file than {path}"
                )
        with durable_file.replacing(path, overwrite=there) as part:
            database = sqlite3.connect(part, isolation_level=None)
            try:
                schema.create(database)
            finally:
                database.close()
    except Occupied as error:
        raise LogError(str(error)) from error
    except (OSError, sqlite3.Error) as error:
        cause = getattr(error, "strerror", None) or error
        raise LogError(f"{path}: {cause}; records cannot be logged there") from error


def _locked(path: Path) -> tuple[FileLock, str]:
    """Return the lock of the log at `path`, and the boot of a writer that did not close the log.

    The lock is on a file of its own: SQLite loses its locks on a file that is closed elsewhere in
    the process.
    """
    try:
        if path == default_path():
            path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + LOCK_SUFFIX)
        durable_file.claim(beside, _is_boot, "the lock of a log")
        lock = FileLock(beside, wait=False)
    except Occupied as error:
        raise LogError(str(error)) from error
    except BlockingIOError:
        raise LogError(
            f"{path}: another process is writing records there; wait for it, or name another file"
        ) from None
    except OSError as error:
        raise LogError(
            f"{path}: {error.strerror}; records cannot be logged there, name another file"
        ) from error
    before = os.read(lock.file, 100).decode(errors="replace")
    os.ftruncate(lock.file, 0)
    os.pwrite(lock.file, _boot().encode(), 0)
    return lock, before


def _is_boot(lock: BinaryIO) -> bool:
    return re.fullmatch(rb"[\0?]*|[0-9a-f-]{36}", lock.read(64)) is not None


def _boot() -> str:
    """Return the id of the machine's current boot; "?" if the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "?"
