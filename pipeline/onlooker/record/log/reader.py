"""The record log: an SQLite file that holds every record before any consumer gets it.

Each record has a position, which grows along the log, and a Sequence, which grows by one along its
stream. `onlooker.record.log.writer` appends a group of records and returns once they are on the
disk (one forced write per group). A RecordId is in the log once, however often it is appended.
Readers never wait for the writer, nor it for them.

SQLite takes back what a killed writer left unfinished, which was never acknowledged. Each record
has a checksum: after a writer that did not close the log, the next one verifies the newest records,
and after a loss of power the structure of the whole file. `Log.check` verifies everything.
"""

import heapq
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from math import inf
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from uuid import UUID

from onlooker.config import paths
from onlooker.errors import OnlookerError
from onlooker.escape import PEOPLE, STREAMS
from onlooker.file_format import FormatError
from onlooker.record.log import best_faces, integrity, schema, states, visit_table
from onlooker.record.log.states import StageState
from onlooker.record.log.visit_table import ANY_VISIT, Event, Visit, VisitQuery, folded, holds
from onlooker.rekognition.shapes import RecordError, StreamRecord, decode

T = TypeVar("T")
PERSON, TEXT = "person", "text"
"""Kinds of names by which records are found."""

PAGE_RECORDS = 500
"""Records read in one query, so that no reader holds an old state of the file for long."""
PAGE_POSITIONS = 100
"""Positions read in one query for each name that a search matches."""
LOCK_TIMEOUT_SECONDS = 30.0
"""Longest wait for another process that has locked the file."""


class LogError(OnlookerError):
    """The log, or a file of records, cannot be used; the text says why and what to do."""


class LogFull(LogError):
    """There is no room for more records now. Earlier ones are safe and readable."""


class Entry(NamedTuple):
    """A record as it is stored."""

    position: int
    stream: str
    sequence: int
    body: bytes
    """The record as `onlooker.rekognition.shapes.encode` made it."""
    crc: int

    @property
    def intact(self) -> bool:
        """True if the body is what was written."""
        return isinstance(self.body, bytes) and zlib.crc32(self.body) == self.crc


def default_path() -> Path:
    """Return the path of the user's own log: `records.db` in the user's folder."""
    return paths.data_folder() / "records.db"


def read_log(
    path: Path | str | None = None,
    stream: str | None = None,
    *,
    person: str | None = None,
    text: str | None = None,
    start: float | None = None,
    end: float | None = None,
) -> Iterator[StreamRecord]:
    """Yield the records of a log that meet all conditions, in the order of the log.

    path: the log's file; None means the user's own log. stream: the name of one stream. person:
    name, ExternalImageId or FaceId of a face's best match. text: a part of a line of text, in upper
    or lower case. start, end: seconds of the video, or since 1970 if the stream is live; `end`
    itself is excluded.

    A process may be writing to the log meanwhile; records that it adds are not waited for. Raises
    LogError if there is no log, and if a record is damaged.

        for record in onlooker.read_log("lobby.db", person="ada_lovelace"):
            print(record.FrameInformation.Time)
    """
    with Log(default_path() if path is None else Path(path)) as log:
        stream, person = stream and STREAMS.meant(stream), person and PEOPLE.meant(person)
        yield from log.query(stream, person, text, start, end)


class Log:
    """A log opened for reading. Raises LogError if there is none at `path`, or none of this kind.

    Not for two threads at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise LogError(f"{path}: there is no log of records here")
        if not path.is_file():  # SQLite would wait for a FIFO for ever
            raise LogError(f"{path}: not a file, so not a log of records; name the file")
        with self._errors():
            self._database = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=LOCK_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._check_format()
        except BaseException:
            self._database.close()
            raise

    @property
    def position(self) -> int:
        """Position of the newest record; 0 if there is none."""
        [(found,)] = self._rows("SELECT coalesce(max(position), 0) FROM records")
        return int(found)

    @property
    def version(self) -> tuple[int, int]:
        """A value that changes with every commit, by this connection or by another process."""
        [(others,)] = self._rows("PRAGMA data_version")
        return int(others), self._database.total_changes

    def sequences_at(self, position: int) -> dict[str, int]:
        """Return the last Sequence that each stream had at `position`."""
        # "+": not by the index on streams, which would read all of their records.
        counted = "SELECT stream, count(*) FROM records WHERE position > ? GROUP BY +stream"
        later = dict(self._rows(counted, position))
        streams = self._rows("SELECT id, name, sequence FROM streams ORDER BY id")
        return {name: sequence - later.get(number, 0) for number, name, sequence in streams}

    def __len__(self) -> int:
        [(found,)] = self._rows("SELECT count(*) FROM records")
        return int(found)

    def __contains__(self, record_id: str) -> bool:
        return self.position_of(record_id) is not None

    def position_of(self, record_id: str) -> int | None:
        """Return the position of the record with this RecordId, or None."""
        found = self._rows("SELECT position FROM records WHERE identity = ?", UUID(record_id).bytes)
        return int(found[0][0]) if found else None

    def find(self, record_id: str) -> StreamRecord | None:
        """Return the record with this RecordId, or None. Raises LogError if it is damaged."""
        found = self._entries("identity = ?", (UUID(record_id).bytes,), 1)
        return self._decoded(found[0]) if found else None

    def record_ids(self, stream: str) -> Iterator[str]:
        """Yield the RecordIds of a stream's records, in order, without reading the records."""
        since = 0
        while found := self._rows(
            "SELECT sequence, identity FROM records WHERE stream = ? AND sequence > ? "
            "ORDER BY sequence LIMIT ?",
            self._stream_number(stream),
            since,
            PAGE_RECORDS,
        ):
            yield from (str(UUID(bytes=identity)) for _, identity in found)
            since = found[-1][0]

    def state(self, stream: str, stage: str) -> StageState | None:
        """Return the newest state of a stateful stage for the stream named so in its frames."""
        if self._format < states.SINCE_FORMAT:
            return None
        with self._errors():
            return states.load(self._database, stream, stage)

    def after(self, position: int, limit: int = PAGE_RECORDS) -> list[Entry]:
        """Return the records after `position`, at most `limit` of them."""
        return self._entries("position > ?", (position,), limit)

    def last(self, number: int, stream: str | None = None) -> list[Entry]:
        """Return the last `number` records, oldest first; of one stream if it is given."""
        if stream is None:
            return self._entries("TRUE", (), number, "position DESC")[::-1]
        condition, values = "stream = ?", (self._stream_number(stream),)
        return self._entries(condition, values, number, "sequence DESC")[::-1]

    def newest(self, stream: str) -> StreamRecord | None:
        """Return the last record of a stream, or None. Raises LogError if it is damaged."""
        found = self.last(1, stream)
        return self._decoded(found[0]) if found else None

    def missed(self, stream: str, since: int, until: int, limit: int = PAGE_RECORDS) -> list[Entry]:
        """Return the records of a stream between the Sequences `since` and `until`, in order."""
        return self._entries(
            "stream = ? AND sequence > ? AND sequence < ?",
            (self._stream_number(stream), since, until),
            limit,
            "sequence",
        )

    def read(self, start: int = 0) -> Iterator[StreamRecord]:
        """Yield all records after position `start`, in order. Raises LogError at a damaged one."""
        while found := self.after(start):
            yield from map(self._decoded, found)
            start = found[-1].position

    def salvage(self) -> Iterator[tuple[int, Entry | None]]:
        """Yield all records with their positions, in order; None for one that cannot be read.

        If the file is so damaged that a page of records cannot be read, they are read one by one.
        """
        position = 0
        try:
            end = self.position
        except LogError:  # the last page of records cannot be read
            [(end,)] = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'records'")
        while position < end:
            try:
                found = self.after(position)
            except LogError:
                wanted = range(position + 1, min(position + PAGE_RECORDS, end) + 1)
                for position in wanted:
                    try:
                        for entry in self._entries("position = ?", (position,), 1):
                            yield position, entry
                    except LogError:
                        yield position, None
                continue
            for entry in found:
                yield entry.position, entry
            position = found[-1].position if found else end

    def query(
        self,
        stream: str | None = None,
        person: str | None = None,
        text: str | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> Iterator[StreamRecord]:
        """Yield the records that meet all conditions, in order, as `read_log` has them.

        Records appended after the call are left out. Raises LogError at a damaged one.
        """
        first, last, conditions, values = 0, self.position, ["TRUE"], list[object]()
        if stream is not None:
            conditions.append("stream = ?")
            values.append(self._stream_number(stream))
        if start is not None or end is not None:
            since, until = -inf if start is None else start, inf if end is None else end
            conditions.append("time >= ? AND time < ?")
            values += [since, until]
            first, last = self._span(stream, since, until, last)
        if not last:
            return
        condition = " AND ".join(conditions)
        searched = []
        if person is not None:
            searched.append(self._name_numbers(PERSON, "name = ?", person))
        if text is not None:
            searched.append(self._name_numbers(TEXT, "holds(name, ?)", folded(text)))
        if searched:
            found = self._named(searched, condition, values, first, last)
        elif stream is None:
            found = self._paged("position", condition, values, first, last)
        else:
            since, until = self._sequences(stream, first, last)
            found = self._paged("sequence", condition, values, since, until)
        yield from map(self._decoded, found)

    def visits(self, kind: type[Event], wanted: VisitQuery = ANY_VISIT) -> list[Visit[Event]]:
        """Return the appearances or the readings that meet all conditions, oldest first."""
        if self._format < visit_table.SINCE_FORMAT:
            return []
        return self.ask(lambda database: visit_table.find(database, kind, wanted))

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return the answer of a function of `visit_table` on this file. Raises LogError."""
        with self._errors():
            return question(self._database)

    def vector(self, appearance: str) -> bytes | None:
        """Return the mean embedding of an appearance, float32, or None."""
        found = self._rows("SELECT vector FROM visits WHERE id = ?", UUID(appearance).bytes)
        return found[0][0] if found else None

    def best_face(self, appearance: str) -> bytes | None:
        """Return the best face of an appearance so far as a JPEG; None if none is kept."""
        kept = self._format >= best_faces.SINCE_FORMAT
        return self.ask(lambda database: best_faces.find(database, appearance)) if kept else None

    def check(self) -> list[str]:
        """Return the log's faults; nothing if it is intact."""
        if faults := integrity.structure_faults(self._database):
            return faults
        return [*integrity.record_faults(self._rows), *integrity.order_faults(self._rows)]

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_format(self) -> None:
        self._database.create_function("holds", 2, holds, deterministic=True)
        try:
            with self._errors():
                self._format = schema.FILE.found(self._database)
        except FormatError as error:
            raise LogError(f"{self.path}: {error}") from error

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._database.execute(statement, values).fetchall()

    def _entries(
        self, condition: str, values: Sequence[object], limit: int, order: str = "position"
    ) -> list[Entry]:
        found = self._rows(
            "SELECT position, (SELECT name FROM streams WHERE id = stream), sequence, body, crc "
            f"FROM records WHERE {condition} ORDER BY {order} LIMIT ?",
            *values,
            limit,
        )
        return [Entry(*row) for row in found]

    def _decoded(self, entry: Entry) -> StreamRecord:
        try:
            return decode(entry.body)
        except RecordError as error:
            raise LogError(f"{self.path}: record {entry.position} is damaged: {error}") from error

    def _stream_number(self, name: str) -> int:
        """Return a stream's number in this log; -1 if it has no records."""
        found = self._rows("SELECT id FROM streams WHERE name = ?", name)
        return int(found[0][0]) if found else -1

    def _span(self, stream: str | None, start: float, end: float, last: int) -> tuple[int, int]:
        """Return positions between which are all records with a time from `start` to `end`."""
        [(low, high)] = self._rows(
            "SELECT min(position), max(position) FROM records "
            "WHERE stream IN (SELECT id FROM streams WHERE ?1 IS NULL OR name = ?1) "
            "AND time >= ?2 AND time < ?3",
            stream,
            start,
            end,
        )
        return (0, 0) if low is None else (low - 1, min(high, last))

    def _sequences(self, stream: str, first: int, last: int) -> tuple[int, int]:
        """Return the Sequences of a stream that are in the log after `first` and up to `last`.

        `first` is 0 or just before a record of the stream; `last` is one's, or the log's newest.
        """
        [(since, until)] = self._rows(
            "SELECT coalesce((SELECT sequence - 1 FROM records WHERE position = ?1 + 1), 0), "
            "coalesce((SELECT sequence FROM records WHERE position = ?2 AND stream = ?3), "
            "(SELECT sequence FROM streams WHERE id = ?3), 0)",
            first,
            last,
            self._stream_number(stream),
        )
        return (since if first else 0), until

    def _paged(
        self, order: str, condition: str, values: Sequence[object], first: int, last: int
    ) -> Iterator[Entry]:
        """Yield the records whose `order` is greater than `first` and at most `last`, in pages.

        order: "position", or for one stream "sequence", so that no others are read.
        """
        condition = f"{order} > ? AND {order} <= ? AND {condition}"
        while found := self._entries(condition, (first, last, *values), PAGE_RECORDS, order):
            yield from found
            first = found[-1].position if order == "position" else found[-1].sequence

    def _named(
        self,
        searched: Iterable[Sequence[int]],
        condition: str,
        values: Sequence[object],
        first: int,
        last: int,
    ) -> Iterator[Entry]:
        """Yield the records that have one name out of each sequence in `searched`."""
        found = ([self._positions(n, first, last) for n in names] for names in searched)
        each = [map(itemgetter(0), groupby(heapq.merge(*positions))) for positions in found]
        common = (
            position
            for position, found in groupby(heapq.merge(*each))
            if len(list(found)) == len(each)
        )
        while page := list(islice(common, PAGE_RECORDS)):
            places = ", ".join("?" * len(page))
            yield from self._entries(
                f"position IN ({places}) AND {condition}", (*page, *values), PAGE_RECORDS
            )

    def _name_numbers(self, kind: str, condition: str, value: str) -> list[int]:
        found = self._rows(f"SELECT id FROM names WHERE kind = ? AND {condition}", kind, value)
        return [number for (number,) in found]

    def _positions(self, name: int, first: int, last: int) -> Iterator[int]:
        """Yield the positions of a name's records, in order."""
        while found := self._rows(
            "SELECT position FROM seen WHERE name = ? AND position > ? AND position <= ? "
            "ORDER BY position LIMIT ?",
            name,
            first,
            last,
            PAGE_POSITIONS,
        ):
            for (first,) in found:
                yield first

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise SQLite's errors as LogError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL or "disk I/O" in str(error):
                raise LogFull(f"{self.path}: {error}; make room, records wait for it") from error
            raise LogError(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise LogError(f"{self.path}: not a log of records; name another file") from error
            raise LogError(
                f"{self.path}: {error}; `onlooker log check` says more, and "
                "`onlooker log export` saves what can be read"
            ) from error
