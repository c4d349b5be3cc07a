"""Faults of a log: its structure, its records' checksums and the order of its Sequences."""

import sqlite3
import uuid
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from onlooker.rekognition.shapes import RecordError, decode

PAGE_RECORDS = 500
"""Records verified in one query."""

Rows: TypeAlias = Callable[..., list[tuple[Any, ...]]]
"""A query of the log: its statement and values in, its rows out."""


def structure_faults(database: sqlite3.Connection) -> list[str]:
    """Return what SQLite finds wrong with the file."""
    try:
        found = database.execute("PRAGMA quick_check(10)").fetchall()
    except sqlite3.Error as error:
        return [str(error)]
    return [] if found == [("ok",)] else [text for (text,) in found]


def record_faults(rows: Rows, start: int = 0) -> Iterator[str]:
    """Yield the faults of the records after position `start`."""
    while found := rows(
        "SELECT position, body, crc, identity FROM records WHERE position > ? "
        "ORDER BY position LIMIT ?",
        start,
        PAGE_RECORDS,
    ):
        for start, body, crc, identity in found:
            if not isinstance(body, bytes) or zlib.crc32(body) != crc:
                yield f"record {start} is not what was written"
            elif _identity(body) != identity:
                yield f"record {start} has another's RecordId"


def order_faults(rows: Rows) -> list[str]:
    """Return the streams whose Sequences have gaps, or do not end at the newest record."""
    broken = rows(
        "SELECT name FROM streams JOIN records r ON r.stream = streams.id GROUP BY streams.id "
        "HAVING max(r.sequence) != streams.sequence "
        "OR count(*) != max(r.sequence) - min(r.sequence) + 1"
    )
    return [f"stream {name}: its Sequence has gaps" for (name,) in broken]


def _identity(body: bytes) -> bytes:
    try:
        return uuid.UUID(decode(body).RecordId).bytes
    except (RecordError, ValueError):
        return b""
