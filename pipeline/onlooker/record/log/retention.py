"""Retention: the removal of a log's oldest records.

Positions rise with the time of writing, so the records to remove are always the oldest ones. Each
batch reads and changes those only, however large the log is. The newest record of each stream is
never removed: it says how far the stream has come.
"""

import sqlite3

from onlooker.record.log import topics, visit_table

BATCH = 2000
"""Records removed in one transaction."""

_REMOVABLE = (
    "NOT EXISTS (SELECT 1 FROM streams "
    "WHERE streams.id = records.stream AND streams.sequence = records.sequence)"
)
"""Condition on a record: its stream has a newer one."""


def oldest_written(database: sqlite3.Connection) -> float | None:
    """Return when the oldest removable record was written, in epoch seconds; None if there is none.

    A clock that was set back leaves records that seem to be from the future. They and the records
    behind them stay until the clock has caught up, or until the log's size asks for their room.
    """
    found = database.execute(
        f"SELECT written FROM records WHERE {_REMOVABLE} ORDER BY position LIMIT 1"
    ).fetchone()
    return None if found is None else float(found[0])


def remove_oldest(database: sqlite3.Connection, written_before: float | None = None) -> int:
    """Remove up to BATCH of the oldest records, and the names that no other record has.

    written_before: epoch seconds; records written later stay. To be called in a transaction.
    Returns the number of records removed.
    """
    execute = database.execute
    [(last,)] = execute(
        "SELECT max(position) FROM (SELECT position, written FROM records "
        f"WHERE {_REMOVABLE} ORDER BY position LIMIT ?) WHERE ?2 IS NULL OR written < ?2",
        (BATCH, written_before),
    )
    if last is None:
        return 0
    removed = execute(f"DELETE FROM records WHERE position <= ? AND {_REMOVABLE}", (last,)).rowcount
    visit_table.remove(database, last)
    topics.remove(database, last)
    gone = (
        "FROM seen WHERE position <= ? AND NOT EXISTS "
        "(SELECT 1 FROM records WHERE records.position = seen.position)"
    )
    # Not DISTINCT: for it SQLite would go through all names in order.
    names = set(execute(f"SELECT name {gone}", (last,)))
    execute(f"DELETE {gone}", (last,))
    database.executemany(
        "DELETE FROM names WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM seen WHERE name = ?1)", names
    )
    return removed


def used_bytes(database: sqlite3.Connection) -> int:
    """Return the bytes that the log takes; the room of removed records is free for new ones."""
    [(pages,)], [(free,)], [(size,)] = (
        database.execute(f"PRAGMA {name}").fetchall()
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (int(pages) - int(free)) * int(size)
