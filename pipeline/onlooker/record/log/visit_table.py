"""Appearances and readings in the log: of each the newest event, written with its record.

A record has the events themselves; the table answers who was there, what was written, and when. A
visit without an "end" is still going on, or its stream was stopped meanwhile.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar
from unicodedata import normalize

import msgspec
from msgspec import to_builtins

from onlooker.record.log import best_faces
from onlooker.rekognition.shapes import Appearance, Reading, StreamRecord

SINCE_FORMAT = 3
"""The first format of logs that have visits."""
KINDS: dict[type, str] = {Appearance: "appearance", Reading: "reading"}

Event = TypeVar("Event", Appearance, Reading)


class Visit(NamedTuple, Generic[Event]):
    """An appearance or a reading as its newest event has it."""

    stream: str
    event: Event


class VisitQuery(NamedTuple):
    """Conditions on visits; None means any."""

    stream: str | None = None
    name: str | None = None
    """Person of an appearance, or a part of the text of a reading, in upper or lower case."""
    start: float | None = None
    end: float | None = None
    """A part of the visit lies between these times; `end` itself is excluded."""
    others: Sequence[str] = ()
    """Ids of visits that count as if they had the name."""


ANY_VISIT = VisitQuery()
MAX_OTHERS = 30_000
"""Ids in one query: SQLite takes 32,766 values."""
SELECT = "SELECT streams.name, body FROM visits JOIN streams ON streams.id = visits.stream"
_encoder = msgspec.json.Encoder()


def folded(text: str) -> str:
    """Return a text as searches compare it: lower case, the same for NFC and NFD."""
    return normalize("NFC", text.casefold())


def encode_event(stream: str, event: Appearance | Reading) -> bytes:
    """Return the event as one line of JSON without the newline, its stream first."""
    return _encoder.encode({"StreamName": stream, **to_builtins(event)})


def save(
    database: sqlite3.Connection,
    stream: int,
    position: int,
    record: StreamRecord,
    vectors: Mapping[str, bytes],
) -> None:
    """Store the events of the record at `position`. Raises sqlite3.Error.

    vectors: mean embeddings of appearances, by AppearanceId.
    """
    for visit, kind, name, event in _rows(record):
        database.execute(
            "INSERT OR REPLACE INTO visits "
            "(id, kind, stream, name, start, end, position, body, vector) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                uuid.UUID(visit).bytes,
                kind,
                stream,
                name,
                event.Start,
                event.End,
                position,
                _encoder.encode(event),
                vectors.get(visit),
            ),
        )


def _rows(record: StreamRecord) -> Iterator[tuple[str, str, str | None, Appearance | Reading]]:
    for person in record.Appearances:
        yield person.AppearanceId, KINDS[Appearance], person.Person, person
    for line in record.Readings:
        yield line.ReadingId, KINDS[Reading], line.DetectedText, line


def find(database: sqlite3.Connection, kind: type[Event], wanted: VisitQuery) -> list[Visit[Event]]:
    """Return the visits that meet all conditions, oldest first. Raises sqlite3.Error."""
    conditions, values = _conditions(kind, wanted)
    found = database.execute(
        f"{SELECT} WHERE {' AND '.join(conditions)} ORDER BY start, visits.id", values
    )
    return _decoded(kind, found)


def page(
    database: sqlite3.Connection,
    kind: type[Event],
    wanted: VisitQuery,
    limit: int,
    before: tuple[float, str] | None = None,
) -> list[Visit[Event]]:
    """Return `limit` visits that meet all conditions, those that ended last first.

    before: End and id of the last visit of the page before. Raises sqlite3.Error.
    """
    conditions, values = _conditions(kind, wanted)
    if before is not None:
        conditions.append("(end, visits.id) < (?, ?)")
        values.extend((before[0], uuid.UUID(before[1]).bytes))
    values.append(limit)
    found = database.execute(
        f"{SELECT} WHERE {' AND '.join(conditions)} ORDER BY end DESC, visits.id DESC LIMIT ?",
        values,
    )
    return _decoded(kind, found)


def one(database: sqlite3.Connection, kind: type[Event], visit: str) -> Visit[Event] | None:
    """Return the visit with this id, or None. Raises sqlite3.Error."""
    found = database.execute(
        f"{SELECT} WHERE visits.id = ? AND kind = ?", (uuid.UUID(visit).bytes, KINDS[kind])
    )
    return next(iter(_decoded(kind, found)), None)


def names(database: sqlite3.Connection, limit: int) -> list[str]:
    """Return names of people who appeared, in order. Raises sqlite3.Error."""
    found = database.execute(
        "SELECT DISTINCT name FROM visits WHERE kind = ? AND name IS NOT NULL ORDER BY name "
        "LIMIT ?",
        (KINDS[Appearance], limit),
    )
    return [name for (name,) in found]


def newest(database: sqlite3.Connection) -> int:
    """Return the position of the newest event of a visit; 0 if there is none."""
    [(position,)] = database.execute("SELECT coalesce(max(position), 0) FROM visits")
    return int(position)


def _conditions(kind: type[Event], wanted: VisitQuery) -> tuple[list[str], list[object]]:
    """Return the conditions of a query, to be joined by AND, and their values."""
    named, name = "visits.name = ?", wanted.name
    if kind is Reading and name is not None:
        named, name = "holds(visits.name, ?)", folded(name)
    conditions = ["kind = ?"]
    values: list[object] = [KINDS[kind]]
    if name is not None:
        others: Sequence[str] = wanted.others[:MAX_OTHERS]
        places = ", ".join("?" * len(others))
        conditions.append(f"({named} OR visits.id IN ({places}))")
        values += [name, *(uuid.UUID(each).bytes for each in others)]
    for condition, value in (
        ("streams.name = ?", wanted.stream),
        ("end >= ?", wanted.start),
        ("start < ?", wanted.end),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return conditions, values


def _decoded(kind: type[Event], found: Iterable[tuple[str, bytes]]) -> list[Visit[Event]]:
    decode = msgspec.json.Decoder(kind).decode
    return [Visit(stream, decode(body)) for stream, body in found]


def remove(database: sqlite3.Connection, position: int) -> None:
    """Remove the visits whose newest event is in a record up to `position`."""
    database.execute("DELETE FROM visits WHERE position <= ?", (position,))
    best_faces.remove(database, position)


def holds(line: str, part: str) -> bool:
    """Return whether a line has a folded part."""
    return part in folded(line)
