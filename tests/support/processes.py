"""The processes of a run, as the operating system sees them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from onlooker.stream.run_directory import MEMORY, PREFIX


def running() -> dict[int, tuple[int, list[bytes]]]:
    """Parent and command line of every process of this machine that has not ended, by process id.

    Words are bytes: those of other people's processes may be in any encoding.
    """
    found: dict[int, tuple[int, list[bytes]]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "stat").read_bytes()
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        state, parent = status.rpartition(b")")[2].split()[:2]
        if state != b"Z":
            found[int(entry.name)] = int(parent), command
    return found


def offspring(process: int) -> dict[int, list[bytes]]:
    """Process ids below `process`, at any depth, with their command lines."""
    everybody = running()
    below = {process}
    while more := {pid for pid, (parent, _) in everybody.items() if parent in below} - below:
        below |= more
    return {pid: everybody[pid][1] for pid in below - {process} if pid in everybody}


def children(parent: int | None = None) -> dict[str, int]:
    """Name and process id of the pipeline's processes that `parent` started; None for this one."""
    return _children(b"onlooker.stream.", parent)


def descendants(parent: int) -> dict[str, int]:
    """Name and process id of all of Onlooker's processes that `parent` started."""
    return _children(b"onlooker.", parent)


def _children(modules: bytes, parent: int | None) -> dict[str, int]:
    parent = os.getpid() if parent is None else parent
    return {
        command[-2].decode(): pid
        for pid, (above, command) in running().items()
        if above == parent and any(word.startswith(modules) for word in command)
    }


def called(kind: str) -> int | None:
    """Process id of a child of this process whose name begins with `kind`; None if none has."""
    return next((pid for name, pid in children().items() if name.startswith(kind)), None)


def directories(pid: int) -> list[Path]:
    """Directories of runs that process `pid` has begun and not removed."""
    return list(MEMORY.glob(f"{PREFIX}{pid}-*"))


def alive(pid: int) -> bool:
    try:
        return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) != "Z"
    except FileNotFoundError:
        return False


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Whether `true()` became so in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
