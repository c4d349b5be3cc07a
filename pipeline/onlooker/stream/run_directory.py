"""What one run is made of: a file in its directory that all its processes read.

The directory also holds the hub's socket and the rings. It goes when the run ends.
"""

import fcntl
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
from onlooker.config.schema import Config
from onlooker.stream.feeds import Feed
from onlooker.stream.outputs import Outputs
from onlooker.stream.ring import Ring
from onlooker.stream.stage import StageRow

T = TypeVar("T", bound=msgspec.Struct)

MEMORY = Path("/dev/shm")
"""Where files are in memory, on Linux."""
PREFIX = "onlooker-"


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What a publisher publishes."""

    outputs: Outputs
    position: int
    """Of the last record in the log before this run."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it."""

    parent: int
    """Process id of the supervisor, without which no other process goes on."""
    hub: str
    """Where the hub listens."""
    config: Config
    store: Path | None = None
    """File of the collections; None for the user's own."""
    stages: tuple[StageRow, ...]


def write(run: Path, plan: Plan) -> None:
    _write(run / "plan.json", plan)


def read(run: Path) -> Plan:
    return _read(run / "plan.json", Plan)


def write_feed(run: Path, feed: Feed) -> None:
    """Feeds come and go while a run goes on: each has a file of its own."""
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


def _write(path: Path, what: msgspec.Struct) -> None:
    durable_file.write(path, msgspec.json.encode(what, enc_hook=str))


def _read(path: Path, kind: type[T]) -> T:
    data = path.read_bytes()
    return msgspec.json.decode(data, type=kind, dec_hook=lambda kind, text: kind(text))


@contextmanager
def directory(room: int) -> Iterator[Path]:
    """A directory for a run that will keep `room` bytes there; gone when the `with` statement ends.

    What runs left behind that were killed is removed on the way. In memory if there is so much.
    """
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > room
    places = [MEMORY] if MEMORY.is_dir() else []
    places.append(Path(tempfile.gettempdir()))
    for place in places:
        _sweep(place)
    place = places[0] if in_memory else places[-1]
    run = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
    try:
        # Whoever can lock it knows that we are gone, also where process ids mean something else,
        # as in another container on the same memory.
        with (run / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield run
    finally:
        shutil.rmtree(run)


def runs() -> list[Path]:
    """Directories of the user's runs that go on, the oldest first."""
    found = []
    for place in {MEMORY, Path(tempfile.gettempdir())}:
        for run in place.glob(f"{PREFIX}*-*"):
            try:
                with (run / "lock").open("r+") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(run)
            except OSError:
                continue  # another user's, or one that has ended
    return sorted(found, key=lambda run: run.stat().st_mtime)


def _sweep(place: Path) -> None:
    for left in place.glob(f"{PREFIX}*-*"):
        try:
            with (left / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            # Another user's, or a run's that goes on, or that was begun this moment.
            continue


def endpoint(run: Path) -> str:
    """Where the hub of the run in directory `run` listens."""
    path = f"{run}/hub"
    if len(path) > zmq.IPC_PATH_MAX_LEN:
        raise ValueError(f"{path} is too long for a socket's path; set TMPDIR to a shorter one")
    return f"ipc://{path}"


def ring_bytes(feeds: Sequence[Feed], window: int, at_once: int) -> int:
    """Memory for the frames of `at_once` of the videos, the largest ones."""
    sizes = sorted(Ring.slot_bytes_for(feed.width, feed.height) for feed in feeds)
    return window * sum(sizes[-at_once:])
