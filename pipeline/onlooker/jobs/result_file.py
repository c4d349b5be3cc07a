"""The results of one job: a SQLite file that grows while the job runs, and is read page by page.

Entries, the snapshot of the tracks and the number of frames that are done are committed together:
after a kill the job continues behind the last committed frame, to the same bytes.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

from onlooker.jobs import schema
from onlooker.jobs.errors import JobError

NAME = "results.db"
"""In the folder of a job."""
SINGLE = -1
"""Person of entries that are about none."""

Order = Literal["TIMESTAMP", "INDEX"]


class Entry(NamedTuple):
    """An entry of a job's results, with JSON in Amazon's form."""

    time: int
    """Milliseconds."""
    body: bytes
    """The face or the detection of text."""
    person: int = SINGLE
    confidence: float = 0.0
    matches: bytes | None = None
    """FaceMatches; None means no match."""


class ResultFile:
    """The file at `path` while its job runs; one process writes it. Raises JobError."""

    def __init__(self, path: Path, video: str) -> None:
        """video: SHA-256 of the video; results of another one are deleted."""
        self._path = path
        with self._explained():
            self._database = sqlite3.connect(path, isolation_level=None)
            # A single file, in which each commit is on the disk.
            self._database.execute("PRAGMA synchronous = FULL")
        self._begin(video)

    def _begin(self, video: str) -> None:
        with self._changing() as database:
            if database.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
                for statement in schema.RESULTS.split(";\n"):
                    database.execute(statement)
            known = database.execute(
                "SELECT video, done, damaged, tracks, complete FROM state"
            ).fetchone()
            if known is None or known[0] != video:
                for table in ("state", "results", "people", "same_people"):
                    database.execute(f"DELETE FROM {table}")
                known = (video, 0, 0, b"", 0)
                database.execute(
                    "INSERT INTO state (only, video, done, tracks) VALUES (0, ?, 0, x'')", (video,)
                )
            self.done: int = known[1]
            """Frames whose entries are committed."""
            self.damaged: int = known[2]
            """Those of them that could not be decoded."""
            self.tracks: bytes = known[3]
            """Snapshot of the tracks after them."""
            self.complete = bool(known[4])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def commit(
        self,
        done: int,
        damaged: int,
        tracks: bytes,
        entries: Sequence[Entry],
        people: Mapping[int, bytes],
        same: Mapping[int, int],
    ) -> None:
        """Append entries in the order of time, with the state after the first `done` frames, of
        which `damaged` could not be decoded.

        people: FaceMatches of tracks that have ended. same: tracks that continue earlier ones.
        """
        with self._changing() as database:
            database.executemany(
                "INSERT INTO results (time, body, person, confidence, matches)"
                " VALUES (?, ?, ?, ?, ?)",
                entries,
            )
            database.executemany("INSERT OR REPLACE INTO people VALUES (?, ?)", people.items())
            database.executemany("INSERT OR REPLACE INTO same_people VALUES (?, ?)", same.items())
            database.execute(
                "UPDATE state SET done = ?, damaged = ?, tracks = ?", (done, damaged, tracks)
            )
            self.done, self.damaged = done, damaged

    def complete_all(self) -> int:
        """Give each entry its person and its place; return the number of entries."""
        with self._changing() as database:
            if not self.complete:
                # In this order: the earlier track may itself continue an even earlier one.
                for person, earlier in database.execute(
                    "SELECT person, earlier FROM same_people ORDER BY person DESC"
                ).fetchall():
                    database.execute(
                        "UPDATE results SET person = ? WHERE person = ?", (earlier, person)
                    )
                database.execute(
                    "UPDATE results SET place = sorted.place FROM (SELECT number, row_number() OVER"
                    " (ORDER BY person, confidence DESC, number) AS place FROM results) AS sorted"
                    " WHERE results.number = sorted.number"
                )
                database.execute("UPDATE state SET complete = 1, tracks = x''")
            [number] = database.execute("SELECT count(*) FROM results").fetchone()
        return int(number)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.rollback()
                raise
            self._database.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JobError(f"{self._path}: {error}; check the disk and its free space") from error


def page(path: Path, order: Order, last: int, limit: int) -> tuple[list[Entry], int | None]:
    """Return the entries behind place `last` of a finished job, and the last place if more follow.

    Raises JobError.
    """
    column = "number" if order == "TIMESTAMP" else "place"
    query = (
        f"SELECT time, body, person, confidence, ifnull(people.matches, results.matches), {column}"
        f" FROM results LEFT JOIN people USING (person) WHERE {column} > ?"
        f" ORDER BY {column} LIMIT ?"
    )
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(query, (last, limit + 1)).fetchall()
    except sqlite3.Error as error:
        raise JobError(f"{path}: the results cannot be read: {error}") from error
    entries = [
        Entry(time, body, person, confidence, matches or None)
        for time, body, person, confidence, matches, _ in rows[:limit]
    ]
    return entries, rows[limit - 1][5] if len(rows) > limit else None
