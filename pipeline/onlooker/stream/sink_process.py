"""The process of one sink: it follows the log, and outlasts the failures of its destination."""

import logging
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from onlooker import piped_process
from onlooker.child_process import leave, stop_event
from onlooker.config.sinks import SinkConfig
from onlooker.errors import OnlookerError
from onlooker.record.destinations.delivery import Delivery
from onlooker.record.destinations.destination import kind_of
from onlooker.record.destinations.saved_cursor import SavedCursor
from onlooker.record.log.reader import Log, LogError
from onlooker.record.sinks.sink import Follower
from onlooker.stream import sink_status
from onlooker.stream.publisher import Pace
from onlooker.stream.sink_status import SinkState, SinkStatus

MAX_RETRY_SECONDS = 30.0
"""Longest wait between two attempts: 0.5, 1, 2, 4 … seconds, then this."""
SAVE_SECONDS = 0.5
"""Time between two writes of cursor and status: after a kill, what was sent since comes again."""
BEAT_SECONDS = 1.0

logger = logging.getLogger(__name__)


class SinkSettings(msgspec.Struct, frozen=True):
    """Everything that the process must know."""

    name: str
    config: SinkConfig
    log: Path
    live: bool
    """Whether the log is no replay's."""


def main() -> None:
    """Send the log until SIGTERM; exit with status 1 and a line on stderr if it cannot be read."""
    stop = stop_event(sys.argv[-1])
    settings, signs = piped_process.begin(SinkSettings)
    try:
        with SavedCursor(sink_status.cursor_path(settings.log, settings.name)) as cursor:
            SinkRunner(settings, cursor, stop, signs.give).run()
    except (OnlookerError, OSError) as error:
        logger.error("sink ends name=%s error=%s", settings.name, error)
        sys.exit(1)


class SinkRunner:
    """Follows the log for one sink, and tries again whatever fails."""

    def __init__(
        self,
        settings: SinkSettings,
        cursor: SavedCursor,
        stop: threading.Event,
        beat: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._cursor = cursor
        self._stop = stop
        self._beat = beat
        self._log: Log | None = None
        self._error = ""
        self._attempts = 0
        self._saved = 0.0
        self._beaten = 0.0

    def run(self) -> None:
        """Send until the event `stop` is set. Raises LogError, OSError."""
        while not self._settings.log.exists():
            self._alive()
            if self._stop.wait(0.1):
                return
        config = self._settings.config
        with Log(self._settings.log) as self._log:
            kind, live = kind_of(config), self._settings.live
            delivery = Delivery(config, self._cursor, lambda: kind(config), self._took, live)
            follower = Follower(self._log, delivery, config.batch)
            pace = Pace()
            self._save("starting")
            try:
                while not self._stop.is_set():
                    self._stop.wait(self._step(follower, pace))
            finally:
                delivery.close()
                self._save("stopped")

    def _step(self, follower: Follower, pace: Pace) -> float:
        """Send the next entries; return the seconds until the next attempt. Raises LogError."""
        self._alive()
        try:
            moved = follower.step()
        except LogError:
            raise
        except OnlookerError as error:
            return self._failed(error)
        if moved and self._attempts:
            logger.warning("sink works again name=%s", self._settings.name)
        if moved:
            self._attempts, self._error = 0, ""
        pace.published(moved)
        self._save_sometimes()
        return pace.wait

    def _failed(self, error: OnlookerError) -> float:
        if str(error) != self._error:
            logger.error("sink fails name=%s error=%s", self._settings.name, error)
        self._error = str(error)
        wait = min(0.5 * 2.0 ** min(self._attempts, 10), MAX_RETRY_SECONDS)
        self._attempts += 1
        self._save(self._state)
        end = time.monotonic() + wait * random.uniform(0.8, 1.0)
        while (left := end - time.monotonic()) > 0 and not self._stop.is_set():
            self._save_sometimes()  # the backlog grows
            self._alive()
            self._stop.wait(min(left, BEAT_SECONDS))
        return 0.0

    @property
    def _state(self) -> SinkState:
        return "failing" if self._attempts else "well"

    def _took(self) -> None:
        """See to it that a long list of messages is no silence."""
        self._alive()
        self._save_sometimes()

    def _alive(self) -> None:
        if (now := time.monotonic()) - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            self._beat()

    def _save_sometimes(self) -> None:
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self._save(self._state)

    def _save(self, state: SinkState) -> None:
        """Write down cursor and status. A full disk does not stop what is sent."""
        assert self._log is not None
        self._saved = time.monotonic()
        cursor = self._cursor.state
        status = SinkStatus(
            name=self._settings.name,
            kind=self._settings.config.kind,
            state=state,
            position=cursor.position,
            backlog=max(0, self._log.position - cursor.position),
            sent=cursor.sent,
            lost=cursor.lost,
            too_large=cursor.too_large,
            error=self._error,
            attempts=self._attempts,
        )
        try:
            self._cursor.save()
            sink_status.write(self._settings.log, status)
        except OSError as error:
            logger.warning("cursor not saved name=%s cause=%s", self._settings.name, error)


if __name__ == "__main__":
    main()
    leave(0)
