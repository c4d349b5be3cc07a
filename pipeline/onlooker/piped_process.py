"""A piped child's end of its pipes: its settings come in, and its signs of life go out.

The parent's end is `Child` of `onlooker.child_process` with `piped=True`. It writes the settings to
the child's standard input, one line of JSON; when that ends, the child does too. The child writes
bytes to its standard output.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def pack(settings: msgspec.Struct) -> bytes:
    """Return the line for a process."""
    return msgspec.json.encode(settings, enc_hook=str) + b"\n"


def unpack(line: bytes, kind: type[T]) -> T:
    """Return the settings that `pack` was given, of this type."""
    return msgspec.json.decode(line, type=kind, dec_hook=lambda kind, text: kind(text))


def begin(kind: type[T]) -> "tuple[T, Signs]":
    """Begin a process: take its settings and its standard output.

    From now on this process gets SIGTERM when its standard input ends: none outlives its parent.
    """
    signs = Signs()
    settings = unpack(sys.stdin.buffer.readline(), kind)
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    return settings, signs


class Signs:
    """The process's standard output, for signs of life only."""

    def __init__(self) -> None:
        """Take standard output over: other output to it goes to standard error."""
        self._file = os.dup(sys.stdout.fileno())
        os.set_blocking(self._file, False)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def give(self, sign: bytes = b".") -> None:
        """Write a sign of life; nothing if the parent does not read."""
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._file, sign)


def _stop_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
