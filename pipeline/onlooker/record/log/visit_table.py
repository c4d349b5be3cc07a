"""Appearances and readings in the log: of each the newest event, written with its record.

A record has the events themselves; the table answers who was there, what was written, and when. A
visit without an "end" is still going on, or its stream was stopped meanwhile.
"""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar
from unicodedata import normalize

import msgspec
from msgspec import to_builtins

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


ANY_VISIT = VisitQuery()
_encoder = msgspec.json.Encoder()


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
    named, name = "visits.name = ?", wanted.name
    if kind is Reading and name is not None:
        named, name = "holds(visits.name, ?)", normalize("NFC", name.casefold())
    conditions, values = ["kind = ?"], list[object]([KINDS[kind]])
    for condition, value in (
        ("streams.name = ?", wanted.stream),
        (named, name),
        ("end >= ?", wanted.start),
        ("start < ?", wanted.end),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    found = database.execute(
        "SELECT streams.name, body FROM visits JOIN streams ON streams.id = visits.stream "
        f"WHERE {' AND '.join(conditions)} ORDER BY start, visits.id",
        values,
    )
    decode = msgspec.json.Decoder(kind).decode
    return [Visit(stream, decode(body)) for stream, body in found]


def remove(database: sqlite3.Connection, position: int) -> None:
    """Remove the visits whose newest event is in a record up to `position`."""
    database.execute("DELETE FROM visits WHERE position <= ?", (position,))
