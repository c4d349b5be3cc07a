"""Queues of notices, as those of Amazon SQS: messages are received, hidden for a while, deleted."""

import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from onlooker.jobs.job_database import JobDatabase


class Message(NamedTuple):
    """A message that was received."""

    id: str
    receipt: str
    """Names this receipt of the message; the next one has another."""
    body: str
    sent: float
    receives: int
    """Number of times that it was received, with this one."""
    first_received: float


class Counts(NamedTuple):
    """Numbers of messages of a queue."""

    visible: int
    hidden: int
    """Received, and not yet deleted or visible again."""


class Queues:
    """The queues in a database. All methods raise JobError.

    keep_seconds: age at which messages are deleted.
    """

    def __init__(self, database: JobDatabase, keep_seconds: float) -> None:
        self._database = database
        self._keep_seconds = keep_seconds

    def receive(self, queue: str, limit: int, visibility: float) -> Sequence[Message]:
        """Return up to `limit` messages, the oldest first, and hide them for `visibility` s."""
        now = time.time()
        query = (
            "SELECT number, id, body, sent, receives, first_received FROM messages"
            " WHERE queue = ? AND visible <= ? AND sent > ? ORDER BY number LIMIT ?"
        )
        values = (queue, now, now - self._keep_seconds, limit)
        if not self._database.rows(query, *values):  # a look costs no wait for the disk
            return []
        received = []
        with self._database.changing() as database:
            for number, id, body, sent, receives, first in database.execute(
                query, values
            ).fetchall():
                receipt = secrets.token_urlsafe(48)
                first = now if first is None else first
                database.execute(
                    "UPDATE messages SET receipt = ?, visible = ?, receives = receives + 1,"
                    " first_received = ? WHERE number = ?",
                    (receipt, now + visibility, first, number),
                )
                received.append(Message(id, receipt, body, sent, receives + 1, first))
        return received

    def delete(self, queue: str, receipt: str) -> bool:
        """Delete the message of a receipt; return whether there was one.

        Only the last receipt of a message deletes it.
        """
        with self._database.changing() as database:
            done = database.execute(
                "DELETE FROM messages WHERE queue = ? AND receipt = ?", (queue, receipt)
            )
            return done.rowcount == 1

    def hide(self, queue: str, receipt: str, seconds: float) -> bool:
        """Hide a received message for `seconds` from now; return whether it was still hidden."""
        now = time.time()
        with self._database.changing() as database:
            done = database.execute(
                "UPDATE messages SET visible = ? WHERE queue = ? AND receipt = ? AND visible > ?",
                (now + seconds, queue, receipt, now),
            )
            return done.rowcount == 1

    def purge(self, queue: str) -> None:
        """Delete all messages."""
        with self._database.changing() as database:
            database.execute("DELETE FROM messages WHERE queue = ?", (queue,))

    def expire(self) -> None:
        """Delete messages that are too old."""
        with self._database.changing() as database:
            database.execute(
                "DELETE FROM messages WHERE sent <= ?", (time.time() - self._keep_seconds,)
            )

    def counts(self, queue: str) -> Counts:
        """Return how many messages there are."""
        now = time.time()
        [(visible, hidden)] = self._database.rows(
            "SELECT count(*) FILTER (WHERE visible <= ?), count(*) FILTER (WHERE visible > ?)"
            " FROM messages WHERE queue = ? AND sent > ?",
            now,
            now,
            queue,
            now - self._keep_seconds,
        )
        return Counts(int(str(visible)), int(str(hidden)))
