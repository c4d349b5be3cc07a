"""The folder of a log's sinks: a cursor and a status for each, beside the log."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from onlooker.config.sinks import SinkKind

SinkState = Literal["starting", "well", "failing", "stopped"]


class SinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a sink."""

    name: str
    kind: SinkKind
    state: SinkState
    position: int
    """Position in the log of the last entry that was taken."""
    backlog: int
    """Entries of the log after it; those of streams that are not sent count as well."""
    sent: int
    """Messages that were taken, in all lives of the sink."""
    lost: int
    """Entries that retention removed before they were sent."""
    too_large: int
    """Messages that the destination never takes."""
    error: str = ""
    """The last cause for which a message was not taken; empty as soon as one is."""
    attempts: int = 0
    """Attempts in a row that have failed."""


def folder(log: Path) -> Path:
    """Return the folder of the sinks of the log at `log`."""
    return log.with_suffix(".sinks")


def cursor_path(log: Path, name: str) -> Path:
    return folder(log) / f"{name}.cursor"


def write(log: Path, status: SinkStatus) -> None:
    """Write down the status of a sink. Raises OSError."""
    path = folder(log) / f"{status.name}.json"
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(status))
    part.replace(path)


def remove(log: Path, name: str) -> None:
    """Remove the status that an earlier program has left."""
    (folder(log) / f"{name}.json").unlink(missing_ok=True)


def read(log: Path, names: Iterable[str]) -> list[SinkStatus]:
    """Return the statuses of the sinks of a log that have these names."""
    found = []
    for name in names:
        with suppress(FileNotFoundError, msgspec.DecodeError):  # it has not started yet
            data = (folder(log) / f"{name}.json").read_bytes()
            found.append(msgspec.json.decode(data, type=SinkStatus))
    return found
