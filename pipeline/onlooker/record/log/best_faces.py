"""Images of the best faces of appearances in the log, written with the records of their frames.

They are personal data with a retention of their own: `[log] best_faces` and
`best_faces_max_age_days`. Without that an image goes with its appearance.
"""

import sqlite3
import uuid
from collections.abc import Iterable

from onlooker.types import Chip

SINCE_FORMAT = 5
"""The first format of logs that have best faces."""


def change(database: sqlite3.Connection, position: int, now: float, chips: Iterable[Chip]) -> None:
    """Make the changes of the record at `position`, in their order. Raises sqlite3.Error.

    now: epoch seconds, for retention.
    """
    for chip in chips:
        track = uuid.UUID(chip.track).bytes
        if chip.jpeg is not None:
            database.execute(
                "INSERT OR REPLACE INTO best_faces (id, position, written, jpeg) "
                "VALUES (?, ?, ?, ?)",
                (track, position, now, chip.jpeg),
            )
        elif chip.heir is not None:
            database.execute(
                "UPDATE OR REPLACE best_faces SET id = ? WHERE id = ?",
                (uuid.UUID(chip.heir).bytes, track),
            )
        else:
            database.execute("DELETE FROM best_faces WHERE id = ?", (track,))


def find(database: sqlite3.Connection, appearance: str) -> bytes | None:
    """Return the JPEG of an appearance, or None. Raises sqlite3.Error."""
    found = database.execute(
        "SELECT jpeg FROM best_faces WHERE id = ?", (uuid.UUID(appearance).bytes,)
    ).fetchone()
    return None if found is None else bytes(found[0])


def remove(database: sqlite3.Connection, position: int) -> None:
    """Remove the images of records up to `position` whose appearance is not in the log any more."""
    database.execute(
        "DELETE FROM best_faces WHERE position <= ? "
        "AND NOT EXISTS (SELECT 1 FROM visits WHERE visits.id = best_faces.id)",
        (position,),
    )


def remove_written_before(database: sqlite3.Connection, time: float) -> None:
    """Remove the images that were written before `time`, in epoch seconds."""
    database.execute("DELETE FROM best_faces WHERE written < ?", (time,))
