"""The minutes in which live streams have records, by the index of times alone."""

import sqlite3

LIVE_SECONDS = 1e8
"""Times from this on are epoch seconds, those of live streams; earlier ones are of a video."""

# Each step of the recursion finds the first record after the minute of the one before.
MINUTES = """
WITH RECURSIVE minutes (time) AS (
    SELECT min(time) FROM records WHERE stream = :stream AND time >= :start AND time < :end
    UNION ALL
    SELECT (
        SELECT min(records.time) FROM records
        WHERE stream = :stream AND records.time >= (CAST(minutes.time / 60 AS INTEGER) + 1) * 60
        AND records.time < :end
    ) FROM minutes WHERE minutes.time IS NOT NULL
) SELECT count(time) FROM minutes
"""


def count(database: sqlite3.Connection, span: tuple[float, float]) -> dict[str, int]:
    """Return the number of minutes with a record in a span of epoch seconds, by live stream.

    Raises sqlite3.Error.
    """
    start, end = max(span[0], LIVE_SECONDS), span[1]
    streams = database.execute("SELECT id, name FROM streams ORDER BY name").fetchall()
    found = {}
    for number, name in streams:
        values = {"stream": number, "start": start, "end": end}
        [(found[name],)] = database.execute(MINUTES, values)
    return found
