"""The journal of people: every appearance and every change.

It is an SQLite file of its own beside the store's, or in the store's database of PostgreSQL, which
several machines share. A change is recorded before it is applied to the collection, and marked once
it is: a process that was killed between the two applies it again, which changes nothing twice.
"""

import platform
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

from onlooker.identity.people.journal_file import JournalFile
from onlooker.identity.people.person_changes import Change, LoggedChange, Visitor, without
from onlooker.sql import Connection


class JournalDatabase(Connection, Protocol):
    """The tables of the journal, as statements use them. All methods raise StoreError."""

    @property
    def place(self) -> str:
        """The file, or the database without its password, for messages."""

    def transaction(self) -> AbstractContextManager[None]:
        """Do all or nothing, and exclude other processes that change something."""

    def close(self) -> None: ...


class Journal:
    """The journal at `path`, or in the database at `url`; made if there is none. Raises StoreError.

    Methods that change something are to be called inside `transaction`.
    """

    def __init__(self, path: Path, url: str | None = None) -> None:
        self._database: JournalDatabase = JournalFile(path) if url is None else _postgres(url)
        self.place = self._database.place
        self._url = url

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Do all or nothing. Raises StoreError."""
        return self._database.transaction()

    # Appearances

    def add(self, visitor: Visitor, face_id: str | None) -> None:
        """Record an appearance that belongs to nobody yet; its vector is not part of it."""
        body = msgspec.json.encode(msgspec.structs.replace(visitor, vector=b""))
        self._database.execute(
            'INSERT INTO visitors (appearance, face_id, "end", body) VALUES (?, ?, ?, ?) '
            "ON CONFLICT DO NOTHING",
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
        found = self._rows('SELECT body FROM visitors WHERE person = ? ORDER BY "end"', person)
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
            'SELECT appearance FROM visitors WHERE person = ? ORDER BY "end" DESC LIMIT ?',
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
        """Remove all appearances of a person, and its name and ids from all that is recorded.

        Return the number of the appearances.
        """
        found = self._rows(
            "WITH RECURSIVE known (id) AS (SELECT ? UNION "
            "SELECT person FROM redirects JOIN known ON target = id) SELECT id FROM known",
            person,
        )
        ids = {id for (id,) in found}
        own = {
            appearance
            for (appearance,) in self._rows(
                "SELECT appearance FROM visitors WHERE person = ?", person
            )
        }
        for id in ids:
            for table in ("recognised", "refusals", "hidden", "redirects"):
                self._database.execute(f"DELETE FROM {table} WHERE person = ?", (id,))
        for appearance in own:
            for table in ("refusals", "visitors"):
                self._database.execute(f"DELETE FROM {table} WHERE appearance = ?", (appearance,))
        for number, body in self._rows("SELECT number, body FROM changes"):
            change = msgspec.json.decode(body, type=Change)
            if (left := without(change, ids, own)) != change:
                self._database.execute(
                    "UPDATE changes SET body = ? WHERE number = ?",
                    (msgspec.json.encode(left), number),
                )
        return len(own)

    def people(self) -> list[tuple[str, int, float, bool]]:
        """Return each person with the number of appearances, the end of the last one, and whether
        it is hidden; the most recent first."""
        return [
            (person, number, end, bool(hidden))
            for person, number, end, hidden in self._rows(
                'SELECT person, count(*), max("end"), person IN (SELECT person FROM hidden) '
                'FROM visitors WHERE person IS NOT NULL GROUP BY person ORDER BY max("end") DESC'
            )
        ]

    # Changes

    def record(self, change: Change) -> None:
        """Record a change that is still to be applied."""
        self._database.execute(
            "INSERT INTO changes (number, time, body, pending) "
            "SELECT coalesce(max(number), 0) + 1, ?, ?, ? FROM changes",
            (time.time(), msgspec.json.encode(change), True),
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
        self._database.execute("UPDATE changes SET pending = ? WHERE number = ?", (False, number))

    def undo(self, number: int) -> None:
        """Mark a change as undone, to be applied backwards."""
        self._database.execute(
            "UPDATE changes SET undone = ?, pending = ? WHERE number = ?",
            (time.time(), True, number),
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
            "INSERT INTO refusals VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
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
            "INSERT INTO redirects VALUES (?, ?, ?) ON CONFLICT (person) "
            "DO UPDATE SET target = excluded.target, change = excluded.change",
            (person, target, number),
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
        statement = "INSERT INTO hidden VALUES (?) ON CONFLICT DO NOTHING"
        if not hidden:
            statement = "DELETE FROM hidden WHERE person = ?"
        self._database.execute(statement, (person,))

    # Cursors

    def name_of(self, log: Path) -> str:
        """Return the name of this machine's log, which may share the journal with others'."""
        path = str(log.resolve())
        return path if self._url is None else f"{platform.node()}:{path}"

    def position(self, log: str) -> int:
        """Return how far a log was read; 0 at its beginning."""
        found = self._rows("SELECT position FROM cursors WHERE log = ?", log)
        return int(found[0][0]) if found else 0

    def set_position(self, log: str, position: int) -> None:
        """Note how far a log was read."""
        self._database.execute(
            "INSERT INTO cursors VALUES (?, ?) ON CONFLICT (log) "
            "DO UPDATE SET position = excluded.position",
            (log, position),
        )

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._database.execute(statement, values).fetchall()


def _postgres(url: str) -> JournalDatabase:
    # Here: psycopg is an extra.
    from onlooker.identity.postgres.postgres_journal import PostgresJournal

    return PostgresJournal(url)


def _logged(row: tuple[Any, ...]) -> LoggedChange:
    number, made, body, undone = row
    change = msgspec.json.decode(body, type=Change)
    return LoggedChange(number=number, time=made, change=change, undone=undone)
