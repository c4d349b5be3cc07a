"""The states of stream processors, reported by the process that runs the streams."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from onlooker.stream import processors
from onlooker.stream.messages import Status, StreamStatus
from onlooker.stream.processors import Processor, report
from onlooker.stream.wanted_streams import WantedStreams

ENDED = "the video has ended; start the processor again to have what was added analysed"
PAUSED = "the stream is paused"


class Feeding(NamedTuple):
    """The streams of a run, as far as states need them."""

    failures: Mapping[str, str]
    """Why streams were not started, by name."""
    numbers: Mapping[str, int]
    """Numbers of the feeds of the streams that run, by name."""


class ProcessorStates:
    """Follows the table for the run in the directory `run`, and reports to it."""

    def __init__(self, wanted: WantedStreams, run: Path) -> None:
        self._table = wanted.table
        self._wanted = wanted
        self._run = run
        self._revision = -1
        self._feeds: dict[str, int] = {}
        """Numbers of the feeds that processors had last, by processor."""
        self._finished: set[int] = set()
        """Numbers of feeds whose videos have ended."""
        processors.begin(self._table)

    def changed(self) -> bool:
        """Return whether the streams have to follow the table; True once for each change."""
        before, self._revision = self._revision, self._table.revision
        return before != self._revision

    def update(self, streams: Feeding, status: Status, failure: str | None) -> None:
        """Report all states. failure: why all streams have failed, or None.

        To be called after the streams have followed the changes that `changed` has told.
        """
        self._table.write_troubles({**self._wanted.troubles, **streams.failures})
        known = {stream.name: stream for stream in status.streams}
        paused = self._table.paused()
        for processor in processors.stored(self._table):
            if not processor.wanted:
                if processor.status == "STOPPING" and (failure or self._has_left(processor)):
                    report(self._table, processor, "STOPPED", None)
                continue
            name = processor.stream
            if failure is not None:
                report(self._table, processor, "FAILED", failure, again=True)
            elif cause := self._wanted.failed.get(processor.name) or streams.failures.get(name):
                report(self._table, processor, "FAILED", cause)
            elif name in paused:
                report(self._table, processor, "RUNNING", PAUSED)
            elif name in streams.numbers and name in known:
                self._feeds[processor.name] = streams.numbers[name]
                self._report_running(processor, known[name])

    def _report_running(self, processor: Processor, stream: StreamStatus) -> None:
        if stream.finished:
            self._finished.add(self._feeds[processor.name])
            report(self._table, processor, "STOPPED", stream.error or ENDED)
        else:
            report(self._table, processor, "RUNNING", stream.health or None)

    def _has_left(self, processor: Processor) -> bool:
        """Return whether the last frame of a processor's feed has its record.

        The supervisor removes the file of a feed when its hub has forgotten the stream.
        """
        number = self._feeds.get(processor.name)
        if number is None or number in self._finished:
            return True
        return not (self._run / f"feed-{number}.json").exists()
