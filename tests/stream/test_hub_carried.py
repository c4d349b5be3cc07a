"""The hub: frames that are known, and frames that are carried instead of searched."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.line import ORDERED, STAGES, Line, jobs

from onlooker.stream import messages
from onlooker.stream.stage import StageRow


def test_a_known_frame_goes_to_the_ordered_stages_only(tmp_path: Path) -> None:
    refine = StageRow(name="refine", make="", ordered=False)
    line = Line(tmp_path, (*ORDERED[:2], refine, ORDERED[2]))
    line.open("a")
    line.read("a.1")
    for name in ("detect", "track", "refine", "record"):
        line.join(name, name)
    for known in (True, False):
        line.offer("a.1")
        line.work("detect")
        job, data = line.inbox["track"].popleft()
        assert isinstance(job, messages.Job)
        line.say("track", messages.Result(job.lease, None, 1.0, 0.5, 1.0, known), data)
        assert len(jobs(line, "refine")) == (not known)
    line.work("record")
    assert line.counts("a") == messages.Counts(received=2, done=1)


def follow(tmp_path: Path) -> Line:
    """Return a line with a live stream whose frame 0 has been searched."""
    line = Line(tmp_path, (STAGES[0], replace(ORDERED[1], follows=True), ORDERED[2]))
    line.open("a", live=True)
    line.read("a.1")
    for name in ("detect", "track", "record"):
        line.join(name, name)
    line.offer("a.1")
    for name in ("detect", "track", "record"):
        line.work(name)
    return line


def test_a_camera_frame_without_time_to_be_searched_is_carried(tmp_path: Path) -> None:
    line = follow(tmp_path)
    for _ in range(3):  # one is searched, one carried, one waits
        line.offer("a.1")
    line.work("detect")
    carried = []
    for _ in range(2):
        job, _ = line.inbox["track"][0]
        assert isinstance(job, messages.Job)
        carried.append(job.carried)
        line.work("track")
        line.work("record")
    assert carried == [False, True]
    assert line.recorded["a"] == [0, 1, 2]
    assert line.counts("a").dropped == {}


@pytest.mark.parametrize(
    ("may_carry", "seconds", "dropped"),
    [(1, 0.2, 1), (9, 0.35, 2)],
    ids=["as many as it may", "half a second"],
)
def test_frames_are_not_carried_for_long(
    tmp_path: Path, may_carry: int, seconds: float, dropped: int
) -> None:
    line = follow(tmp_path)
    line.hub.streams["a"].may_carry = may_carry
    for _ in range(5):  # one is searched, one carried, one waits, or two
        line.now += seconds
        line.offer("a.1")
    assert line.counts("a").dropped == {"superseded": dropped}
