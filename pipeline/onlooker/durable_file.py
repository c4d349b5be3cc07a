"""Files that are written whole or not at all, names that are free to write to, and locks.

A file is written under a temporary name in its own folder, forced to the disk, renamed, and the
folder is forced to the disk too. So a reader sees the old content or the new one, also after a
crash or a loss of power. `claim` decides whether a name may be written to: nothing that exists and
is not Onlooker's own is replaced, emptied or appended to. Locks are `flock`'s: they end with the
process that holds them.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from onlooker.errors import OnlookerError

if sys.platform != "win32":
    import fcntl

PART = ".part"
"""Part of the name of a file that is being written."""
PART_NAME = re.compile(r"\..*\.[0-9a-f]{8}\.part(\.[^.]*)?")
"""Form of the whole name."""

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Occupied(OnlookerError, FileExistsError):
    """Something that is not Onlooker's own has the name; the text says what, and what to do."""

    def __init__(self, path: Path, what: str = "is there already") -> None:
        advice = "delete it, or name another file" if what == "is there already" else ""
        super().__init__(f"{path}: {what}; {advice or 'name another file'}")
        self.errno, self.strerror, self.filename = errno.EEXIST, str(self.args[0]), str(path)

    def __str__(self) -> str:
        return str(self.args[0])


def claim(
    path: Path, ours: Callable[[BinaryIO], bool] | None = None, kind: str = "a file of Onlooker's"
) -> bool:
    """Return whether a file of ours is at `path`; False if the name is free.

    ours: returns whether an open file is Onlooker's own, of this `kind`, and may be continued or
    replaced; None means that no file is. Raises Occupied if another file has the name, or anything
    that is not a regular file: a folder, a FIFO, a device, a socket, a link that leads nowhere. The
    name `-` alone is occupied too, since users mean standard output. Raises OSError if it cannot be
    found out.
    """
    if path == Path("-"):
        raise Occupied(path, "means standard output, and this needs a file")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise Occupied(path, "is a link that leads nowhere") from None
        return False
    if not stat.S_ISREG(mode):
        raise Occupied(path, f"is {KINDS.get(stat.S_IFMT(mode), 'not a file')}")
    if ours is None:
        raise Occupied(path)
    with path.open("rb") as file:
        if not ours(file):
            raise Occupied(path, f"is not {kind}")
    return True


def write(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all, in place of what is there. Raises OSError."""
    with replacing(path) as part:
        part.write_bytes(data)


@contextlib.contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path, whose file becomes the one at `path` if the block ends well.

    The temporary path is in the same folder, ends as `path` does and is new. Its file is removed
    if the block raises. `overwrite`: replace a file of ours that is at `path`. Otherwise Occupied
    is raised, at once or if a file has come by then, which is kept. Raises OSError.
    """
    claim(path, (lambda _: True) if overwrite else None)
    part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{PART}{path.suffix}")
    try:
        yield part
        to_disk(part)
        if overwrite:
            part.replace(path)
        else:
            _place(part, path)
        to_disk(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _place(part: Path, path: Path) -> None:
    """Give the file `part` the name `path`. Raises Occupied if something has it."""
    try:
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:  # the file system, such as exFAT, has no hard links: reserve the name
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            part.replace(path)
    except FileExistsError:
        raise Occupied(path) from None


def abandoned(folder: Path) -> Iterator[Path]:
    """Yield temporary files in `folder`. If no process writes there, killed ones left them."""
    yield from (file for file in folder.glob(f".*{PART}*") if PART_NAME.fullmatch(file.name))


def to_disk(path: Path) -> None:
    """Force a file's content, or a folder's names, to the disk. Raises OSError."""
    if sys.platform == "win32" and path.is_dir():
        return  # a folder cannot be opened there
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FileLock:
    """A lock on a file or folder, held until `close`, or while a `with` statement lasts.

    A file is made if there is none. `shared` locks exclude only exclusive ones. If not `wait`, and
    if another process holds the lock, BlockingIOError is raised. Raises OSError.
    """

    def __init__(self, path: Path, *, shared: bool = False, wait: bool = True) -> None:
        self.path = path
        while True:
            if path.is_dir():
                self.file = os.open(path, os.O_RDONLY)
            else:
                self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self.change(shared=shared, wait=wait)
                # The process that held it may have removed the file meanwhile.
                if _is_at(path, self.file):
                    return
            except BaseException:
                os.close(self.file)
                raise
            os.close(self.file)

    def change(self, *, shared: bool, wait: bool = True) -> None:
        """Make the lock shared or exclusive. Raises BlockingIOError if not `wait` and it is held.

        The change is not atomic: another process may hold the lock in between.
        """
        if sys.platform == "win32":
            return  # there is no flock: two processes may both do the work
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(self.file, kind if wait else kind | fcntl.LOCK_NB)

    def close(self, *, remove: bool = False) -> None:
        """Release the lock; remove its file first if `remove`."""
        if self.file < 0:
            return
        try:
            if remove:
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self.file)
            self.file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of the file `path`. Raises OSError if none is there.

    It takes the lock for a moment to find out, and makes no file.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
