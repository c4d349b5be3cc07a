"""Standard input, output and error, whatever state they are in.

They may be closed, full, or have lost their reader, and their encoding may have no letter for a
name. Results that cannot be written are an error; messages that cannot be written are not.
"""

import codecs
import errno
import io
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from onlooker.errors import OnlookerError

PIPE_STATUS = 141
"""Exit status if nobody reads the output any more, as that of a program which SIGPIPE ends."""


class OutputError(OnlookerError):
    """Results cannot be written to stdout. reader_gone: as `| head` does, which is no mistake."""

    def __init__(self, text: str, *, reader_gone: bool = False) -> None:
        super().__init__(text)
        self.reader_gone = reader_gone


def prepare() -> None:
    """Open those that are closed, so that no other file gets their numbers, and wrap the outputs.

    Nothing is changed that a test has put into the place of an output.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        if _is_closed(number):  # which the new file gets: it is the lowest that is free
            os.set_inheritable(os.open(os.devnull, flags), True)
    codecs.register_error("readable", _readable)
    for side in ("COLUMNS", "LINES"):  # Rich would print nothing
        if not os.environ.get(side, "1").strip("0"):
            del os.environ[side]
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Messages(2, "w", closefd=False), sys.stderr)
    threading.excepthook = _in_thread


def results() -> BinaryIO:
    """Return a file for stdout, for a thread that may still wait in it when the program ends.

    Python flushes sys.stdout then, and would find it locked. Its writes raise OutputError.
    """
    return io.BufferedWriter(_Output(1, "w", closefd=False))


def discard_output() -> None:
    """Have what is still to be written go nowhere: Python would try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


class _Output(io.FileIO):
    """The file of stdout. Raises OutputError."""

    def write(self, data: Any, /) -> int:
        try:
            return _write(self, super().write, data)
        except OSError as error:
            cause = "it is closed" if error.errno == errno.EBADF else error.strerror
            raise OutputError(
                f"stdout: {cause}; the output is lost, redirect it to a file or to /dev/null",
                reader_gone=error.errno == errno.EPIPE,
            ) from error


class _Messages(io.FileIO):
    """The file of stderr. A message that cannot be written is left out."""

    def write(self, data: Any, /) -> int:
        try:
            return _write(self, super().write, data)
        except OSError:
            return len(data)


def _write(file: io.FileIO, write: Callable[[Any], int | None], data: Any) -> int:
    """Write some of `data`; wait if the other side has set the file not to block."""
    while (written := write(data)) is None:
        select.select([], [file], [])
    return int(written)


def _text(file: io.FileIO, before: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=getattr(before, "encoding", "utf-8"),
        errors="readable",
        line_buffering=file.isatty() or isinstance(file, _Messages),
    )


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return a name's own bytes if it is not UTF-8, and an escape for a letter that is missing."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.backslashreplace_errors(error)


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def _in_thread(failed: threading.ExceptHookArgs) -> None:
    """Leave it to the main thread to report that stdout cannot be written."""
    if not isinstance(failed.exc_value, OutputError):
        threading.__excepthook__(failed)
