"""The processes of a run, as the operating system sees them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from onlooker.stream.run_directory import MEMORY, PREFIX


def children(parent: int | None = None) -> dict[str, int]:
    """Name and process id of the pipeline's processes that `parent` started; None for this one."""
    return _children(b"onlooker.stream.", parent)


def descendants(parent: int) -> dict[str, int]:
    """Name and process id of all of Onlooker's processes that `parent` started."""
    return _children(b"onlooker.", parent)


def _children(modules: bytes, parent: int | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        state, above = status.rpartition(")")[2].split()[:2]
        ours = any(part.startswith(modules) for part in command)
        if ours and state != "Z" and int(above) == (os.getpid() if parent is None else parent):
            found[command[-2].decode()] = int(entry.name)
    return found


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
