"""The directory of a run: its plan, its feeds, the hub's socket and the rings.

It is in memory if there is room, and is removed when the run ends.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import zmq

from onlooker import durable_file
from onlooker.child_process import ProcessStatus
from onlooker.config.schema import Config
from onlooker.durable_file import FileLock, is_locked
from onlooker.errors import OnlookerError, printable
from onlooker.stream.feeds import Feed
from onlooker.stream.messages import StreamStatus
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import StageRow

T = TypeVar("T", bound=msgspec.Struct)

MEMORY = Path("/dev/shm")
"""Folder whose files are in memory, on Linux."""
PREFIX = "onlooker-run-"


logger = logging.getLogger(__name__)


class DirectoryError(OnlookerError):
    """There is no place for the directory of a run; the text says why and what to do."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """The log that a publisher publishes, and its start in it."""

    outputs: Outputs
    position: int
    """Of the last record in the log before this run."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that all processes of a run must know."""

    parent: int
    """Process id of the supervisor; the other processes end if it does."""
    hub: str
    """The hub's endpoint."""
    config: Config
    store: Path | None = None
    """File of the collections; None for the user's own."""
    stages: tuple[StageRow, ...]


def write(run: Path, plan: Plan) -> None:
    _write(run / "plan.json", plan)


def read(run: Path) -> Plan:
    return _read(run / "plan.json", Plan)


def write_feed(run: Path, feed: Feed) -> None:
    """Write the file of a feed: feeds come and go while a run lasts. Raises OSError."""
    _write(run / f"feed-{feed.number}.json", feed)


def read_feed(run: Path, number: int) -> Feed:
    return _read(run / f"feed-{number}.json", Feed)


def read_feeds(run: Path) -> list[Feed]:
    """Return the feeds that the run has at the moment."""
    found = []
    for path in sorted(run.glob("feed-*.json")):
        with suppress(FileNotFoundError):  # it has just left
            found.append(_read(path, Feed))
    return found


def write_publication(run: Path, number: int, publication: Publication) -> None:
    _write(run / f"publication-{number}.json", publication)


def read_publication(run: Path, number: int) -> Publication:
    return _read(run / f"publication-{number}.json", Publication)


def write_processes(run: Path, processes: Sequence[ProcessStatus]) -> None:
    """Write down the processes of the program, for `onlooker status`. Raises OSError."""
    data = msgspec.json.encode(processes)
    durable_file.write(run / "processes.json", data)


def read_processes(run: Path) -> tuple[ProcessStatus, ...]:
    """Return the processes of the program; none if it has ended."""
    try:
        data = (run / "processes.json").read_bytes()
    except FileNotFoundError:
        return ()
    return msgspec.json.decode(data, type=tuple[ProcessStatus, ...])


def write_finished(run: Path, streams: Sequence[StreamStatus]) -> None:
    """Write down the streams that have finished: a hub that was restarted knows nothing of them.

    Raises OSError.
    """
    durable_file.write(run / "finished.json", msgspec.json.encode(streams))


def read_finished(run: Path) -> tuple[StreamStatus, ...]:
    """Return the streams that have finished."""
    try:
        data = (run / "finished.json").read_bytes()
    except FileNotFoundError:
        return ()
    return msgspec.json.decode(data, type=tuple[StreamStatus, ...])


def _write(path: Path, what: msgspec.Struct) -> None:
    # Not by msgspec, which refuses names of files that are not UTF-8.
    text = json.dumps(msgspec.to_builtins(what, enc_hook=str))
    durable_file.write(path, text.encode())


def _read(path: Path, kind: type[T]) -> T:
    found = json.loads(path.read_bytes())
    return msgspec.convert(found, kind, dec_hook=lambda kind, text: kind(text))


@contextmanager
def directory(room: int) -> Iterator[Path]:
    """Yield a directory for a run that will keep `room` bytes there; remove it at the end.

    Directories of runs that were killed are removed too. It is in memory if there is room. Raises
    DirectoryError.
    """
    disk = temporary_folder()
    for each in {MEMORY, disk}:
        _sweep(each)
    run = _new(MEMORY if _has_room(room) else disk)
    try:
        # A process that can lock it knows that this one has gone, also if process ids mean
        # something else there, as in another container on the same memory.
        with FileLock(run / "lock"):
            run = run.rename(run.with_name(run.name.removeprefix(".")))
            yield run
    finally:
        shutil.rmtree(run, ignore_errors=True)


def temporary_folder() -> Path:
    """Return the user's folder for temporary files. Raises DirectoryError."""
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise DirectoryError(
            "no folder for temporary files can be written to; set TMPDIR to one that can"
        ) from error


def _new(place: Path) -> Path:
    """Make a directory, under a name that no other process knows until its lock is held."""
    try:
        return Path(tempfile.mkdtemp(prefix=f".{PREFIX}{os.getpid()}-", dir=place))
    except OSError as error:
        if place == MEMORY and (disk := temporary_folder()) != place:
            logger.warning("frames go over the disk: %s: %s", MEMORY, error.strerror)
            return _new(disk)
        raise DirectoryError(
            f"{place}: {error.strerror}; set TMPDIR to a folder that can be written to"
        ) from error


def runs() -> list[Path]:
    """Return the directories of the user's runs that are alive, the oldest first."""
    found: list[tuple[float, Path]] = []
    for place in {MEMORY, temporary_folder()}:
        for run in place.glob(f"{PREFIX}*-*"):
            with suppress(OSError):  # another user's, or one that has ended
                if is_locked(run / "lock"):
                    found.append((run.stat().st_mtime, run))
    return [run for _, run in sorted(found)]


def _has_room(room: int) -> bool:
    """Return whether `room` bytes fit into memory; if they do not, say what to do."""
    if not MEMORY.is_dir():
        return False
    free = shutil.disk_usage(MEMORY).free
    if free > room:
        return True
    logger.warning(
        "frames go over the disk, which is slower: %s has %d MB free, and %d MB are wanted; make "
        "it larger (`docker run --shm-size=%dm`, or `shm_size` in compose.yaml), or take a smaller "
        "[pipeline] window",
        MEMORY,
        free // 10**6,
        room // 10**6 + 1,
        2 * (room // 2**20 + 1),
    )
    return False


def _sweep(place: Path) -> None:
    """Remove directories that no process holds."""
    for left in place.glob(f"{PREFIX}*-*"):
        with suppress(FileNotFoundError):  # half removed, or gone this moment
            try:
                if is_locked(left / "lock"):
                    continue
            except PermissionError:
                continue  # another user's
        shutil.rmtree(left, ignore_errors=True)


def endpoint(run: Path) -> str:
    """Return the endpoint of the hub of the run in directory `run`. Raises DirectoryError."""
    path = f"{run}/hub"
    if len(os.fsencode(path)) > zmq.IPC_PATH_MAX_LEN or printable(path) != path:
        raise DirectoryError(
            f"{path} is too long for a socket's path, or not UTF-8; set TMPDIR to another folder"
        )
    return f"ipc://{path}"
