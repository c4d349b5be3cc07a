"""The hub under accidents at random."""

import tempfile
from pathlib import Path

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
from tests.support.line import SETTINGS, STAGES, STATEFUL, Line

from onlooker.stream import hub_state, messages
from onlooker.stream.hub import Hub

MANY_FRAMES = 16


@pytest.fixture(autouse=True)
def few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fewer frames of a camera wait than there are slots in the small ring here."""
    monkeypatch.setattr(hub_state, "MAX_WAITING", 3)


class Accidents(RuleBasedStateMachine):
    """Two videos and a camera; workers come, die, fall silent, fail and answer twice; hubs die."""

    stages = STAGES

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.line = Line(Path(self.folder.name), self.stages, MANY_FRAMES)
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
        for stage in self.stages:
            for _ in range(1 + stage.stateful):
                self.join(stage.name)

    def some(self, data: st.DataObject, names: list[str]) -> str:
        return data.draw(st.sampled_from(sorted(names)))

    def busy(self) -> list[str]:
        return [name for name in self.line.workers if self.line.inbox[name]]

    def ready(self) -> list[str]:
        return [name for name, source in self.line.sources.items() if source.ready]

    def unread(self) -> list[str]:
        return [name for name in self.line.sources if self.line.inbox[name]]

    @rule(data=st.data())
    def help(self, data: st.DataObject) -> None:
        self.join(data.draw(st.sampled_from([stage.name for stage in self.stages[:-1]])))

    @rule(rounds=st.integers(1, 12))
    def nothing_happens(self, rounds: int) -> None:
        for _ in range(rounds):
            self.line.round()

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
        if source.started and not source.ended and source.next < MANY_FRAMES:
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
        if stage in ("record", "history"):
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
            if self.line.workers[name] in ("record", "history"):
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
            assert len(stream.waiting[0]) <= hub_state.MAX_WAITING + 1

    @invariant()
    def videos_are_recorded_in_order_without_a_gap(self) -> None:
        for stream in ("a", "b"):
            written = self.line.recorded.get(stream, [])
            assert written == list(range(len(written)))

    @invariant()
    def every_record_has_the_state_of_all_frames_before_it(self) -> None:
        for stream, texts in self.line.histories.items():
            for index, text in texts.items():
                if not text:  # there is no stateful stage
                    continue
                indexes = [int(each) for each in text.split()]
                assert indexes == sorted(set(indexes))
                assert indexes[-1] == index
                if stream != "cam":
                    assert indexes == list(range(index + 1))

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
            assert self.line.recorded[stream] == list(range(MANY_FRAMES))
            counts = self.line.counts(stream)
            assert counts.received == counts.done + sum(counts.failed.values()) == MANY_FRAMES
            assert counts.dropped == {}
        if not (self.hub_died and self.camera_died):  # then nobody knows what was on its way
            assert self.line.counts("cam").settled == MANY_FRAMES


class StatefulAccidents(Accidents):
    """The same with two ordered stages, one of which is stateful and has two workers."""

    stages = STATEFUL


MANY = settings(
    max_examples=150,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAccidents = Accidents.TestCase
TestAccidents.settings = MANY
TestStatefulAccidents = StatefulAccidents.TestCase
TestStatefulAccidents.settings = MANY


def test_events_of_a_frame_whose_recorder_answers_twice_are_counted_once(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.open("a")
    line.read("a.1")
    line.offer("a.1")
    for name, stage in (("d", "detect"), ("r", "recognise")):
        line.join(name, stage)
        line.work(name)
    line.join("w", "record")
    job, data = line.inbox["w"].popleft()
    while not isinstance(job, messages.Job):
        job, data = line.inbox["w"].popleft()
    for _ in range(2):
        line.say("w", messages.Result(job.lease, None, 1.0, 0.5, 1.0, False, (2, 1)), data)
    assert line.counts("a") == messages.Counts(received=1, done=1, appearances=2, readings=1)
