"""The record log: an SQLite file that every record is in before anybody hears of it.

Each record has a position, which grows along the log, and a Sequence, which grows by one along its
stream. `onlooker.record.log.writer` appends a group of records and is done when they are on the
disk (one forced write for the group); each RecordId is there once, however often it comes. Readers
are not kept waiting by the writer, nor it by them.

What a dying writer left unfinished was never acknowledged, and SQLite takes it back. Each record
carries a checksum: a writer that comes after one that did not close looks at the last records, and
after a power cut at the structure of the whole file; `Log.check` looks at everything.
"""

import sqlite3
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from onlooker.config import paths
from onlooker.errors import OnlookerError
from onlooker.record.log import schema, states
from onlooker.record.log.states import StageState
from onlooker.rekognition.shapes import RecordError, StreamRecord, decode

PERSON, TEXT = "person", "text"

PAGE = 500
"""Records that are read at once."""
PATIENCE = 30.0
"""Seconds that another process may hold the file's lock."""


class LogError(OnlookerError):
    """The log, or a file of records, cannot be used; the text says why and what to do."""


class LogFull(LogError):
    """There is no room for records at the moment. Those of before are there, and readable."""


class Entry(NamedTuple):
    """A record as the log has it."""

    position: int
    stream: str
    sequence: int
    body: bytes
    """The record as `onlooker.rekognition.shapes.encode` makes it."""
    crc: int

    @property
    def whole(self) -> bool:
        """Whether it is what was written."""
        return isinstance(self.body, bytes) and zlib.crc32(self.body) == self.crc


def default_path() -> Path:
    """The user's own log: `records.db` in the user's folder."""
    return paths.folder() / "records.db"


class Log:
    """A log to read from, while somebody may be writing to it. Raises LogError where none is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise LogError(f"{path}: there is no log of records here")
        if path.is_dir():
            raise LogError(f"{path}: a folder, not a log of records; name the file")
        with self._told():
            self._database = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._recognise()
        except BaseException:
            self._database.close()
            raise

    @property
    def position(self) -> int:
        """Of the newest record; 0 before the first."""
        [(found,)] = self._rows("SELECT coalesce(max(position), 0) FROM records")
        return int(found)

    def sequences_at(self, position: int) -> dict[str, int]:
        """The last Sequence that each stream had at `position`."""
        return dict(
            self._rows(
                "SELECT name, sequence - (SELECT count(*) FROM records "
                "WHERE stream = streams.id AND position > ?) FROM streams ORDER BY id",
                position,
            )
        )

    def __len__(self) -> int:
        [(found,)] = self._rows("SELECT count(*) FROM records")
        return int(found)

    def __contains__(self, record_id: str) -> bool:
        return self.position_of(record_id) is not None

    def position_of(self, record_id: str) -> int | None:
        """Where the record with this RecordId is; None where it is not."""
        identity = uuid.UUID(record_id).bytes
        found = self._rows("SELECT position FROM records WHERE identity = ?", identity)
        return int(found[0][0]) if found else None

    def find(self, record_id: str) -> StreamRecord | None:
        """Return the record with this RecordId, or None. Raises LogError if it is damaged."""
        identity = uuid.UUID(record_id).bytes
        found = self._entries("identity = ?", (identity,), 1)
        return _record(self.path, found[0]) if found else None

    def record_ids(self, stream: str) -> Iterator[str]:
        """Yield the RecordIds of a stream's records, in order, without reading the records."""
        since = 0
        while found := self._rows(
            "SELECT sequence, identity FROM records WHERE sequence > ? AND "
            "stream = (SELECT id FROM streams WHERE name = ?) ORDER BY sequence LIMIT ?",
            since,
            stream,
            PAGE,
        ):
            yield from (str(uuid.UUID(bytes=identity)) for _, identity in found)
            since = found[-1][0]

    def state(self, stream: str, stage: str) -> StageState | None:
        """Return the newest state of a stateful stage for the stream named so in its frames."""
        with self._told():
            return states.load(self._database, stream, stage)

    def after(self, position: int, limit: int = PAGE) -> list[Entry]:
        """The records behind `position`, at most `limit` of them."""
        return self._entries("position > ?", (position,), limit)

    def last(self, number: int, stream: str | None = None) -> list[Entry]:
        """The last `number` records, of `stream` where that is given, oldest first."""
        condition = "TRUE" if stream is None else "stream = (SELECT id FROM streams WHERE name = ?)"
        [(first,)] = self._rows(
            "SELECT coalesce(min(position), 0) FROM (SELECT position FROM records "
            f"WHERE {condition} ORDER BY position DESC LIMIT ?)",
            *(() if stream is None else (stream,)),
            number,
        )
        values = (first,) if stream is None else (stream, first)
        return self._entries(f"{condition} AND position >= ?", values, number)

    def newest(self, stream: str) -> StreamRecord | None:
        """The last record of a stream; None where it has none."""
        found = self.last(1, stream)
        return _record(self.path, found[0]) if found else None

    def missed(self, stream: str, since: int, until: int, limit: int = PAGE) -> list[Entry]:
        """What a subscriber missed that has Sequence `since` and is now given `until`."""
        return self._entries(
            "stream = (SELECT id FROM streams WHERE name = ?) AND sequence > ? AND sequence < ?",
            (stream, since, until),
            limit,
        )

    def read(self, start: int = 0) -> Iterator[StreamRecord]:
        """All records behind position `start`, in order. LogError where one is damaged."""
        for entry in self._pages("position > ?", (), start):
            yield _record(self.path, entry)

    def salvage(self) -> Iterator[tuple[int, Entry | None]]:
        """All records with their positions, in order; None for what cannot be read any more.

        Where the file is damaged so that a page of records cannot be had, each is asked for alone.
        """
        position, end = 0, self.position
        while position < end:
            try:
                found = self.after(position)
            except LogError:
                wanted = range(position + 1, min(position + PAGE, end) + 1)
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
        """Records that meet all conditions, in order.

        person: ExternalImageId or FaceId of the best match of a face. text: letters that a line
        has somewhere, in whatever case. start, end: seconds of the video, or for live streams since
        1970; `end` itself is left out.
        """
        conditions, values = ["position > ?"], list[object]()
        named = "position IN (SELECT position FROM seen JOIN names ON names.id = seen.name WHERE "
        for condition, value in (
            ("stream = (SELECT id FROM streams WHERE name = ?)", stream),
            (f"{named} kind = 'person' AND names.name = ?)", person),
            (f"{named} kind = 'text' AND holds(names.name, ?))", text and text.casefold()),
            ("time >= ?", start),
            ("time < ?", end),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        for entry in self._pages(" AND ".join(conditions), values, 0):
            yield _record(self.path, entry)

    def check(self) -> list[str]:
        """What is wrong with the log; nothing where it is whole."""
        wrong = self._check_structure()
        return wrong or [*self._check_sums(0), *self._check_order()]

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _recognise(self) -> None:
        self._database.create_function("holds", 2, _holds, deterministic=True)
        if self._rows("PRAGMA application_id") != [(schema.APPLICATION_ID,)]:
            raise LogError(f"{self.path}: not a log of records; name another file")
        [(self._format,)] = self._rows("PRAGMA user_version")
        if not 1 <= self._format <= schema.FORMAT:
            raise LogError(f"{self.path}: made by another version of Onlooker; name another file")

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._told():
            return self._database.execute(statement, values).fetchall()

    def _entries(self, condition: str, values: Sequence[object], limit: int) -> list[Entry]:
        found = self._rows(
            "SELECT position, (SELECT name FROM streams WHERE id = stream), sequence, body, crc "
            f"FROM records WHERE {condition} ORDER BY position LIMIT ?",
            *values,
            limit,
        )
        return [Entry(*row) for row in found]

    def _pages(self, condition: str, values: Sequence[object], start: int) -> Iterator[Entry]:
        """In pages, so that no reader holds on to an old state of the file for long."""
        while found := self._entries(condition, (start, *values), PAGE):
            yield from found
            start = found[-1].position

    def _check_structure(self) -> list[str]:
        try:
            found = self._database.execute("PRAGMA quick_check(10)").fetchall()
        except sqlite3.Error as error:
            return [str(error)]
        return [] if found == [("ok",)] else [text for (text,) in found]

    def _check_sums(self, start: int) -> Iterator[str]:
        while True:
            rows = self._rows(
                "SELECT position, body, crc, identity FROM records WHERE position > ? "
                "ORDER BY position LIMIT ?",
                start,
                PAGE,
            )
            for position, body, crc, identity in rows:
                if not isinstance(body, bytes) or zlib.crc32(body) != crc:
                    yield f"record {position} is not what was written"
                elif _decoded_identity(body) != identity:
                    yield f"record {position} has another's RecordId"
            if not rows:
                return
            start = rows[-1][0]

    def _check_order(self) -> list[str]:
        broken = self._rows(
            "SELECT name, min(r.sequence), max(r.sequence), count(*), streams.sequence "
            "FROM streams JOIN records r ON r.stream = streams.id GROUP BY streams.id "
            "HAVING max(r.sequence) != streams.sequence "
            "OR count(*) != max(r.sequence) - min(r.sequence) + 1"
        )
        return [f"stream {row[0]}: its Sequence has gaps" for row in broken]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as ours."""
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


def read(path: Path) -> Iterator[StreamRecord]:
    """The records of the log at `path`, in order. Raises LogError."""
    with Log(path) as log:
        yield from log.read()


def _holds(line: str, letters: str) -> bool:
    return letters in line.casefold()


def _record(path: Path, entry: Entry) -> StreamRecord:
    try:
        return decode(entry.body)
    except RecordError as error:
        raise LogError(f"{path}: record {entry.position} is damaged: {error}") from error


def _decoded_identity(body: bytes) -> bytes:
    try:
        return uuid.UUID(decode(body).RecordId).bytes
    except (RecordError, ValueError):
        return b""


def first_missing(log: Log, identity: Callable[[int], str]) -> int:
    """The first number whose `identity` is not in the log, which has all before it."""
    low, high = 0, 1
    while identity(high - 1) in log:
        low, high = high, 2 * high
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if identity(middle - 1) in log else (low, middle)
    return low
