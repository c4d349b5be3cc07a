"""The JSON-lines file: one record a line, in order, each RecordId once.

A record that was acknowledged survives the death of this process at any instant: each line goes
to the operating system in one write before `append` returns. Against loss of power the file is
also forced to the disk, at most once a second while records come and when it is closed, so that
a power cut takes the records since then and no others.

A line that a dying writer left unfinished is cut off when the file is opened again. Its record
was never acknowledged: it comes again, and is appended.
"""

import fcntl
import os
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from onlooker.record.shapes import RecordError, StreamRecord, decode, encode

BEGINNING = b'{"InputInformation":'
"""What every record begins with: an unfinished line that does not is not ours to cut off."""
SYNC_EVERY = 1.0
"""Seconds between forcing the file to the disk, which takes some milliseconds."""


class LogError(Exception):
    """The file of records cannot be used; the text says why and what to do."""


class JsonLines:
    """Appends records to the file at `path`, which is made if there is none.

    One writer at a time: LogError if another process has the file open for writing, if it holds
    something else than records, or if it cannot be written. `record_id in log` tells what is
    there already, at about 90 bytes of memory for each record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: set[int] = set()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise LogError(
                f"{path}: {error.strerror}; records cannot be written there, name another file"
            ) from error
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise LogError(f"{path}: not a regular file; name another to write records to")
            self._lock()
            self._size = self._recover()
        except BaseException:
            os.close(self._file)
            raise
        self._synced = time.monotonic()

    def __contains__(self, record_id: str) -> bool:
        return uuid.UUID(record_id).int in self._known

    def __len__(self) -> int:
        return len(self._known)

    def append(self, record: StreamRecord) -> bool:
        """Write a record; False, and nothing written, if its RecordId is there already.

        LogError if it cannot be written; the file then ends with the record before.
        """
        identity = uuid.UUID(record.RecordId).int
        if identity in self._known:
            return False
        self._write(encode(record) + b"\n")
        self._known.add(identity)
        now = time.monotonic()
        if now - self._synced >= SYNC_EVERY:
            self._sync()
            self._synced = now
        return True

    def close(self) -> None:
        """Force everything to the disk and let the file go."""
        try:
            self._sync()
        finally:
            os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogError(
                f"{self.path}: another process is writing records there; wait for it, or name "
                "another file"
            ) from None

    def _recover(self) -> int:
        """Learn the ids that are there, cut an unfinished last line, return the size left."""
        size = 0
        with os.fdopen(os.dup(self._file), "rb") as file:
            for number, line in enumerate(file, 1):
                # After records, what is unfinished is one of ours. A whole file need not be.
                ours = number > 1 or BEGINNING.startswith(line[: len(BEGINNING)])
                if ours and not line.endswith(b"\n"):
                    os.ftruncate(self._file, size)
                    break
                self._known.add(_identity(self.path, number, line))
                size += len(line)
        return size

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
            while written < len(line):  # a disk that fills up takes what fits and then refuses
                written += os.write(self._file, line[written:])
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise LogError(
                f"{self.path}: {error.strerror} after {len(self)} records; make room and run the "
                "same command again, it goes on from there"
            ) from error
        self._size += len(line)

    def _sync(self) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            raise LogError(
                f"{self.path}: {error.strerror}; the last records may not be on the disk, check it"
            ) from error


def read(path: Path) -> Iterator[StreamRecord]:
    """The records of a file, in order; LogError names the first line that is not one.

    A last line without its newline is not yet a record: its writer is at work, or was killed.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield decode(line)
                except RecordError as error:
                    raise LogError(f"{path}: line {number}: {error}") from error
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from error


class _Identified(msgspec.Struct):
    """All that is looked at in the lines that are there: skipping the rest is quick."""

    RecordId: uuid.UUID


_identified = msgspec.json.Decoder(_Identified)


def _identity(path: Path, number: int, line: bytes) -> int:
    try:
        return _identified.decode(line).RecordId.int
    except msgspec.DecodeError as error:
        raise LogError(
            f"{path}: line {number} is not a stream record ({error}); name another file, or "
            "delete this one to begin anew"
        ) from error
