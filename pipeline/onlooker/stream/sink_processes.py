"""The sinks of a program: a process for each, so that none can delay another or the streams."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from onlooker import piped_process
from onlooker.child_process import Child, ProcessStatus, signals, stop
from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations import destination
from onlooker.record.destinations.saved_cursor import SavedCursor
from onlooker.record.log.reader import Log, LogError
from onlooker.stream import sink_status
from onlooker.stream.sink_process import SinkSettings
from onlooker.stream.sink_status import SinkStatus

MODULE = "onlooker.stream.sink_process"
MIN_SILENCE_SECONDS = 60.0
"""Time without a sign of life after which a process hangs; longer if its timeout is long."""
STEADY_SECONDS = 60.0
"""Time that a process must live for the next restart to be at once."""
STOP_SECONDS = 3.0
IDLE_SECONDS = 10.0
"""Time without a message taken after which the end of a program does not wait any more."""
END_SECONDS = 3.0
"""Time that the end of a program waits for sinks if it was told to stop."""

logger = logging.getLogger(__name__)


@contextmanager
def running(
    log: Path, sinks: Mapping[str, SinkConfig], live: bool = True
) -> "Iterator[SinkProcesses]":
    """Yield the sinks of the log at `log` as a group for `supervise`; stop them at the end.

    live: whether the log is no replay's. A replay's is sent from its beginning by a sink that runs
    for the first time, whatever its setting `start` says. Raises ConfigError, LogError, and OSError
    if a cursor cannot be made.
    """
    group = SinkProcesses(log, sinks, live)
    try:
        yield group
    finally:
        group.close()


class SinkProcesses:
    """The processes of sinks, as a group for `onlooker.child_process.supervise`."""

    finished = True
    """The sinks never keep a program running; `finish` waits for what they have left to send."""

    def __init__(self, log: Path, sinks: Mapping[str, SinkConfig], live: bool) -> None:
        self._log = log
        self._live = live
        self._sinks = sinks
        for name, config in sinks.items():
            destination.check(name, config)
            _place(log, name, not live or config.start == "beginning")
        self._children = {
            name: Child(f"sink-{name}", MODULE, piped=True, stop_seconds=STOP_SECONDS)
            for name in sinks
        }
        self._heard: dict[str, float] = {}

    def wait(self, seconds: float) -> None:
        """Wait for some time."""
        time.sleep(seconds)

    def watch(self) -> None:
        """See to the processes: start, restart, kill. One that dies again and again does no more
        than wait longer."""
        now = time.monotonic()
        for name, child in self._children.items():
            if child.read():
                self._heard[name], child.ready = now, True
            limit = max(MIN_SILENCE_SECONDS, 4 * self._sinks[name].timeout)
            if child.running and now - self._heard.get(name, child.started) > limit:
                child.kill(f"it is silent since {limit:.0f} s")
            life = child.life
            how = child.check(now)
            if how is not None and child.stopping is None:
                wait = child.restart(now, child.ready and now - child.started > STEADY_SECONDS)
                logger.error("process died name=%s how=%s restart_in=%.0f", child.name, how, wait)
            elif child.life != life:
                self._heard[name] = now
                log, config = self._log.absolute(), self._sinks[name]
                child.send(piped_process.pack(SinkSettings(name, config, log, self._live)))

    def processes(self) -> list[ProcessStatus]:
        return [child.status for child in self._children.values()]

    def stop(self) -> None:
        """Do nothing yet: the last records are still to come. `finish` and `close` end it."""

    def status(self) -> list[SinkStatus]:
        """Return how the sinks are."""
        return sink_status.read(self._log, self._sinks)

    def finish(self, stopped: bool = False) -> list[SinkStatus]:
        """Wait until all sinks have sent what is in the log; return those that have not.

        As long as messages are taken, that may last. A signal ends it. stopped: whether the program
        was told to stop, and waits no longer than END_SECONDS.
        """
        if not self._log.exists():
            return []
        with Log(self._log) as log:
            end = log.position
        moved, reached = time.monotonic(), -1
        limit = END_SECONDS if stopped else IDLE_SECONDS
        with signals() as received:
            while waiting := [each for each in self._known() if each.position < end]:
                now = time.monotonic()
                if not stopped and (total := sum(each.position for each in waiting)) != reached:
                    moved, reached = now, total
                if received or now - moved > limit:
                    return waiting
                self.watch()
                time.sleep(0.05)
        return []

    def close(self) -> None:
        """Stop the processes, and wait until they have."""
        stop(list(self._children.values()), STOP_SECONDS)

    def _known(self) -> list[SinkStatus]:
        """Return how the sinks are; one that has not started yet has everything to send."""
        known = {each.name: each for each in self.status()}
        return [
            known.get(name)
            or SinkStatus(
                name=name,
                kind=config.kind,
                state="starting",
                position=-1,
                backlog=0,
                sent=0,
                lost=0,
                too_large=0,
            )
            for name, config in self._sinks.items()
        ]


def _place(log: Path, name: str, beginning: bool) -> None:
    """Place a cursor now: records that come before the sink's process runs are to be sent."""
    path = sink_status.cursor_path(log, name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        with SavedCursor(path) as cursor:
            sink_status.remove(log, name)
            if log.exists():
                with Log(log) as opened:
                    cursor.place(opened, beginning)
            else:
                cursor.place(None, beginning)
    except BlockingIOError:
        raise LogError(f"{path}: another process sends this log there; wait for it") from None
