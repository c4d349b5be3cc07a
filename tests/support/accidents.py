"""Processes that are killed, and disks that are full."""

import contextlib
import ctypes
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

from onlooker.identity.errors import StoreError

T = TypeVar("T")

SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def started(target: object, *arguments: object) -> Iterator[tuple[BaseProcess, Connection]]:
    """Start a process that gets one end of a pipe; yield it and the other end."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(*arguments, there))  # type: ignore[arg-type]
    process.start()
    there.close()
    try:
        yield process, here
    finally:
        process.kill()
        process.join()


def again(call: Callable[[], T]) -> T:
    """Call until the server is there; each change has the same effect if it is made twice."""
    while True:
        try:
            return call()
        except StoreError:
            time.sleep(0.05)


class Victim:
    """A process that may be killed, and the change that it has announced."""

    def __init__(self, target: object, *arguments: object) -> None:
        self.pipe, there = SPAWN.Pipe()
        self.process: BaseProcess = SPAWN.Process(
            target=target,  # type: ignore[arg-type]
            args=(*arguments, there),
            daemon=True,
        )
        self.process.start()
        there.close()
        self.pending: tuple[str, list[int]] | None = None

    def completed(self) -> Iterator[tuple[str, list[int]]]:
        """Yield the changes that it reported as done since the last call."""
        with contextlib.suppress(EOFError, ConnectionResetError):
            while self.pipe.poll():
                what, seeds = self.pipe.recv()
                if what != "done":
                    self.pending = (what, seeds)
                elif self.pending is not None:
                    yield self.pending
                    self.pending = None

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a disk of this size. Raises OSError without the right to mount."""
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory() as folder:
        place = folder.encode()
        options = f"size={megabytes}m".encode()
        if libc.mount(b"tmpfs", place, b"tmpfs", 0, options):
            raise OSError(ctypes.get_errno(), "a small disk cannot be mounted")
        try:
            yield Path(folder)
        finally:
            libc.umount(place)
