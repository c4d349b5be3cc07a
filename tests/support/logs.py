"""Logs to measure, and what SQLite does with them."""

import sqlite3
from collections.abc import Callable


def steps(database: sqlite3.Connection, work: Callable[[], object]) -> int:
    """Return the steps of SQLite's virtual machine, in hundreds, that `work` takes."""
    count = 0

    def counted() -> int:
        nonlocal count
        count += 1
        return 0

    database.set_progress_handler(counted, 100)
    work()
    database.set_progress_handler(None, 0)
    return count
