"""Which worker gets which frame: turns, order, frames that wait in vain, and ownership."""

from pathlib import Path

import pytest
from tests.support.line import (
    FRAMES,
    ORDERED,
    STAGES,
    STATEFUL,
    WINDOW,
    History,
    Line,
    jobs,
    streams,
)

from onlooker.stream import hub_state, messages
from onlooker.stream.hub_state import MAX_WAIT_SECONDS, START_SECONDS


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


def test_while_a_dead_recorder_seems_alive_its_successor_gets_no_frame_behind_its_own(
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


def watched(line: Line, workers: str) -> None:
    """Open a live stream, and have the named ones of the workers d, r and w."""
    line.open("cam", live=True)
    line.read("cam.1")
    staff(line, workers)


def staff(line: Line, workers: str) -> None:
    stages = {"d": "detect", "r": "recognise", "w": "record"}
    for name in workers:
        line.join(name, stages[name])


def offer(line: Line, number: int, seconds: float) -> None:
    """Offer frames of the live stream, one each time that so many seconds have passed."""
    for _ in range(number):
        line.now += seconds
        line.offer("cam.1")
        line.exchange("cam.1")


def test_frames_of_a_live_stream_wait_for_a_moment_only(line: Line) -> None:
    watched(line, "drw")
    offer(line, 6, 0.4 * MAX_WAIT_SECONDS)
    assert jobs(line, "d") == [0]
    # The first two that waited were too old when the last two came.
    assert line.counts("cam") == messages.Counts(received=6, dropped={"superseded": 2})
    line.work("d")
    line.work("r")
    assert jobs(line, "d") == [3]
    assert line.counts("cam").dropped == {"superseded": 2}  # what was begun is finished


def test_a_burst_of_work_costs_a_live_stream_no_frame(line: Line) -> None:
    watched(line, "drw")
    offer(line, 4, 0.3 * MAX_WAIT_SECONDS)
    for _ in range(4):
        for name in "drw":
            line.work(name)
    assert line.recorded["cam"] == [0, 1, 2, 3]
    assert line.counts("cam").dropped == {}


def test_the_last_frame_of_a_live_stream_is_never_too_old(line: Line) -> None:
    watched(line, "drw")
    offer(line, 2, 0.1)
    line.now += 10 * MAX_WAIT_SECONDS
    for _ in range(2):
        for name in "drw":
            line.work(name)
    assert line.recorded["cam"] == [0, 1]


def test_the_first_frames_of_a_live_stream_wait_until_the_models_are_loaded(line: Line) -> None:
    watched(line, "d")
    offer(line, 4, 10 * MAX_WAIT_SECONDS)  # the first is begun
    staff(line, "rw")
    offer(line, 1, 0.9 * START_SECONDS)
    for _ in range(5):
        for name in "drw":
            line.work(name)
    assert line.recorded["cam"] == [0, 1, 2, 3, 4]
    assert line.counts("cam").dropped == {}


def test_no_more_of_them_than_there_is_room_for(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_state, "MAX_WAITING", 2)
    watched(line, "")
    offer(line, 5, 0.1)
    assert line.counts("cam").dropped == {"superseded": 3}


def test_a_slow_line_soon_takes_the_newest_frames_only(line: Line) -> None:
    watched(line, "")
    offer(line, 4, 0.1)
    staff(line, "drw")
    offer(line, 1, 1.1 * START_SECONDS)
    assert line.counts("cam").dropped == {"superseded": 3}
    assert len(line.hub.streams["cam"].waiting[0]) == 1


def test_a_stream_that_comes_later_does_not_wait_for_models(line: Line) -> None:
    staff(line, "drw")
    line.now += 1.0
    watched(line, "")
    offer(line, 3, 2 * MAX_WAIT_SECONDS)
    assert line.counts("cam").dropped == {"superseded": 1}


def test_as_many_frames_of_live_streams_are_begun_as_a_stage_has_workers(line: Line) -> None:
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


def test_the_stage_with_most_workers_sets_how_many_frames_of_live_streams_are_begun(
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


def test_videos_do_not_wait_for_frames_of_live_streams(line: Line) -> None:
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


# Several ordered stages


@pytest.fixture
def tracked(tmp_path: Path) -> Line:
    """A line of two ordered stages, with streams a and b, of which two frames are detected."""
    line = Line(tmp_path, ORDERED)
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


def test_a_frame_that_must_be_alone_in_its_worker_does_not_wait_for_ever(tmp_path: Path) -> None:
    line = Line(tmp_path, (STAGES[0], STAGES[2]), frames=100)
    line.join("d", "detect")
    line.join("old", "record")
    for stream in "ab":
        line.open(stream)
        line.read(f"{stream}.1")
    for _ in range(3):
        line.offer("a.1")
        line.work("d")
    line.die("old", told=True)
    line.join("new", "record")
    while len(line.recorded["a"]) < 3:
        # Stream b has always a frame for the recorder.
        line.exchange("b.1")
        if line.sources["b.1"].ready:
            line.offer("b.1")
            line.work("d")
        line.work("new")
    assert len(line.recorded["b"]) < 10


# Stateful stages


@pytest.fixture
def owned(tmp_path: Path) -> Line:
    """A line with a stateful stage, and streams a and b, of which two frames are detected."""
    line = Line(tmp_path, STATEFUL)
    line.join("d", "detect")
    for stream in "ab":
        line.open(stream)
        line.read(f"{stream}.1")
        for _ in range(2):
            line.offer(f"{stream}.1")
            line.work("d")
    return line


def before(line: Line, name: str) -> list[int | str | None]:
    """For each job in a worker's inbox: None, "log", or the index of the frame before."""
    found: list[int | str | None] = []
    for message, _ in line.inbox[name]:
        if isinstance(message, messages.Job):
            data = message.before
            known = messages.unpack_frame(data).index if data else None
            found.append("log" if data == b"" else known)
    return found


def released(line: Line, name: str) -> list[str]:
    return [
        message.stream for message, _ in line.inbox[name] if isinstance(message, messages.Release)
    ]


def test_streams_are_shared_among_the_workers_of_a_stateful_stage_and_stay(owned: Line) -> None:
    owned.join("h1", "history")
    assert streams(owned, "h1") == ["a", "b"]
    owned.join("h2", "history")
    for _ in range(2):
        owned.work("h1")
    # h2 has none: one of the two moves as soon as h1 has no frame of it.
    assert (streams(owned, "h1"), streams(owned, "h2")) == (["b"], ["a"])
    for name in ("h1", "h2"):
        while owned.inbox[name]:
            owned.work(name)
    for stream in "ab":
        owned.offer(f"{stream}.1")
        owned.work("d")
    assert (streams(owned, "h1"), streams(owned, "h2")) == (["b"], ["a"])


def test_a_new_owner_gets_the_last_frame_and_the_old_one_drops_the_state(owned: Line) -> None:
    owned.join("h1", "history")
    assert before(owned, "h1") == ["log", "log"]
    owned.join("h2", "history")
    owned.work("h1")
    owned.work("h1")
    assert released(owned, "h1") == ["a"]
    assert before(owned, "h2") == [0]
    assert before(owned, "h1") == [None]


def test_the_streams_of_a_worker_that_died_are_taken_over_with_their_state(owned: Line) -> None:
    for name in ("h1", "h2"):
        owned.join(name, "history")
    owned.join("w", "record")
    while owned.inbox["h1"] or owned.inbox["h2"]:
        for name in ("h1", "h2"):
            if owned.inbox[name]:
                owned.work(name)
    owned.offer("a.1")
    owned.work("d")
    [owner] = [name for name in ("h1", "h2") if streams(owned, name) == ["a"]]
    [other] = {"h1", "h2"} - {owner}
    owned.die(owner, told=True)
    assert (streams(owned, other), jobs(owned, other), before(owned, other)) == (["a"], [2], [1])
    owned.settle()
    assert owned.histories["a"][FRAMES - 1] == "0 1 2 3 4 5 6 7"
    assert owned.histories["b"][FRAMES - 1] == "0 1 2 3 4 5 6 7"


def test_a_source_that_starts_again_has_the_state_taken_from_the_log(owned: Line) -> None:
    owned.join("h1", "history")
    for _ in range(3):
        owned.work("h1")
    owned.open("a", life=2)
    owned.read("a.2")
    owned.offer("a.2")
    owned.work("d")
    while len(owned.inbox["h1"]) > 1:
        owned.work("h1")
    assert (streams(owned, "h1"), jobs(owned, "h1"), before(owned, "h1")) == (["a"], [0], ["log"])
    owned.join("w", "record")
    owned.settle()
    assert owned.histories["a"][FRAMES - 1] == "0 1 2 3 4 5 6 7"


def test_the_state_of_a_stream_that_has_ended_is_dropped(owned: Line) -> None:
    owned.join("h1", "history")
    owned.join("w", "record")
    owned.settle()
    assert owned.hub.workers["h1"].streams == set()
    while owned.inbox["h1"]:
        owned.work("h1")
    step = owned.runners["h1"].step
    assert isinstance(step, History)
    assert step.indexes == {}


def test_a_frame_over_which_a_stateful_step_raised_counts_once(owned: Line) -> None:
    owned.join("h1", "history")
    owned.work("h1", failed="no")
    owned.join("w", "record")
    owned.settle()
    assert owned.histories["a"][FRAMES - 1] == "0 1 2 3 4 5 6 7"
    assert owned.counts("a") == messages.Counts(FRAMES, FRAMES - 1, {"error": 1})
