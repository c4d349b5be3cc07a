"""The states of stateful stages, in the log beside the records that they belong to.

For each stream and stage the log has the newest state, written in the transaction of the frame's
record: whoever resumes a stream finds the state after its last record.
"""

import sqlite3
from typing import NamedTuple

SINCE_FORMAT = 2
"""The first format of logs that have states."""


class StageState(NamedTuple):
    """The state of a stage after a frame of a stream."""

    stream: str
    stage: str
    epoch: str
    frame: int
    """The index of the frame."""
    analysis: str
    """As it is part of the frame's RecordId; another analysis cannot use the state."""
    state: bytes


def save(database: sqlite3.Connection, state: StageState) -> None:
    """Write the state, unless one of a later frame is there. Raises sqlite3.Error."""
    database.execute(
        "INSERT INTO states (stream, stage, epoch, frame, analysis, state) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (stream, stage) DO UPDATE SET "
        "epoch = excluded.epoch, frame = excluded.frame, analysis = excluded.analysis, "
        "state = excluded.state WHERE excluded.frame > states.frame "
        "OR excluded.epoch != states.epoch OR excluded.analysis != states.analysis",
        state,
    )


def load(database: sqlite3.Connection, stream: str, stage: str) -> StageState | None:
    """Return the newest state, or None. Raises sqlite3.Error."""
    found = database.execute(
        "SELECT stream, stage, epoch, frame, analysis, state FROM states "
        "WHERE stream = ? AND stage = ?",
        (stream, stage),
    ).fetchone()
    return StageState(*found) if found is not None else None
