"""A hub with the test as every source and worker."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from tests.support.frames import frame

from onlooker.config import schema
from onlooker.config.schema import Pipeline
from onlooker.media.picture import Planes
from onlooker.record.log.states import StageState
from onlooker.stream import messages
from onlooker.stream.feeds import Feed
from onlooker.stream.hub import Hub
from onlooker.stream.source import Source
from onlooker.stream.stage import StageRow, Work
from onlooker.stream.step_runner import StepRunner
from onlooker.stream.stream_states import StreamStates
from onlooker.types import Frame, TextLine

STAGES = (
    StageRow(name="detect", make="", ordered=False),
    StageRow(name="recognise", make="", ordered=False),
    StageRow(name="record", make="", ordered=True, leases=3),
)
ORDERED = (
    StageRow(name="detect", make="", ordered=False),
    StageRow(name="track", make="", ordered=True),
    StageRow(name="record", make="", ordered=True, leases=3),
)
STATEFUL = (
    StageRow(name="detect", make="", ordered=False),
    StageRow(name="history", make="", ordered=True, stateful=True, leases=2),
    StageRow(name="record", make="", ordered=True, leases=3),
)
WINDOW = 3
FRAMES = 8
SETTINGS = Pipeline(window=WINDOW, heartbeat=1.0, liveness=3, attempts=2)
PLANES = Planes(np.zeros((2, 2), np.uint8), np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))


class History:
    """A stateful step: gives each frame the indexes of all frames of its stream so far."""

    def __init__(self) -> None:
        self.raises: str | None = None
        """An error to raise, in the middle of the step, over a frame that has none."""
        self.indexes: dict[str, list[str]] = {}

    def __call__(self, works: Sequence[Work]) -> list[Frame]:
        [(known, _)] = works
        indexes = self.indexes.setdefault(known.stream, [])
        indexes.append(str(known.index))
        if self.raises is not None and known.error is None:
            raise ArithmeticError(self.raises)
        quad = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
        line = TextLine(text=" ".join(indexes), score=1.0, quad=quad, words=())
        return [replace(known, lines=(line,))]

    def snapshot(self, stream: str) -> bytes:
        return " ".join(self.indexes[stream]).encode()

    def restore(self, stream: str, state: bytes) -> None:
        self.indexes[stream] = state.decode().split()

    def forget(self, stream: str) -> None:
        self.indexes.pop(stream, None)


@dataclass
class Line:
    """A hub and its peers. What the hub sends lies in the receiver's inbox until it is read."""

    folder: Path
    stages: tuple[StageRow, ...] = STAGES
    hub: Hub = field(init=False)
    frames: int = FRAMES
    """Length of each stream."""
    seeds: int = 1
    now: float = 0.0
    inbox: dict[str, deque[tuple[messages.Message, bytes]]] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    """By the name of their process, which is NAME.LIFE for stream NAME."""
    workers: dict[str, str] = field(default_factory=dict)
    """Name and stage."""
    recorded: dict[str, list[int]] = field(default_factory=dict)
    """What the recorder wrote, frames once, as its file has it."""
    histories: dict[str, dict[int, str]] = field(default_factory=dict)
    """The text that stage "history" gave each recorded frame, by stream and index."""
    states: dict[str, StageState] = field(default_factory=dict)
    """The states in the log, by stream."""
    runners: dict[str, StepRunner] = field(default_factory=dict)
    """The steps of the workers of stage "history"."""

    def __post_init__(self) -> None:
        self.hub = Hub(self.stages, SETTINGS, seed=1)

    def say(self, sender: str, message: messages.ToHub, data: bytes = b"") -> None:
        parts = messages.pack(message, data)
        self.deliver(self.hub.handle(sender, *messages.unpack_to_hub(parts), self.now))

    def exchange(self, name: str) -> None:
        """A source reads until nothing is left to read; what never comes to rest is an error."""
        for _ in range(200):
            if not self.inbox[name]:
                return
            self.read(name)
        raise AssertionError(f"{name} and the hub never stop: {list(self.inbox[name])}")

    def deliver(self, sends: list[tuple[str, messages.Message, bytes]]) -> None:
        for receiver, message, data in sends:
            if receiver in self.inbox:
                self.inbox[receiver].append((message, data))
            else:
                self.deliver(self.hub.unreachable(receiver))

    def tick(self) -> None:
        self.deliver(self.hub.tick(self.now))

    # Sources

    def open(self, stream: str, life: int = 1, live: bool = False) -> str:
        name = f"{stream}.{life}"
        video = schema.SourceConfig(url=stream, policy="live" if live else "every")
        feed = Feed(stream=stream, source=video, digest="d", frames=self.frames, width=2, height=2)
        self.sources[name] = source = Source(
            feed, f"{self.folder}/{name}", WINDOW * (1 + live), life
        )
        self.inbox[name] = deque()
        self.recorded.setdefault(stream, [])
        self.say(name, source.registration(None))
        return name

    def offer(self, name: str, error: str | None = None, delay: float = 0.0) -> None:
        source = self.sources[name]
        if source.next < self.frames:
            item = frame(source.feed.stream, source.next, error)
            sends = source.offer(item, None if error else PLANES, 0.0, self.now - delay)
        else:
            sends = source.end(None)
        for sent in sends:
            self.say(name, *sent)

    def read(self, name: str) -> None:
        """A source reads its oldest message."""
        message, _ = self.inbox[name].popleft()
        source = self.sources[name]
        if isinstance(message, messages.RegisterAgain):
            self.say(name, source.registration(message.hub))
        else:
            assert isinstance(message, messages.Start | messages.Free)
            for sent in source.receive(message):
                self.say(name, *sent)

    # Workers

    def join(self, name: str, stage: str, remote: bool = False) -> str:
        self.workers[name] = stage
        self.inbox[name] = deque()
        step = History()
        states = StreamStates(stage, step, lambda known: self.states.get(known.stream))
        self.runners[name] = StepRunner(stage, step, states)
        self.say(name, messages.Ready(stage, remote))
        return name

    def work(self, name: str, failed: str | None = None, lost: bool = False) -> None:
        """A worker reads its oldest message and obeys; its answer may get `lost`."""
        message, data = self.inbox[name].popleft()
        stage = self.workers[name]
        if isinstance(message, messages.RegisterAgain):
            self.say(name, messages.Ready(stage))
            return
        if isinstance(message, messages.Release):
            self.runners[name].release(message.stream)
            return
        assert isinstance(message, messages.Job)
        if stage == "record":
            self.record(messages.unpack_frame(data))
        if stage == "history":
            data, failed = self.remember(name, message, data, failed)
        if not lost:
            self.say(name, messages.Result(message.lease, failed, 1.0, 0.5, 1.0), data)

    def record(self, known: Frame) -> None:
        """Write what the recorder does: the first record of each frame, and the newest state."""
        written = self.recorded[known.stream]
        if known.index not in written:
            written.append(known.index)
            texts = self.histories.setdefault(known.stream, {})
            texts[known.index] = known.lines[-1].text if known.lines else ""
        for stage, state in known.states.items():
            newest = self.states.get(known.stream)
            if newest is None or newest.frame < known.index:
                self.states[known.stream] = StageState(
                    known.stream, stage, known.epoch, known.index, "", state
                )

    def remember(
        self, name: str, job: messages.Job, data: bytes, failed: str | None
    ) -> tuple[bytes, str | None]:
        """Do what a worker of the stateful stage does; its step may raise `failed`."""
        runner = self.runners[name]
        assert isinstance(runner.step, History)
        runner.step.raises = failed if job.failed is None else None
        known = replace(messages.unpack_frame(data), error=job.failed)
        known = runner.take(known, PLANES, before=job.before)
        return messages.pack_frame(known), known.error if job.failed is None else None

    def die(self, name: str, told: bool) -> None:
        del self.workers[name], self.inbox[name], self.runners[name]
        if told:
            self.say("supervisor", messages.Died(name))

    def round(self) -> None:
        """Let everybody do their next piece of work."""
        self.now += 0.5
        for name in [*self.workers, *self.sources]:
            self.say(f"{name}/beat", messages.Heartbeat(name))
        self.tick()
        for name in list(self.workers):
            if self.inbox[name]:
                self.work(name)
            else:
                worker = self.hub.workers.get(name)
                if worker is not None and worker.leases:
                    # After a while of silence.
                    self.say(name, messages.Ready(self.workers[name]))
        for name, source in self.sources.items():
            self.exchange(name)
            if source.ready:
                self.offer(name)

    def settle(self) -> None:
        """Let everybody do their work to the end."""
        for _ in range(2000):
            self.round()
            if all(stream.finished for stream in self.hub.status().streams):
                return
            if self.hub.status().error is not None:
                return
        raise AssertionError(self.hub.status())

    def counts(self, stream: str) -> messages.Counts:
        return self.hub.streams[stream].counts


def jobs(line: Line, name: str) -> list[int]:
    """Indexes of the frames that wait in a worker's inbox."""
    return [
        messages.unpack_frame(data).index
        for message, data in line.inbox[name]
        if isinstance(message, messages.Job)
    ]


def streams(line: Line, name: str) -> list[str]:
    """Whose frames wait in a worker's inbox."""
    return [
        messages.unpack_frame(data).stream
        for message, data in line.inbox[name]
        if isinstance(message, messages.Job)
    ]
