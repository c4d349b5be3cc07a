"""Topics of the log: the streams' records under the names that consumers read them by.

A record is in one topic: the one that the configuration names for its stream, or else that of the
stream's own name. Several streams may share a topic, and a stream's records may be in another one
from some time on. A topic is read in the order of the log, from any position or time.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from onlooker.record.log.reader import Log

SINCE_FORMAT = 4
"""The first format of logs that have topics."""


class TopicRecord(NamedTuple):
    """A record of a topic as it is stored."""

    position: int
    stream: str
    written: float
    """Time of the commit, in epoch seconds."""
    body: bytes


class TopicLog(Log):
    """A log opened to read its topics. Raises LogError as `Log` does; not for two threads at once.

    A log of an earlier format has no topics until a writer has brought it up to date.
    """

    @property
    def current(self) -> bool:
        """Whether the log had topics when it was opened."""
        return bool(self._format >= SINCE_FORMAT)

    def topics(self) -> dict[str, float]:
        """Return the names of all topics, each with the time of its first record, in order."""
        if not self.current:
            return {}
        return dict(self._rows("SELECT name, created FROM topics ORDER BY name"))

    def number_of(self, topic: str) -> int:
        """Return a topic's number in this log; -1 if it has no records."""
        if not self.current:
            return -1
        found = self._rows("SELECT id FROM topics WHERE name = ?", topic)
        return int(found[0][0]) if found else -1

    def newest_in(self, topic: int) -> int:
        """Return the position of a topic's newest record; 0 if there is none."""
        if not self.current:
            return 0
        found = self._rows("SELECT max(position) FROM published WHERE topic = ?", topic)
        return int(found[0][0] or 0)

    def records_of(self, topic: int, position: int, limit: int) -> Iterator[TopicRecord]:
        """Yield the records of a topic after `position`, at most `limit` of them.

        They are read as they are taken; take them at once, since no other statement may run
        meanwhile.
        """
        if not self.current:
            return
        with self._errors():
            for row in self._database.execute(
                "SELECT published.position, streams.name, written, body FROM published "
                "CROSS JOIN records ON records.position = published.position "
                "CROSS JOIN streams ON streams.id = records.stream "
                "WHERE topic = ? AND published.position > ? ORDER BY published.position LIMIT ?",
                (topic, position, limit),
            ):
                yield TopicRecord(*row)

    def before_time(self, topic: int, moment: float) -> int:
        """Return a position, behind which are the records of a topic written at `moment` or later.

        Times rise with positions, unless the clock was set back meanwhile. If no record was written
        so late, it is that of the newest one.
        """
        low, high = 0, self.newest_in(topic)
        while low < high:
            middle = (low + high) // 2
            found = self._next(topic, middle)
            if found is not None and found[0] < moment:
                low = found[1]
            else:
                high = middle
        return low

    def written_after(self, topic: int, position: int) -> float | None:
        """Return when the first record of a topic after `position` was written; None: no such."""
        found = self._next(topic, position) if self.current else None
        return found[0] if found else None

    def _next(self, topic: int, position: int) -> tuple[float, int] | None:
        """Return time and position of the first record of a topic after `position`, or None."""
        found = self._rows(
            "SELECT written, published.position FROM published "
            "CROSS JOIN records ON records.position = published.position "
            "WHERE topic = ? AND published.position > ? ORDER BY published.position LIMIT 1",
            topic,
            position,
        )
        return found[0] if found else None


def save(database: sqlite3.Connection, topic: int, position: int) -> None:
    """Add the record at `position` to a topic. Raises sqlite3.Error."""
    database.execute("INSERT INTO published (topic, position) VALUES (?, ?)", (topic, position))


def number(database: sqlite3.Connection, name: str, now: float) -> int:
    """Return a topic's number, made if it is new. Raises sqlite3.Error."""
    database.execute("INSERT OR IGNORE INTO topics (name, created) VALUES (?, ?)", (name, now))
    [(found,)] = database.execute("SELECT id FROM topics WHERE name = ?", (name,)).fetchall()
    return int(found)


def remove(database: sqlite3.Connection, position: int) -> None:
    """Remove what topics have of records up to `position` that were removed from the log."""
    database.execute(
        "DELETE FROM published WHERE topic IN (SELECT id FROM topics) AND position <= ? "
        "AND NOT EXISTS (SELECT 1 FROM records WHERE records.position = published.position)",
        (position,),
    )
