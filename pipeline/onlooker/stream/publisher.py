"""The publisher: a process that publishes what is appended to a log, and can die without a loss.

It keeps its position in the run's directory. The process that replaces it continues from there; a
record that a subscriber then gets twice, or not at all, `onlooker.record.subscribe` notices.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onlooker.child_process import leave, stop_event
from onlooker.record import curve_keys
from onlooker.record.curve_keys import BadKey
from onlooker.record.log.reader import Log, LogError
from onlooker.record.sinks.publish import Publisher
from onlooker.record.sinks.publish_messages import PublishError
from onlooker.record.sinks.sink import Cursor
from onlooker.stream import messages, run_directory
from onlooker.stream.hub_client import HubClient
from onlooker.stream.outputs import Outputs

BUSY_WAIT_SECONDS = 0.01
"""Wait before the log is read again, as long as records come."""
IDLE_WAIT_SECONDS = 0.1
"""The same, if none has come for IDLE_AFTER_SECONDS."""
IDLE_AFTER_SECONDS = 1.0


def main(run: Path, number: int, name: str) -> int:
    """Publish publication `number` of the run in directory `run`, as `name`, until SIGTERM.

    Return the exit status: 1 if it cannot publish and has reported why.
    """
    stop = stop_event(name)
    plan = run_directory.read(run)
    publication = run_directory.read_publication(run, number)
    with (
        HubClient(plan, name, lambda _: messages.Register()) as hub,
        Cursor(run / f"published-{number}") as cursor,
    ):
        hub.register()
        try:
            start = cursor.read() or publication.position
            with publishing(publication.outputs, start) as publisher:
                pace = Pace()
                while not stop.is_set():
                    hub.receive(0)
                    publisher.serve(pace.wait)
                    if pace.published(publisher.follower.step()):
                        cursor.write(publisher.position)
        except (PublishError, LogError, BadKey) as error:
            hub.send_last(messages.Broken(str(error)))
            return 1
    return 0


class Pace:
    """The wait before the log is read again, which depends on how busy it is."""

    def __init__(self) -> None:
        self.wait = 0.0
        """Seconds."""
        self._active = time.monotonic()

    def published(self, number: int) -> int:
        """Set `wait` after `number` records were published; return the number."""
        now = time.monotonic()
        if number:
            self._active, self.wait = now, 0.0
        elif now - self._active < IDLE_AFTER_SECONDS:
            self.wait = BUSY_WAIT_SECONDS
        else:
            self.wait = IDLE_WAIT_SECONDS
        return number


@contextmanager
def publishing(outputs: Outputs, position: int | None = None) -> Iterator[Publisher]:
    """Yield a publisher of the records after `position` of the log; None for its end."""
    assert outputs.publish is not None
    key = curve_keys.read(outputs.key) if outputs.key else None
    clients = frozenset(map(curve_keys.check, outputs.clients))
    with (
        Log(outputs.log_path) as log,
        Publisher(log, outputs.publish, position, key, clients) as publisher,
    ):
        yield publisher


if __name__ == "__main__":
    leave(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
