"""The sink that sends a log to a destination, and moves a saved cursor."""

import logging
from collections.abc import Callable, Sequence

from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations.destination import Destination, TooLarge
from onlooker.record.destinations.message import Message, messages
from onlooker.record.destinations.saved_cursor import SavedCursor
from onlooker.record.log.reader import Entry
from onlooker.rekognition.shapes import RecordError

logger = logging.getLogger(__name__)


class Delivery:
    """A sink (`onlooker.record.sinks.sink`) of the entries that `config` selects."""

    def __init__(
        self,
        config: SinkConfig,
        cursor: SavedCursor,
        connect: Callable[[], Destination],
        on_progress: Callable[[], None] = lambda: None,
        live: bool = True,
    ) -> None:
        """connect: makes the destination, again after each error. on_progress: called whenever the
        destination has taken messages. live: whether the log is no replay's."""
        self._config = config
        self._cursor = cursor
        self._connect = connect
        self._on_progress = on_progress
        self._live = live
        self._destination: Destination | None = None

    @property
    def position(self) -> int:
        return self._cursor.state.position

    def write(self, entries: Sequence[Entry]) -> None:
        """Send entries. Raises NotTaken, ConfigError; `position` is then that of the last entry of
        which all messages were taken."""
        self._count_lost(entries)
        waiting = [message for entry in entries for message in self._messages(entry)]
        while waiting:
            part = waiting[: self._config.batch]
            del waiting[: self._send(part, entries)]
        self._move(entries, len(entries))

    def close(self) -> None:
        if self._destination is not None:
            destination, self._destination = self._destination, None
            destination.close()

    def _messages(self, entry: Entry) -> list[Message]:
        try:
            return list(messages(entry, self._config, self._live))
        except RecordError as error:
            logger.error("record not sent position=%d error=%s", entry.position, error)
            return []

    def _send(self, part: Sequence[Message], entries: Sequence[Entry]) -> int:
        """Send messages; return how many of them are done with. Raises NotTaken."""
        state, done = self._cursor.state, 0

        def taken(number: int) -> None:
            nonlocal done
            state.sent += number - done
            done = number
            if number < len(part):
                before = part[number].position
                self._move(entries, sum(entry.position < before for entry in entries))
            self._on_progress()

        try:
            if self._destination is None:
                self._destination = self._connect()
            self._destination.send(part, taken)
        except TooLarge as error:
            state.too_large += 1
            logger.error("message left out id=%s error=%s", part[done].id, error)
            return done + 1
        except BaseException:
            self.close()
            raise
        return len(part)

    def _move(self, entries: Sequence[Entry], done: int) -> None:
        """Move the cursor behind the first `done` entries."""
        if done and entries[done - 1].position > self._cursor.state.position:
            self._cursor.state.position = entries[done - 1].position
            self._cursor.state.crc = entries[done - 1].crc

    def _count_lost(self, entries: Sequence[Entry]) -> None:
        """Count positions that are missing: retention has removed their entries."""
        state, before = self._cursor.state, self._cursor.state.position
        for entry in entries:
            missing = entry.position - 1 - max(before, state.since)
            if missing > 0:
                state.lost += missing
                logger.error("records removed before they were sent number=%d", missing)
            before = entry.position
        # Counted once, also if the entries come again.
        if entries:
            state.since = max(state.since, entries[-1].position)
