"""The program that the console belongs to, observed: its streams, its processes, and their past.

It is asked once a second, whether anybody looks or not, so that the pages have some minutes of the
past to show. The run's directory names its hub; it is found by the program's process id.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import zmq

from onlooker.child_process import ProcessStatus
from onlooker.stream import run_directory
from onlooker.stream.feeds import Feed
from onlooker.stream.messages import Status, StreamStatus
from onlooker.stream.program import Program

ASK_SECONDS = 1.0
"""Time between two questions."""
MAX_SAMPLES = 600
"""Samples of a stream that are kept: ten minutes."""
RATE_SECONDS = 5.0
"""Time over which a rate is taken."""


class Sample(NamedTuple):
    """The counts of a stream at a time."""

    time: float
    """Epoch seconds."""
    received: int
    done: int
    dropped: int
    lag: float
    """Median of the last frames, in seconds."""


class RunObserver:
    """The newest status of the program whose process id is `parent`."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._context = zmq.Context()
        self._program: Program | None = None
        self.status: Status | None = None
        """None if the program has no streams, or its hub does not answer."""
        self.loading = False
        """Whether a stage has no worker yet: its models are being loaded."""
        self.processes: tuple[ProcessStatus, ...] = ()
        self.feeds: Mapping[str, Feed] = {}
        """By stream."""
        self.samples: dict[str, deque[Sample]] = {}
        """By stream, the oldest first."""
        self.asked = asyncio.Event()
        """Set after each question, and cleared by nobody: wait for the next one with `next`."""

    @property
    def run(self) -> Path | None:
        """The run's directory; None if there is none yet."""
        return None if self._program is None else self._program.run

    async def observe(self) -> None:
        """Ask again and again until cancelled."""
        while True:
            await asyncio.to_thread(self.ask)
            self.asked.set()
            self.asked = asyncio.Event()
            await asyncio.sleep(ASK_SECONDS)

    def ask(self) -> None:
        """Ask the program once."""
        if self._program is None or not self._program.run.exists():
            self._find()
        if self._program is None:
            self.status, self.processes, self.feeds, self.loading = None, (), {}, False
            return
        with suppress(OSError):  # the program is just ending
            feeds = run_directory.read_feeds(self._program.run)
            self.feeds = {feed.stream: feed for feed in sorted(feeds, key=lambda f: f.number)}
            self.processes = self._program.processes()
            self.status = self._program.ask()  # takes some seconds if the hub hangs
            stages = {stage.name for stage in run_directory.read(self._program.run).stages}
            ready = self.status.workers if self.status is not None else ()
            self.loading = self.status is not None and stages > {each.stage for each in ready}
        now = time.time()
        for stream in self.streams():
            counts = stream.counts
            dropped = sum(counts.dropped.values())
            sample = Sample(now, counts.received, counts.done, dropped, stream.lag[0])
            past = self.samples.setdefault(stream.name, deque(maxlen=MAX_SAMPLES))
            if past and past[-1].received > sample.received:
                past.clear()  # it was started again
            past.append(sample)
        self.samples = {name: past for name, past in self.samples.items() if name in self.feeds}

    def streams(self) -> tuple[StreamStatus, ...]:
        """Return the streams as they are."""
        return () if self.status is None else self.status.streams

    def stream(self, name: str) -> StreamStatus | None:
        """Return one stream; None if there is none of that name."""
        return next((each for each in self.streams() if each.name == name), None)

    def rate(self, name: str) -> float:
        """Return the frames of a stream that are analysed per second, of the last seconds."""
        past = self.samples.get(name) or ()
        recent = [sample for sample in past if sample.time > time.time() - RATE_SECONDS - 1]
        if len(recent) < 2:
            return 0.0
        first, last = recent[0], recent[-1]
        return (last.done - first.done) / (last.time - first.time)

    def close(self) -> None:
        if self._program is not None:
            self._program.close()
        self._context.term()

    def _find(self) -> None:
        if self._program is not None:
            self._program.close()
            self._program = None
        for run in self._runs():
            self._program = Program(self._context, run)
            return

    def _runs(self) -> Iterator[Path]:
        for run in run_directory.runs():
            with suppress(OSError):  # it is just being made, or has ended
                if run_directory.read(run).parent == self._parent:
                    yield run
