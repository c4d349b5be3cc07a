"""The JSON-lines sink: a file with one record per line, each once.

The file's last line says how far it has come in the log, so it is right again after a crash at any
instant: an unfinished line is cut off, and what the log has after the last whole one is appended. A
file that has grown to its limit becomes NAME.1, the one before NAME.2, and so on.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

from onlooker import durable_file
from onlooker.config.schema import KEEP_ALL, Retention
from onlooker.durable_file import Occupied
from onlooker.record.log.reader import Entry, Log, LogError, LogFull
from onlooker.rekognition.shapes import RecordError, StreamRecord, decode

BEGINNING = b'{"InputInformation":'
"""First bytes of every record; an unfinished line without them is not ours to cut off."""
BLOCK_BYTES = 1 << 16
"""Bytes read at once in search of the last line."""


class JsonLines:
    """The file at `path`, made if there is none; a sink of `log`.

    Raises LogError if the file holds something else, or records that are not in the log.
    """

    def __init__(self, path: Path, log: Log, limits: Retention = KEEP_ALL) -> None:
        self.path = path
        self._limits = limits
        if path.exists() and path.samefile(log.path):
            raise LogError(f"{path}: is the log itself; name another file for the lines")
        for number in range(1, self._limits.json_lines_max_files + 1):
            claim(self._rotated(number))
        self._open()
        try:
            self.position = self._recover(log)
        except BaseException:
            os.close(self._file)
            raise

    def write(self, entries: Sequence[Entry]) -> None:
        """Append records. Raises LogError, after which the file ends with a whole line too."""
        for entry in entries:
            self._append(entry.body + b"\n")
            self.position = entry.position

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rotated(self, number: int) -> Path:
        return Path(f"{self.path}.{number}") if number else self.path

    def _open(self) -> None:
        claim(self.path)
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise LogError(
                f"{self.path}: {error.strerror}; records cannot be written there, name another file"
            ) from error
        self._file, self._size = file, os.fstat(file).st_size

    def _recover(self, log: Log) -> int:
        """Cut off an unfinished last line; return the position in `log` of the one before."""
        last, whole = _last_line(self._file, self._size)
        position = self._position_of(last, log)
        os.ftruncate(self._file, whole)
        self._size = whole
        return position

    def _position_of(self, last: bytes, log: Log) -> int:
        """Return the position in `log` of the record in the file's last line."""
        earlier = self._rotated(1)
        if not last and earlier.exists():
            with earlier.open("rb") as file:
                last, _ = _last_line(file.fileno(), earlier.stat().st_size)
        if not last:
            return 0
        try:
            position = log.position_of(decode(last).RecordId)
        except RecordError as error:
            raise LogError(
                f"{self.path}: its last line is not a stream record ({error}); name another file, "
                "or delete this one to have it written again"
            ) from error
        if position is None:
            raise LogError(
                f"{self.path}: holds records that are not in the log {log.path}; name another "
                "file, or delete this one to have it written again"
            )
        return position

    def _append(self, line: bytes) -> None:
        limit = self._limits.json_lines_max_megabytes * 1e6
        if limit and self._size and self._size + len(line) > limit:
            self._rotate()
        try:
            written = os.write(self._file, line)
            while written < len(line):  # a disk that fills up takes what fits and then refuses
                written += os.write(self._file, line[written:])
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise LogFull(
                f"{self.path}: {error.strerror}; make room and run the same command again, the "
                "records are in the log"
            ) from error
        self._size += len(line)

    def _rotate(self) -> None:
        full = self._file
        try:
            for number in range(self._limits.json_lines_max_files, 0, -1):
                younger, older = self._rotated(number - 1), self._rotated(number)
                claim(older)
                if younger.exists():
                    younger.replace(older)
        except OSError as error:
            raise LogError(f"{self.path}: cannot be rotated: {error.strerror}") from error
        self._open()
        os.close(full)


def read(path: Path) -> Iterator[StreamRecord]:
    """Yield the records of a file, in order. Raises LogError with the first line that is not one.

    A last line without its newline is left out: it is still being written, or its writer was
    killed.
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


def claim(path: Path) -> bool:
    """Return whether a file of records is at `path`; False if the name is free.

    Raises LogError if it is something else.
    """
    try:
        return durable_file.claim(path, _is_ours, "a file of stream records")
    except Occupied as error:
        raise LogError(str(error)) from error
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}; name another file") from error


def _is_ours(file: BinaryIO) -> bool:
    """Return whether an open file holds records, the beginning of one, or nothing."""
    size = os.fstat(file.fileno()).st_size
    last, whole = _last_line(file.fileno(), size)
    # A loss of power may leave zeros.
    rest = os.pread(file.fileno(), len(BEGINNING), whole).rstrip(b"\0")
    return BEGINNING.startswith(rest) and (not last or last.startswith(BEGINNING))


def _last_line(file: int, size: int) -> tuple[bytes, int]:
    """Return the last whole line without its newline, and its end; b"" and 0 if there is none."""
    tail, start, end = b"", size, -1
    while start:
        read = min(BLOCK_BYTES, start)
        start -= read
        tail = os.pread(file, read, start) + tail
        end = tail.rfind(b"\n")
        if end >= 0 and (begin := tail.rfind(b"\n", 0, end)) >= 0:
            return tail[begin + 1 : end], start + end + 1
    return (tail[:end], end + 1) if end >= 0 else (b"", 0)
