"""The hub, with the test as every source and worker, and as fate."""

import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from tests.support.frames import frame

from onlooker.config import schema
from onlooker.config.schema import Pipeline
from onlooker.media.picture import Planes
from onlooker.stream import messages
from onlooker.stream.feeds import Feed
from onlooker.stream.hub import Hub
from onlooker.stream.source import Source
from onlooker.stream.stage import StageRow

STAGES = (
    StageRow(name="detect", make="", ordered=False),
    StageRow(name="recognise", make="", ordered=False),
    StageRow(name="record", make="", ordered=True, leases=3),
)
WINDOW = 3
FRAMES = 8
SETTINGS = Pipeline(window=WINDOW, heartbeat=1.0, liveness=3, attempts=2)
PLANES = Planes(np.zeros((2, 2), np.uint8), np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))


@dataclass
class Line:
    """A hub and its peers. What the hub sends lies in the receiver's inbox until it is read."""

    folder: Path
    stages: tuple[StageRow, ...] = STAGES
    hub: Hub = field(init=False)
    seeds: int = 1
    now: float = 0.0
    inbox: dict[str, deque[tuple[messages.Message, bytes]]] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    """By the name of their process, which is NAME.LIFE for stream NAME."""
    workers: dict[str, str] = field(default_factory=dict)
    """Name and stage."""
    recorded: dict[str, list[int]] = field(default_factory=dict)
    """What the recorder wrote, frames once, as its file has it."""
    failed: set[tuple[str, int]] = field(default_factory=set)

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
        feed = Feed(stream=stream, source=video, digest="d", frames=FRAMES, width=2, height=2)
        self.sources[name] = source = Source(
            feed, f"{self.folder}/{name}", WINDOW * (1 + live), life
        )
        self.inbox[name] = deque()
        self.recorded.setdefault(stream, [])
        self.say(name, source.registration(None))
        return name

    def offer(self, name: str, error: str | None = None, delay: float = 0.0) -> None:
        source = self.sources[name]
        if source.next < FRAMES:
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

    def join(self, name: str, stage: str) -> str:
        self.workers[name] = stage
        self.inbox[name] = deque()
        self.say(name, messages.Ready(stage))
        return name

    def work(self, name: str, failed: str | None = None, lost: bool = False) -> None:
        """A worker reads its oldest message and does what it says; its answer may get `lost`."""
        message, data = self.inbox[name].popleft()
        stage = self.workers[name]
        if isinstance(message, messages.RegisterAgain):
            self.say(name, messages.Ready(stage))
            return
        assert isinstance(message, messages.Job)
        if stage == "record":
            known = messages.unpack_frame(data)
            written = self.recorded[known.stream]
            if message.failed is not None:
                self.failed.add((known.stream, known.index))
            if known.index not in written:
                written.append(known.index)
        if not lost:
            self.say(name, messages.Result(message.lease, failed, 1.0, 0.5, 1.0), data)

    def die(self, name: str, told: bool) -> None:
        del self.workers[name], self.inbox[name]
        if told:
            self.say("supervisor", messages.Died(name))

    def settle(self) -> None:
        """Let everybody do their work to the end."""
        for _ in range(2000):
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
                        self.say(
                            name, messages.Ready(self.workers[name])
                        )  # after a while of silence
            for name, source in self.sources.items():
                self.exchange(name)
                if source.ready:
                    self.offer(name)
            if all(stream.finished for stream in self.hub.status().streams):
                return
            if self.hub.status().error is not None:
                return
        raise AssertionError(self.hub.status())

    def counts(self, stream: str) -> messages.Counts:
        return self.hub.streams[stream].counts


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


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


def test_a_frame_goes_through_all_stages_and_frees_its_slot(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.offer("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
        line.work(name)
    [(free, _)] = line.inbox["a.1"]
    assert free == messages.Free(1, 0, messages.Counts(received=1, done=1), True)
    assert line.recorded == {"a": [0]}


def test_a_worker_gets_one_frame_at_a_time(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("d", "detect")
    line.join("r", "recognise")
    for _ in range(3):
        line.offer("a.1")
    assert jobs(line, "d") == [0]
    line.work("d")
    assert jobs(line, "d") == [1]


def test_an_ordered_stage_gets_frames_by_index(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    for name in ("d1", "d2", "d3"):
        line.join(name, "detect")
        line.offer("a.1")
    for name in ("r1", "r2", "r3"):
        line.join(name, "recognise")
    line.join("w", "record")
    for name in ("d3", "d2", "d1"):
        line.work(name)
    assert [jobs(line, name) for name in ("r1", "r2", "r3")] == [[2], [1], [0]]
    line.work("r1")
    line.work("r2")
    assert jobs(line, "w") == []
    line.work("r3")
    assert jobs(line, "w") == [0, 1, 2]


def test_streams_take_turns(line: Line) -> None:
    for stream in ("a", "b", "c"):
        line.open(stream)
        line.read(f"{stream}.1")
    for _ in range(3):
        line.offer("a.1")
    for stream in ("b", "c"):
        line.offer(f"{stream}.1")
    line.join("d", "detect")
    line.join("r", "recognise")
    served = []
    while line.inbox["d"]:
        served.append(messages.unpack_frame(line.inbox["d"][0][1]).stream)
        line.work("d")
        line.work("r")
    assert served == ["a", "b", "c", "a", "a"]


def test_a_frame_that_failed_goes_to_the_ordered_stage_only(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("d", "detect")
    line.join("r", "recognise")
    line.join("w", "record")
    line.offer("a.1")
    line.work("d", failed="detect: ValueError: no")
    assert jobs(line, "r") == []
    [(job, _)] = line.inbox["w"]
    assert isinstance(job, messages.Job)
    assert job.failed == "detect: ValueError: no"
    line.work("w")
    assert line.counts("a") == messages.Counts(received=1, failed={"error": 1})


def test_a_frame_that_could_not_be_decoded_is_recorded(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("d", "detect")
    line.join("w", "record")
    line.offer("a.1", error="damaged")
    assert jobs(line, "d") == []
    line.work("w")
    assert line.counts("a") == messages.Counts(received=1, failed={"undecodable": 1})


def test_a_recorder_that_failed_has_taken_the_frame_as_a_failed_one(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    line.offer("a.1")
    line.work("d")
    line.work("r")
    line.work("w", failed="record: TypeError: no")
    assert line.counts("a") == messages.Counts(received=1, failed={"error": 1})
    assert line.hub.status().error is None


def test_a_recorder_holds_several_frames_and_after_a_death_one(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w1", "record")):
        line.join(name, stage)
    for _ in range(WINDOW):
        line.offer("a.1")
    for name in "drdrdr":
        line.work(name)
    assert jobs(line, "w1") == [0, 1, 2]
    line.join("w2", "record")
    line.die("w1", told=True)
    assert jobs(line, "w2") == [0]
    line.work("w2")
    assert jobs(line, "w2") == [1]


def test_a_recorder_that_fails_over_a_failed_frame_ends_the_run(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("w", "record")
    line.offer("a.1", error="damaged")
    line.work("w", failed="record: TypeError: no")
    assert "frame 0 of a cannot be recorded: record: TypeError: no" in str(line.hub.status().error)


def test_a_dead_workers_frame_goes_to_another_and_its_late_answer_is_ignored(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("d1", "detect")
    line.offer("a.1")
    [(job, data)] = line.inbox["d1"]
    assert isinstance(job, messages.Job)
    line.join("d2", "detect")
    line.die("d1", told=True)
    assert jobs(line, "d2") == [0]
    line.say("d1", messages.Result(job.lease, None, 0.0, 0.0, 0.0), data)
    assert jobs(line, "d2") == [0]
    assert line.hub.status().streams[0].in_flight == 1


def test_a_frame_that_kills_is_recorded_as_failed(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.offer("a.1")
    for number in range(SETTINGS.attempts):
        line.join(f"d{number}", "detect")
        assert jobs(line, f"d{number}") == [0]
        line.die(f"d{number}", told=True)
    line.join("d", "detect")
    assert jobs(line, "d") == []
    line.join("w", "record")
    [(job, _)] = line.inbox["w"]
    assert isinstance(job, messages.Job)
    assert job.failed == "detect: 2 workers died over this frame"


def test_a_silent_workers_frame_goes_to_another(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("d1", "detect")
    line.offer("a.1")
    line.tick()
    for _ in range(7):
        line.now += 0.5
        line.say("a.1/beat", messages.Heartbeat("a.1"))
        line.tick()
    assert line.hub.status().alive == ("a.1",)
    line.join("d2", "detect")
    assert jobs(line, "d2") == [0]


def test_a_worker_that_beats_may_take_its_time(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("d1", "detect")
    line.offer("a.1")
    for _ in range(30):
        line.now += 1.0
        line.say("d1/beat", messages.Heartbeat("d1"))
        line.tick()
    assert "d1" in line.hub.status().alive
    line.work("d1")
    assert line.hub.workers["d1"].frames == 1


def test_who_is_alive_is_told(line: Line) -> None:
    line.open("a")
    line.inbox["d"] = deque()
    line.say("d/beat", messages.Heartbeat("d"))  # of a worker that is still building its step
    assert line.hub.status().alive == ("a.1", "d")
    for _ in range(7):
        line.now += 0.5
        line.say("d/beat", messages.Heartbeat("d"))
        line.tick()
    assert line.hub.status().alive == ("d",)
    line.say("supervisor", messages.Died("d"))
    assert line.hub.status().alive == ()


def test_a_hub_that_slept_blames_nobody(line: Line) -> None:
    line.open("a")
    line.join("d", "detect")
    line.tick()
    line.now += 60.0
    line.tick()
    assert line.hub.status().alive == ("a.1", "d")
    assert "d" in line.hub.workers


def test_a_source_that_starts_again_goes_on_with_the_first_unsettled_frame(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    line.offer("a.1")
    for name in "drw":
        line.work(name)
    line.offer("a.1")
    line.offer("a.1")
    line.open("a", life=2)
    [(start, _)] = line.inbox["a.2"]
    assert start == messages.Start(2, 1, (), messages.Counts(received=1, done=1))
    line.settle()
    assert line.recorded["a"] == list(range(FRAMES))
    assert line.counts("a") == messages.Counts(received=FRAMES, done=FRAMES)


def test_a_frame_that_was_settled_before_an_earlier_one_counts_once(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    for _ in range(2):
        line.offer("a.1")
        line.work("d")
        line.work("r")
    line.work("w", lost=True)
    line.work("w")
    assert list(line.hub.streams["a"].flights) == [0]
    del line.sources["a.1"], line.inbox["a.1"]
    line.open("a", life=2)
    line.settle()
    assert line.counts("a") == messages.Counts(received=FRAMES, done=FRAMES)


def test_a_new_hub_is_offered_what_was_in_flight(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    line.offer("a.1")
    for name in "drw":
        line.work(name)
    line.offer("a.1")
    line.read("a.1")
    line.hub = Hub(STAGES, SETTINGS, seed=2)
    line.settle()
    assert line.recorded["a"] == list(range(FRAMES))
    assert line.counts("a") == messages.Counts(received=FRAMES, done=FRAMES)


def test_a_new_hub_waits_for_no_frame_that_the_old_one_dropped(line: Line) -> None:
    cam = line.open("cam", live=True)
    line.read(cam)
    line.join("d", "detect")
    for _ in range(3):
        line.offer(cam)
    assert jobs(line, "d") == [0]
    line.read(cam)  # the second was superseded by the third
    assert line.sources[cam].registration(None).held == (0, 2)
    line.hub = Hub(STAGES, SETTINGS, seed=2)
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    line.settle()
    counts = line.counts("cam")
    assert counts.received == counts.settled == FRAMES
    assert counts.done == len(line.recorded["cam"])


def test_an_answer_to_the_hub_before_is_no_introduction_to_this_one(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.hub = Hub(STAGES, SETTINGS, seed=2)
    line.offer("a.1")  # it asks who that is
    line.read("a.1")
    line.offer("a.1")
    line.inbox["a.1"].append((messages.RegisterAgain(2), b""))  # and asks again
    line.read("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
        line.work(name)
    line.hub = Hub(STAGES, SETTINGS, seed=3)
    assert line.inbox["a.1"][0] == (messages.RegisterAgain(2), b"")
    line.settle()
    assert line.counts("a") == messages.Counts(received=FRAMES, done=FRAMES)


def test_what_was_said_of_a_stream_before_its_source_changes_nothing_of_its_frames(
    line: Line,
) -> None:
    cam = line.open("cam", live=True)
    line.read(cam)
    line.offer(cam)
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
        line.work(name)
    line.read(cam)
    line.hub = Hub(STAGES, SETTINGS, seed=2)
    line.say(cam, messages.Health("cam", 1, "the image is black", 2))
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    line.settle()
    assert line.counts("cam").received == FRAMES
    assert line.hub.status().streams[0].health == "the image is black"


def test_an_answer_to_the_hub_before_fits_no_loan_of_this_one(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("d", "detect")
    line.offer("a.1")
    job, data = line.inbox["d"].popleft()
    assert isinstance(job, messages.Job)
    line.hub = Hub(STAGES, SETTINGS, seed=2)
    line.join("d", "detect")
    line.say("a.1", line.sources["a.1"].registration(None))
    line.read("a.1")
    [(again, _)] = line.inbox["d"]
    assert isinstance(again, messages.Job)
    assert again.lease != job.lease
    line.say("d", messages.Result(job.lease, "of the hub before", 0.0, 0.0, 0.0), data)
    assert line.hub.streams["a"].flights[0].failed is None


def test_an_offer_that_got_lost_is_made_again(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.sources["a.1"].offer(frame("a", 0), PLANES, 0.0, 0.0)  # and never sent
    line.offer("a.1")
    line.join("d", "detect")
    line.join("r", "recognise")
    line.join("w", "record")
    line.settle()
    assert line.recorded["a"] == list(range(FRAMES))


def test_while_a_dead_recorder_seems_to_live_the_next_gets_no_frame_behind_its_own(
    line: Line,
) -> None:
    line.open("a")
    line.read("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("old", "record"), ("new", "record")):
        line.join(name, stage)
    for _ in range(2):
        line.offer("a.1")
        line.work("d")
        line.work("r")
    assert jobs(line, "old") == [0, 1]
    line.die("old", told=True)
    line.work("new")
    assert line.recorded["a"] == [0]


def test_what_cannot_work_is_said_once(line: Line) -> None:
    line.say("d", messages.Broken("detect: no weights"))
    line.say("d", messages.Broken("detect: still none"))
    assert line.hub.status().error == "detect: no weights"


def test_a_worker_of_an_unknown_stage_is_an_error(line: Line) -> None:
    line.say("x", messages.Ready("track"))
    assert "'track'" in str(line.hub.status().error)


def test_the_last_stage_must_be_ordered() -> None:
    with pytest.raises(ValueError, match="ordered"):
        Hub(STAGES[:2], SETTINGS, seed=1)


# Live streams


def test_of_a_live_stream_the_newest_waits(line: Line) -> None:
    line.open("cam", live=True)
    line.read("cam.1")
    line.join("d", "detect")
    line.join("r", "recognise")
    for _ in range(6):
        line.offer("cam.1")
        while line.inbox["cam.1"]:
            line.read("cam.1")
    assert jobs(line, "d") == [0]
    assert line.counts("cam") == messages.Counts(received=6, dropped={"superseded": 4})
    line.work("d")
    line.work("r")
    assert jobs(line, "d") == [5]
    assert line.counts("cam").dropped == {"superseded": 4}  # what was begun is finished


def test_of_live_streams_as_many_frames_are_begun_as_a_stage_has_workers(line: Line) -> None:
    for stream in "abc":
        line.open(stream, live=True)
        line.read(f"{stream}.1")
    for name in ("d1", "d2"):
        line.join(name, "detect")
    line.join("r", "recognise")
    for stream in "abc":
        line.offer(f"{stream}.1")
    line.work("d1")
    line.work("d2")
    assert streams(line, "d1") == streams(line, "d2") == []  # two are begun, whoever is idle
    assert streams(line, "r") == ["a"]
    line.work("r")
    assert streams(line, "d1") == ["c"]
    line.say("supervisor", messages.Died("d1"))
    assert streams(line, "d2") == []  # there is one fewer now
    line.work("r")
    assert streams(line, "d2") == ["c"]


def test_the_stage_with_most_workers_says_how_many_frames_of_live_streams_are_begun(
    line: Line,
) -> None:
    for stream in "abc":
        line.open(stream, live=True)
        line.read(f"{stream}.1")
    line.join("d", "detect")
    for name in ("r1", "r2"):
        line.join(name, "recognise")
    for stream in "abc":
        line.offer(f"{stream}.1")
    line.work("d")
    assert streams(line, "d") == ["b"]
    line.work("d")
    assert streams(line, "r1") + streams(line, "r2") == ["a", "b"]
    assert streams(line, "d") == []  # two are begun, as many as a stage has workers
    line.work("r1")
    assert streams(line, "d") == ["c"]


def test_videos_do_not_wait_for_what_is_begun_of_live_streams(line: Line) -> None:
    for stream, live in (("cam", True), ("a", False)):
        line.open(stream, live=live)
        line.read(f"{stream}.1")
    line.join("d", "detect")
    line.offer("cam.1")
    line.work("d")
    line.offer("cam.1")
    line.offer("a.1")
    assert streams(line, "d") == ["a"]
    line.work("d")
    assert streams(line, "d") == []
    line.open("cam", 2, live=True)
    line.read("cam.2")
    line.offer("cam.2")
    assert streams(line, "d") == ["cam"]  # those that its source took with it are not on their way


def test_what_a_camera_has_no_room_for_is_counted(line: Line) -> None:
    line.open("cam", live=True)
    line.read("cam.1")
    for _ in range(2 * WINDOW + 2):  # and hears nothing of the hub meanwhile
        line.offer("cam.1")
    counts = line.counts("cam")
    assert counts == messages.Counts(received=8, dropped={"superseded": 5, "shed": 2})


def test_frames_of_a_live_stream_are_lost_with_their_source(line: Line) -> None:
    line.open("cam", live=True)
    line.read("cam.1")
    line.offer("cam.1")
    line.offer("cam.1")
    line.open("cam", 2, live=True)
    line.read("cam.2")
    line.offer("cam.2")
    counts = line.counts("cam")
    assert counts == messages.Counts(received=3, dropped={"superseded": 1, "restarted": 1})
    assert line.hub.status().streams[0].in_flight == 1


def test_a_new_hub_counts_a_cameras_frames_on(line: Line) -> None:
    line.open("cam", live=True)
    line.read("cam.1")
    for _ in range(4):
        line.offer("cam.1")
    while line.inbox["cam.1"]:
        line.read("cam.1")
    line.hub = Hub(STAGES, SETTINGS, seed=2)
    line.offer("cam.1")
    while line.inbox["cam.1"]:
        line.read("cam.1")
    counts = line.counts("cam")
    assert counts.received == 5
    assert counts.settled + line.hub.status().streams[0].in_flight == 5


def test_a_stream_is_forgotten_once_its_frames_are_settled(line: Line) -> None:
    line.open("cam", live=True)
    line.read("cam.1")
    line.offer("cam.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    line.work("d")
    line.say("supervisor", messages.Forget("cam", 1))
    assert [stream.name for stream in line.hub.status().streams] == ["cam"]
    line.work("r")
    line.work("w")
    assert line.hub.status().streams == ()
    line.open("cam", 2, live=True)
    line.say("supervisor", messages.Forget("cam", 1))  # of the one before
    assert [stream.name for stream in line.hub.status().streams] == ["cam"]


def test_what_is_said_of_a_stream_without_a_source_is_kept(line: Line) -> None:
    line.say("supervisor", messages.Health("cam", 9, "given up: no", 0))
    assert line.hub.status().streams[0].health == "given up: no"
    line.open("cam", live=True)
    line.read("cam.1")
    line.offer("cam.1")
    assert line.counts("cam").received == 1


def test_the_health_of_a_forgotten_stream_is_ignored(line: Line) -> None:
    line.open("cam", live=True)
    line.say("supervisor", messages.Forget("cam", 1))
    line.say("cam.1", messages.Health("cam", 1, "the image is black", 0))  # was on its way
    line.say("cam.1", line.sources["cam.1"].registration(None))
    assert line.hub.status().streams == ()
    line.open("cam", 2, live=True)
    line.say("cam.2", messages.Health("cam", 2, "the image is black", 0))
    assert line.hub.status().streams[0].health == "the image is black"


def test_reconnects_add_up_over_the_sources_of_a_stream(line: Line) -> None:
    line.open("cam", live=True)
    for reconnects in (1, 5):
        line.say("cam.1", messages.Health("cam", 1, "", reconnects))
    line.open("cam", 2, live=True)
    line.say("cam.2", messages.Health("cam", 2, "the image is black", 3))
    line.say("cam.1", messages.Health("cam", 1, "", 5))  # late
    [stream] = line.hub.status().streams
    assert (stream.reconnects, stream.health) == (8, "the image is black")


def test_the_lag_begins_at_the_source(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    line.offer("a.1", delay=2.0)
    line.now += 1.0
    for name in "drw":
        line.work(name)
    assert line.hub.status().streams[0].lag == (3.0, 3.0)


# Several ordered stages

TRACKED = (
    StageRow(name="detect", make="", ordered=False),
    StageRow(name="track", make="", ordered=True),
    StageRow(name="record", make="", ordered=True, leases=3),
)


@pytest.fixture
def tracked(tmp_path: Path) -> Line:
    """A line of two ordered stages, with streams a and b, of which two frames are detected."""
    line = Line(tmp_path, TRACKED)
    line.join("d", "detect")
    for stream in "ab":
        line.open(stream)
        line.read(f"{stream}.1")
        for _ in range(2):
            line.offer(f"{stream}.1")
            line.work("d")
    return line


def test_a_frame_with_a_later_ordered_stage_does_not_hold_up_the_next(tracked: Line) -> None:
    tracked.join("t", "track")
    tracked.join("w", "record")
    tracked.work("t")
    tracked.work("t")
    # The recorder has the first frame of each; the tracker gets the second ones meanwhile.
    assert streams(tracked, "w") == ["a", "b"]
    assert jobs(tracked, "w") == [0, 0]
    assert jobs(tracked, "t") == [1]
    tracked.work("t")
    assert jobs(tracked, "t") == [1]


def test_a_stream_that_waits_for_a_worker_does_not_hold_up_others(tmp_path: Path) -> None:
    line = Line(tmp_path, (STAGES[0], STAGES[2]))
    line.join("d", "detect")
    line.join("old", "record")
    for stream in "abc":
        line.open(stream)
        line.read(f"{stream}.1")
    for stream in "acc":
        line.offer(f"{stream}.1")
        line.work("d")
    line.join("new", "record")
    for stream in "ab":
        line.offer(f"{stream}.1")
        line.work("d")
    # The old recorder holds as many as it may; the next frame of a must follow the first there.
    assert (streams(line, "old"), jobs(line, "old")) == (["a", "c", "c"], [0, 0, 1])
    assert streams(line, "new") == ["b"]


# All of it at random


class Accidents(RuleBasedStateMachine):
    """Two videos and a camera; workers come, die, fall silent, fail and answer twice; hubs die."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.line = Line(Path(self.folder.name))
        self.lives = 1
        self.answered: list[tuple[str, messages.Result, bytes]] = []
        self.hub_died = self.camera_died = False

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.line.open("a")
        self.line.open("b")
        self.line.open("cam", live=True)
        for stage in ("detect", "recognise", "record"):
            self.join(stage)

    def some(self, data: st.DataObject, names: list[str]) -> str:
        return data.draw(st.sampled_from(sorted(names)))

    def busy(self) -> list[str]:
        return [name for name in self.line.workers if self.line.inbox[name]]

    def ready(self) -> list[str]:
        return [name for name, source in self.line.sources.items() if source.ready]

    def unread(self) -> list[str]:
        return [name for name in self.line.sources if self.line.inbox[name]]

    @rule(stage=st.sampled_from(["detect", "recognise"]))
    def join(self, stage: str) -> None:
        self.lives += 1
        self.line.join(f"{stage}.{self.lives}", stage)

    @precondition(lambda self: self.ready())
    @rule(data=st.data(), error=st.sampled_from([None, None, None, "damaged"]))
    def offer(self, data: st.DataObject, error: str | None) -> None:
        self.line.offer(self.some(data, self.ready()), error)

    @rule()
    def shoot(self) -> None:
        [name] = [name for name in self.line.sources if name.startswith("cam")]
        source = self.line.sources[name]
        if source.started and not source.ended and source.next < FRAMES:
            self.line.offer(name)  # whether there is room or not

    @precondition(lambda self: self.unread())
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        self.line.read(self.some(data, self.unread()))

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        name = self.some(data, self.busy())
        message, payload = self.line.inbox[name][0]
        if isinstance(message, messages.Job):
            result = messages.Result(message.lease, None, 1.0, 0.5, 1.0)
            self.answered.append((name, result, payload))
        self.line.work(name)

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        name = self.some(data, self.busy())
        recorder = self.line.workers[name] == "record"
        self.line.work(name, failed=None if recorder else "raised")

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def lose_an_answer(self, data: st.DataObject) -> None:
        self.line.work(self.some(data, self.busy()), lost=True)

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        self.line.say(*data.draw(st.sampled_from(self.answered)))

    @rule(data=st.data(), told=st.booleans())
    def die(self, data: st.DataObject, told: bool) -> None:
        name = self.some(data, list(self.line.workers))
        stage = self.line.workers[name]
        if stage == "record":
            # Seldom so often over one frame that the run has to be given up.
            known = self.line.hub.workers.get(name)
            flights = known.leases.values() if known is not None else ()
            told = told and not any(flight.deaths or flight.failed for flight in flights)
            if not told:
                self.line.say(name, messages.Ready(stage))
        self.line.die(name, told)
        self.lives += 1
        self.line.join(f"{stage}.{self.lives}", stage)

    @rule()
    def time_passes(self) -> None:
        self.line.now += 1.0
        for name in self.line.workers:
            if self.line.workers[name] == "record":
                self.line.say(f"{name}/beat", messages.Heartbeat(name))
        self.line.tick()

    @rule(stream=st.sampled_from(["a", "b"]))
    def restart_source(self, stream: str) -> None:
        [old] = [name for name in self.line.sources if name.startswith(stream)]
        del self.line.sources[old], self.line.inbox[old]
        self.lives += 1
        self.line.open(stream, self.lives)

    @property
    def camera(self) -> int:
        """Session of the camera's source."""
        [name] = [name for name in self.line.sources if name.startswith("cam")]
        return int(name.rpartition(".")[2])

    @rule()
    def restart_camera(self) -> None:
        [old] = [name for name in self.line.sources if name.startswith("cam")]
        del self.line.sources[old], self.line.inbox[old]
        self.camera_died = True
        self.lives += 1
        self.line.open("cam", self.lives, live=True)

    @rule(text=st.sampled_from(["", "the image is black"]))
    def say_how_the_camera_is(self, text: str) -> None:
        self.line.say("cam", messages.Health("cam", self.camera, text, 1))

    @rule(lost=st.booleans())
    def restart_hub(self, lost: bool) -> None:
        """What it said last may get `lost` with it."""
        if lost:
            for inbox in self.line.inbox.values():
                inbox.clear()
        self.hub_died = True
        self.line.seeds += 1
        self.line.hub = Hub(self.line.stages, SETTINGS, self.line.seeds)

    @invariant()
    def every_frame_is_accounted_for(self) -> None:
        for stream in self.line.hub.status().streams:
            counts = stream.counts
            assert counts.received == counts.settled + stream.in_flight

    @invariant()
    def no_frame_is_lent_twice(self) -> None:
        lent = [
            (flight.stream.name, flight.index)
            for worker in self.line.hub.workers.values()
            for lease, flight in worker.leases.items()
            if flight.lease == lease
        ]
        assert len(lent) == len(set(lent))

    @invariant()
    def few_frames_of_a_live_stream_wait(self) -> None:
        if (stream := self.line.hub.streams.get("cam")) is not None:
            assert len(stream.waiting[0]) <= 1

    @invariant()
    def videos_are_recorded_in_order_without_a_gap(self) -> None:
        for stream in ("a", "b"):
            written = self.line.recorded.get(stream, [])
            assert written == list(range(len(written)))

    def finish(self) -> None:
        if not self.line.sources:
            return
        self.line.settle()
        error = self.line.hub.status().error
        if error is not None:
            # Recorders died so often over one frame that the run was given up, and said so.
            assert error.endswith("workers died over this frame")
            return
        for stream in ("a", "b"):
            assert self.line.recorded[stream] == list(range(FRAMES))
            counts = self.line.counts(stream)
            assert counts.received == counts.done + sum(counts.failed.values()) == FRAMES
            assert counts.dropped == {}
        if not (self.hub_died and self.camera_died):  # then nobody knows what was on its way
            assert self.line.counts("cam").settled == FRAMES


TestAccidents = Accidents.TestCase
TestAccidents.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
