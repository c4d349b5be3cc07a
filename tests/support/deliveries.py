"""A delivery in this process, to a broker that fails now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations.delivery import Delivery
from onlooker.record.destinations.destination import NotTaken, kind_of
from onlooker.record.destinations.message import Message, messages
from onlooker.record.destinations.saved_cursor import CursorState, SavedCursor
from onlooker.record.log.reader import Log
from onlooker.record.sinks.sink import Follower

SECONDS = 60.0


class Attempts:
    """What has become of the attempts to deliver a log."""

    def __init__(self, log: Log, config: SinkConfig, cursor: SavedCursor, live: bool) -> None:
        self._log = log
        self.errors: list[str] = []
        self.state: CursorState = cursor.state
        self.delivery = Delivery(config, cursor, lambda: kind_of(config)(config), live=live)
        self._follower = Follower(log, self.delivery, config.batch)

    def until(self, true: Callable[[], bool]) -> None:
        """Try until `true()`."""
        end = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < end, self.errors[-3:]
            try:
                self._follower.step()
            except NotTaken as error:
                self.errors.append(str(error))
                time.sleep(0.05)

    def until_sent(self, number: int) -> None:
        """Try until the destination has taken so many messages."""
        self.until(lambda: self.state.sent >= number)

    def until_failed(self) -> None:
        """Try until one more attempt has failed."""
        before = len(self.errors)
        self.until(lambda: len(self.errors) > before)

    def finish(self) -> None:
        """Try until everything is delivered."""
        self.until(lambda: self.state.position == self._log.position)


@contextmanager
def delivering(log: Log, config: SinkConfig, folder: Path, live: bool = True) -> Iterator[Attempts]:
    """Yield the attempts to deliver a log from its beginning. live: whether it is no replay's."""
    with SavedCursor(folder / "sink.cursor") as cursor:
        cursor.place(None, True)
        attempts = Attempts(log, config, cursor, live)
        try:
            yield attempts
        finally:
            attempts.delivery.close()


def expected(log: Log, config: SinkConfig) -> list[Message]:
    """Return the messages of a log, in order."""
    return [one for entry in log.after(0, 10**6) for one in messages(entry, config)]
