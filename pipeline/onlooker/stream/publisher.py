"""The publisher: a process that publishes what comes into the log, and can die without a loss.

It writes down how far it has come in the run's directory. One that comes after it goes on from
there; what then comes twice, or not at all, to a subscriber, `onlooker.record.subscribe` sees.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onlooker.child_process import stop_event
from onlooker.record import curve_keys
from onlooker.record.curve_keys import BadKey
from onlooker.record.log.reader import Log, LogError
from onlooker.record.sinks.publish import Publisher, PublishError
from onlooker.stream import messages, run_directory
from onlooker.stream.hub_client import HubClient
from onlooker.stream.outputs import Outputs

LOOK = 0.01
"""Seconds between looks at the log, while nothing comes in."""


def main(run: Path, number: int, name: str) -> int:
    """Publish publication `number` of the run in directory `run`, as `name`, until told to stop.

    Return the exit status: 1 if the hub was told what is broken.
    """
    stop = stop_event(name)
    plan = run_directory.read(run)
    publication = run_directory.read_publication(run, number)
    with (
        HubClient(plan, name, lambda _: messages.Register()) as hub,
        _progress(run / f"published-{number}") as progress,
    ):
        hub.register()
        try:
            start = progress.read() or publication.position
            with publishing(publication.outputs, start) as publisher:
                busy = 0
                while not stop.is_set():
                    hub.receive(wait=False)
                    busy = publisher.pump(0.0 if busy else LOOK)
                    if busy:
                        progress.write(publisher.position)
        except (PublishError, LogError, BadKey) as error:
            hub.send_last(messages.Broken(str(error)))
            return 1
    return 0


class Progress:
    """A number in a file in memory."""

    def __init__(self, file: int) -> None:
        self._file = file

    def read(self) -> int:
        return int.from_bytes(os.pread(self._file, 8, 0), "little")

    def write(self, position: int) -> None:
        os.pwrite(self._file, position.to_bytes(8, "little"), 0)


@contextmanager
def _progress(path: Path) -> Iterator[Progress]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield Progress(file)
    finally:
        os.close(file)


@contextmanager
def publishing(outputs: Outputs, position: int | None = None) -> Iterator[Publisher]:
    """A publisher of what comes into the log behind `position`, its end if that is None."""
    assert outputs.publish is not None
    key = curve_keys.read(outputs.key) if outputs.key else None
    clients = frozenset(map(curve_keys.check, outputs.clients))
    with (
        Log(outputs.log_path) as log,
        Publisher(log, outputs.publish, position, key, clients) as publisher,
    ):
        yield publisher


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
