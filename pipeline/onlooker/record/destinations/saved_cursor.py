"""The cursor of a sink that outlives the program: a file beside the log.

It is not in the log's own file, so that a sink can never make the recorder wait for a lock. It has
the checksum of the record at its position: a log that was deleted and begun again under the same
name is noticed, and sent from its beginning.
"""

import logging
import os
import zlib
from pathlib import Path
from typing import Self

import msgspec

from onlooker.durable_file import FileLock, to_disk
from onlooker.record.log.reader import Log

logger = logging.getLogger(__name__)


class CursorState(msgspec.Struct, array_like=True, kw_only=True):
    """The contents of the file."""

    position: int = 0
    """Position in the log of the last entry that was taken."""
    crc: int = 0
    """Checksum of that entry's record; 0 if it is not known."""
    since: int = 0
    """End of the log when the sink ran for the first time. Entries that are missing before it were
    never meant for the sink."""
    sent: int = 0
    """Messages that were taken."""
    lost: int = 0
    """Entries that retention removed before they were sent."""
    too_large: int = 0
    """Messages that the destination never takes."""


class SavedCursor:
    """The cursor in the file at `path`, locked for this process. Raises BlockingIOError, OSError.

    It is forced to the disk when it is placed, and from then on written without waiting. After a
    loss of power it may be older than the destination, which then gets some messages again. From
    a damaged one nothing is left to know, and the log is sent from its beginning.
    """

    def __init__(self, path: Path) -> None:
        there = path.exists()
        self._lock = FileLock(path, wait=False)
        found = _unpacked(os.pread(self._lock.file, 4096, 0))
        self._new = not there
        self._damaged = there and found is None
        self.state = found or CursorState()

    def place(self, log: Log | None, beginning: bool) -> None:
        """Fit the cursor to a log: a new one is placed, one of another log begins again.

        log: None if it is yet to be made. beginning: whether a new cursor is placed before the
        log's first entry, and not behind its last. Raises LogError, OSError.
        """
        end = log.position if log is not None else 0
        if self._new:
            self.state = CursorState(position=0 if beginning else end, since=end)
            if log is not None and not beginning:
                self.state.crc = next((entry.crc for entry in log.after(end - 1, 1)), 0)
        elif self._damaged:
            logger.error("cursor is damaged; the log is sent again path=%s", self._lock.path)
            self.state = CursorState(since=end)
        elif log is None or not self._fits(log, end):
            self.state = CursorState(sent=self.state.sent)
        self.save()
        to_disk(self._lock.path)
        to_disk(self._lock.path.parent)

    def save(self) -> None:
        """Write the state to the file. Raises OSError."""
        data = msgspec.json.encode(self.state)
        data += b"\n%08x\n" % zlib.crc32(data)
        os.pwrite(self._lock.file, data, 0)
        os.ftruncate(self._lock.file, len(data))
        self._new = self._damaged = False

    def close(self) -> None:
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fits(self, log: Log, end: int) -> bool:
        state = self.state
        if state.position > end:
            return False
        for entry in log.after(state.position - 1, 1):
            if entry.position == state.position:
                return not state.crc or entry.crc == state.crc
        return True


def _unpacked(data: bytes) -> CursorState | None:
    body, separator, crc = data.rstrip(b"\n").rpartition(b"\n")
    if not separator or crc != b"%08x" % zlib.crc32(body):
        return None
    try:
        return msgspec.json.decode(body, type=CursorState)
    except msgspec.DecodeError:
        return None
