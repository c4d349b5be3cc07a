"""The journal of people: every appearance and every change, in an SQLite file of its own.

A change is recorded before it is applied to the collection, and marked once it is: a process that
was killed between the two applies it again, which changes nothing twice.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from onlooker.file_format import FileFormat, FormatError, statements
from onlooker.identity.errors import StoreError
from onlooker.identity.people.person_changes import Change, LoggedChange, Visitor

APPLICATION_ID = 1330531408
"""SQLite's mark of the kind of file."""
FORMAT = 1
FILE = FileFormat("a journal of people", APPLICATION_ID, FORMAT, statements({}))
JOURNAL = "people.db"
"""Name of the file, beside the store of collections."""
LOCK_TIMEOUT_SECONDS = 30.0

TABLES = f"""
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE visitors (
    appearance TEXT PRIMARY KEY,
    person TEXT,
    face_id TEXT,
    end REAL NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX visitors_by_person ON visitors (person, end);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    body BLOB NOT NULL,
    undone REAL,
    pending INTEGER NOT NULL
);
CREATE INDEX changes_pending ON changes (pending) WHERE pending;
CREATE TABLE refusals (
    appearance TEXT NOT NULL,
    person TEXT NOT NULL,
    change INTEGER NOT NULL REFERENCES changes (number),
    PRIMARY KEY (appearance, person, change)
) WITHOUT ROWID;
CREATE INDEX refusals_by_person ON refusals (person);
CREATE TABLE redirects (person TEXT PRIMARY KEY, target TEXT NOT NULL, change INTEGER NOT NULL);
CREATE TABLE hidden (person TEXT PRIMARY KEY);
CREATE TABLE cursors (log TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE ids (last INTEGER NOT NULL);
INSERT INTO ids VALUES (0);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
COMMIT;
"""
"""`visitors.person` is whose the appearance is; `face_id` the stored face, if its vector is kept.
`ids` has the last number that was given to an unknown person, so that none is given twice."""


RECOGNISED = """
CREATE TABLE IF NOT EXISTS recognised (
    appearance TEXT NOT NULL,
    record TEXT NOT NULL,
    person TEXT,
    PRIMARY KEY (appearance, record)
) WITHOUT ROWID;
"""
"""Who an appearance that still goes on seemed to be, in the event of this record."""


class Journal:
    """The journal at `path`, made if there is none. Raises StoreError.

    Methods that change something are to be called inside `transaction`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors():
                self._database.execute("PRAGMA synchronous = FULL")
                self._open()
        except BaseException:
            self._database.close()
            raise

    def _open(self) -> None:
        try:
            if FILE.is_new(self._database):
                self._make()
            FILE.upgrade(self._database)
        except FormatError as error:
            raise StoreError(f"{self.path}: {error}") from error
        self._database.execute(RECOGNISED)

    def _make(self) -> None:
        try:
            self._database.executescript(TABLES)
        except sqlite3.OperationalError:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if FILE.is_new(self._database):
                raise  # else another process has made it at the same time

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all or nothing. Raises StoreError."""
        with self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    # Appearances

    def add(self, visitor: Visitor, face_id: str | None) -> None:
        """Record an appearance that belongs to nobody yet; its vector is not part of it."""
        body = msgspec.json.encode(msgspec.structs.replace(visitor, vector=b""))
        self._database.execute(
            "INSERT OR IGNORE INTO visitors (appearance, face_id, end, body) VALUES (?, ?, ?, ?)",
            (visitor.appearance, face_id, visitor.end, body),
        )

    def person_of(self, appearance: str) -> str | None:
        """Return whose the appearance is; None for nobody's and for an unknown one."""
        found = self._rows("SELECT person FROM visitors WHERE appearance = ?", appearance)
        return found[0][0] if found else None

    def knows(self, appearance: str) -> bool:
        """Return whether the appearance is recorded."""
        return bool(self._rows("SELECT 1 FROM visitors WHERE appearance = ?", appearance))

    def face_of(self, appearance: str) -> str | None:
        """Return the FaceId of the stored face of an appearance, or None."""
        found = self._rows("SELECT face_id FROM visitors WHERE appearance = ?", appearance)
        return found[0][0] if found else None

    def faces(self, person: str) -> int:
        """Return the number of a person's appearances whose vectors are kept."""
        [(number,)] = self._rows(
            "SELECT count(*) FROM visitors WHERE person = ? AND face_id IS NOT NULL", person
        )
        return int(number)

    def visitors(self, person: str) -> list[Visitor]:
        """Return the appearances of a person, oldest first."""
        found = self._rows("SELECT body FROM visitors WHERE person = ? ORDER BY end", person)
        return [msgspec.json.decode(body, type=Visitor) for (body,) in found]

    def recognised(self, appearance: str, record: str) -> tuple[str | None] | None:
        """Return whom an appearance was taken for in the event of a record; None if not asked."""
        found = self._rows(
            "SELECT person FROM recognised WHERE appearance = ? AND record = ?", appearance, record
        )
        return (found[0][0],) if found else None

    def recognise(self, appearance: str, record: str, person: str | None) -> None:
        """Note whom an appearance was taken for in the event of a record."""
        self._database.execute(
            "INSERT INTO recognised VALUES (?, ?, ?)", (appearance, record, person)
        )

    def last_appearances(self, person: str, limit: int) -> list[str]:
        """Return the last appearances of a person, newest first."""
        found = self._rows(
            "SELECT appearance FROM visitors WHERE person = ? ORDER BY end DESC LIMIT ?",
            person,
            limit,
        )
        return [appearance for (appearance,) in found]

    def give(self, appearance: str, person: str | None) -> None:
        """Make the appearance that of `person`."""
        self._database.execute(
            "UPDATE visitors SET person = ? WHERE appearance = ?", (person, appearance)
        )

    def forget(self, person: str) -> int:
        """Remove all appearances of a person, and what else is recorded of it."""
        self._database.execute(
            "WITH RECURSIVE ids (id) AS (SELECT ? UNION "
            "SELECT person FROM redirects JOIN ids ON target = id) "
            "DELETE FROM recognised WHERE person IN ids",
            (person,),
        )
        removed = self._database.execute("DELETE FROM visitors WHERE person = ?", (person,))
        for table in ("refusals", "hidden"):
            self._database.execute(f"DELETE FROM {table} WHERE person = ?", (person,))
        return removed.rowcount

    def people(self) -> list[tuple[str, int, float, bool]]:
        """Return each person with the number of appearances, the end of the last one, and whether
        it is hidden; the most recent first."""
        return [
            (person, number, end, bool(hidden))
            for person, number, end, hidden in self._rows(
                "SELECT person, count(*), max(end), person IN (SELECT person FROM hidden) "
                "FROM visitors WHERE person IS NOT NULL GROUP BY person ORDER BY max(end) DESC"
            )
        ]

    # Changes

    def record(self, change: Change) -> None:
        """Record a change that is still to be applied."""
        self._database.execute(
            "INSERT INTO changes (time, body, pending) VALUES (?, ?, 1)",
            (time.time(), msgspec.json.encode(change)),
        )

    def pending(self) -> list[tuple[int, Change, bool]]:
        """Return the changes that are not applied yet: number, change, whether it was undone."""
        return [
            (number, msgspec.json.decode(body, type=Change), undone is not None)
            for number, body, undone in self._rows(
                "SELECT number, body, undone FROM changes WHERE pending ORDER BY number"
            )
        ]

    def apply(self, number: int, change: Change, undone: bool) -> None:
        """Apply a change, or apply it backwards, but for its moves; it is not pending then."""
        if undone:
            self.allow(number)
            self.remove_redirects(number)
        else:
            self.refuse(change.refusals, number)
            if change.redirect is not None:
                self.redirect(*change.redirect, number)
        if change.hides is not None and change.person is not None:
            self._hide(change.person, change.hides != undone)
        self._database.execute("UPDATE changes SET pending = 0 WHERE number = ?", (number,))

    def undo(self, number: int) -> None:
        """Mark a change as undone, to be applied backwards."""
        self._database.execute(
            "UPDATE changes SET undone = ?, pending = 1 WHERE number = ?", (time.time(), number)
        )

    def change(self, number: int) -> LoggedChange | None:
        """Return the change with this number, or None."""
        found = self._rows(
            "SELECT number, time, body, undone FROM changes WHERE number = ?", number
        )
        return _logged(found[0]) if found else None

    def last_change(self) -> int:
        """Return the number of the newest change; 0 if there is none."""
        [(number,)] = self._rows("SELECT coalesce(max(number), 0) FROM changes")
        return int(number)

    def changes(self, limit: int) -> list[LoggedChange]:
        """Return the last changes, newest first."""
        found = self._rows(
            "SELECT number, time, body, undone FROM changes ORDER BY number DESC LIMIT ?", limit
        )
        return [_logged(row) for row in found]

    def next_id(self) -> int:
        """Return a number for an unknown person that was never used."""
        self._database.execute("UPDATE ids SET last = last + 1")
        [(last,)] = self._rows("SELECT last FROM ids")
        return int(last)

    # Constraints

    def refuse(self, pairs: Iterable[tuple[str, str]], number: int) -> None:
        """Record that appearances are not of these people, by change `number`."""
        self._database.executemany(
            "INSERT OR IGNORE INTO refusals VALUES (?, ?, ?)",
            [(appearance, person, number) for appearance, person in pairs],
        )

    def allow(self, number: int) -> None:
        """Remove the refusals of a change."""
        self._database.execute("DELETE FROM refusals WHERE change = ?", (number,))

    def refused(self, person: str) -> set[str]:
        """Return the appearances that are known not to be this person's."""
        found = self._rows("SELECT appearance FROM refusals WHERE person = ?", person)
        return {appearance for (appearance,) in found}

    def are_two(self, person: str, other: str) -> bool:
        """Return whether an appearance of one of them is known not to be the other's."""
        return any(
            self.person_of(each) == b
            for a, b in ((person, other), (other, person))
            for each in self.refused(a)
        )

    def redirect(self, person: str, target: str, number: int) -> None:
        """Let an id stand for another one."""
        self._database.execute(
            "INSERT OR REPLACE INTO redirects VALUES (?, ?, ?)", (person, target, number)
        )

    def remove_redirects(self, number: int) -> None:
        """Remove the redirect of a change."""
        self._database.execute("DELETE FROM redirects WHERE change = ?", (number,))

    def resolve(self, person: str) -> str:
        """Return the id that `person` stands for: itself, unless it was merged into another."""
        seen = {person}
        while found := self._rows("SELECT target FROM redirects WHERE person = ?", person):
            person = found[0][0]
            if person in seen:
                break
            seen.add(person)
        return person

    def is_hidden(self, person: str) -> bool:
        """Return whether a person is left out of lists."""
        return bool(self._rows("SELECT 1 FROM hidden WHERE person = ?", person))

    def _hide(self, person: str, hidden: bool) -> None:
        statement = "INSERT OR IGNORE INTO hidden VALUES (?)"
        if not hidden:
            statement = "DELETE FROM hidden WHERE person = ?"
        self._database.execute(statement, (person,))

    # Cursors

    def position(self, log: str) -> int:
        """Return how far a log was read; 0 at its beginning."""
        found = self._rows("SELECT position FROM cursors WHERE log = ?", log)
        return int(found[0][0]) if found else 0

    def set_position(self, log: str, position: int) -> None:
        """Note how far a log was read."""
        self._database.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (log, position))

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self.path}: {error}") from error


def _logged(row: tuple[Any, ...]) -> LoggedChange:
    number, made, body, undone = row
    change = msgspec.json.decode(body, type=Change)
    return LoggedChange(number=number, time=made, change=change, undone=undone)
