"""JSON lines: a file that follows the log, one record a line, each once.

The file says by its last line how far it has come; what the log has behind that is appended. So it
is right again after a death at any instant: a line that was left unfinished is cut off. A file that
has grown to its limit becomes NAME.1, the one before NAME.2, and so on.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from onlooker.config.schema import KEEP_ALL, Retention
from onlooker.record.log.reader import Log, LogError, LogFull
from onlooker.rekognition.shapes import RecordError, StreamRecord, decode

BEGINNING = b'{"InputInformation":'
"""What every record begins with: an unfinished line that does not is not ours to cut off."""
BLOCK = 1 << 16
"""Bytes that are read at once in search of the last line."""


class JsonLines:
    """The file at `path`, made if there is none, which holds what `log` does once it caught up.

    Raises LogError for a file that holds something else, or records that the log has not.
    """

    def __init__(self, path: Path, log: Log, limits: Retention = KEEP_ALL) -> None:
        self.path = path
        self._log = log
        self._limits = limits
        if path.exists() and path.samefile(log.path):
            raise LogError(f"{path}: is the log itself; name another file for the lines")
        self._open()
        try:
            self._position = self._recover()
        except BaseException:
            os.close(self._file)
            raise

    def catch_up(self) -> None:
        """Append what the log has since. The file ends with a whole line after a LogError too."""
        while entries := self._log.after(self._position):
            for entry in entries:
                self._write(entry.body + b"\n")
                self._position = entry.position

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise LogError(
                f"{self.path}: {error.strerror}; records cannot be written there, name another file"
            ) from error
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            raise LogError(f"{self.path}: not a regular file; name another to write records to")
        self._file, self._size = file, status.st_size

    def _recover(self) -> int:
        """Cut an unfinished last line; the position in the log of the record before it."""
        last, whole = _last_line(self._file, self._size)
        unfinished = os.pread(self._file, len(BEGINNING), whole)
        ours = last.startswith(BEGINNING) if last else BEGINNING.startswith(unfinished)
        if not ours:
            raise LogError(f"{self.path}: does not hold stream records; name another file")
        position = self._position_of(last)
        # Nothing is cut before the file is known to be ours.
        os.ftruncate(self._file, whole)
        self._size = whole
        return position

    def _position_of(self, last: bytes) -> int:
        """The position in the log of the record that is the file's last line."""
        earlier = Path(f"{self.path}.1")
        if not last and earlier.exists():
            with earlier.open("rb") as file:
                last, _ = _last_line(file.fileno(), earlier.stat().st_size)
        if not last:
            return 0
        try:
            position = self._log.position_of(decode(last).RecordId)
        except RecordError as error:
            raise LogError(
                f"{self.path}: its last line is not a stream record ({error}); name another file, "
                "or delete this one to begin anew"
            ) from error
        if position is None:
            raise LogError(
                f"{self.path}: holds records that are not in the log {self._log.path}; name "
                "another file, or delete this one to have it written anew"
            )
        return position

    def _write(self, line: bytes) -> None:
        limit = self._limits.json_lines_max_megabytes * 1e6
        if limit and self._size and self._size + len(line) > limit:
            self._put_aside()
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

    def _put_aside(self) -> None:
        full = self._file
        try:
            for number in range(self._limits.json_lines_max_files, 0, -1):
                younger = Path(f"{self.path}.{number - 1}" if number > 1 else self.path)
                if younger.exists():
                    younger.replace(f"{self.path}.{number}")
        except OSError as error:
            raise LogError(f"{self.path}: cannot be put aside: {error.strerror}") from error
        self._open()
        os.close(full)


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


def _last_line(file: int, size: int) -> tuple[bytes, int]:
    """The last whole line without its newline, and where it ends: b"" and 0 where there is none."""
    tail, start, end = b"", size, -1
    while start:
        read = min(BLOCK, start)
        start -= read
        tail = os.pread(file, read, start) + tail
        end = tail.rfind(b"\n")
        if end >= 0 and (begin := tail.rfind(b"\n", 0, end)) >= 0:
            return tail[begin + 1 : end], start + end + 1
    return (tail[:end], end + 1) if end >= 0 else (b"", 0)
