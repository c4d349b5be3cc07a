"""The hub: registration, leases, failures, restarts of everything, and the counts."""

from collections import deque
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.frames import frame
from tests.support.line import FRAMES, ORDERED, PLANES, SETTINGS, STAGES, WINDOW, Line, jobs

from onlooker.stream import messages
from onlooker.stream.hub import Hub
from onlooker.stream.stage import StageRow


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


def test_an_unchanged_frame_goes_to_the_ordered_stages_only(tmp_path: Path) -> None:
    refine = StageRow(name="refine", make="", ordered=False)
    line = Line(tmp_path, (*ORDERED[:2], refine, ORDERED[2]))
    line.open("a")
    line.read("a.1")
    for name in ("detect", "track", "refine", "record"):
        line.join(name, name)
    unchanged = replace(frame("a", 0), same=0)
    for sent in line.sources["a.1"].offer(unchanged, None, 0.0, 0.0):
        line.say("a.1", *sent)
    line.work("track")
    assert jobs(line, "refine") == []
    line.work("record")
    assert line.counts("a") == messages.Counts(received=1, done=1)


@pytest.mark.parametrize(
    ("error", "cause"), [("damaged", "undecodable"), (f"{messages.LOST}no image", "lost")]
)
def test_a_frame_without_an_image_is_recorded(
    line: Line, error: str, cause: messages.Failure
) -> None:
    line.open("a")
    line.read("a.1")
    line.join("d", "detect")
    line.join("w", "record")
    line.offer("a.1", error=error)
    assert jobs(line, "d") == []
    line.work("w")
    assert line.counts("a") == messages.Counts(received=1, failed={cause: 1})


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


def test_a_recorder_that_fails_over_a_failed_frame_ends_the_run(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.join("w", "record")
    line.offer("a.1", error="damaged")
    line.work("w", failed="record: TypeError: no")
    assert "frame 0 of a cannot be recorded: record: TypeError: no" in str(line.hub.status().error)


def test_a_dead_workers_frame_goes_to_another_and_its_late_result_is_ignored(line: Line) -> None:
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


def test_a_worker_with_a_heartbeat_may_take_any_time(line: Line) -> None:
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


def test_the_status_lists_the_processes_that_are_not_silent(line: Line) -> None:
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


def test_after_the_hub_itself_slept_no_process_counts_as_silent(line: Line) -> None:
    line.open("a")
    line.join("d", "detect")
    line.tick()
    line.now += 60.0
    line.tick()
    assert line.hub.status().alive == ("a.1", "d")
    assert "d" in line.hub.workers


def test_a_restarted_source_continues_with_the_first_unsettled_frame(line: Line) -> None:
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


def test_a_result_that_skips_a_frame_makes_the_recorder_register_again(line: Line) -> None:
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
    assert line.counts("a") == messages.Counts(received=2)
    line.work("w")  # it registers
    assert jobs(line, "w") == [0, 1]
    line.settle()
    assert line.recorded["a"] == list(range(FRAMES))
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
    for name, stage in (("d", "detect"), ("r", "recognise"), ("w", "record")):
        line.join(name, stage)
    for _ in range(3):
        line.now += 0.5
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


def test_a_registration_with_an_earlier_hub_does_not_count(line: Line) -> None:
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


def test_health_that_arrives_before_its_source_has_registered_changes_no_frame(
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


def test_a_result_for_an_earlier_hub_fits_no_lease_of_this_one(line: Line) -> None:
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


def test_a_lost_offer_is_made_again(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.sources["a.1"].offer(frame("a", 0), PLANES, 0.0, 0.0)  # and never sent
    line.offer("a.1")
    line.join("d", "detect")
    line.join("r", "recognise")
    line.join("w", "record")
    line.settle()
    assert line.recorded["a"] == list(range(FRAMES))


def test_the_first_broken_process_is_reported(line: Line) -> None:
    line.say("d", messages.Broken("detect: no weights"))
    line.say("d", messages.Broken("detect: still none"))
    assert line.hub.status().error == "detect: no weights"


def test_a_worker_of_an_unknown_stage_is_an_error(line: Line) -> None:
    line.say("x", messages.Ready("track"))
    assert "'track'" in str(line.hub.status().error)


def test_the_last_stage_must_be_ordered() -> None:
    with pytest.raises(ValueError, match="ordered"):
        Hub(STAGES[:2], SETTINGS, seed=1)


def test_frames_of_a_camera_that_the_ring_has_no_room_for_are_counted(line: Line) -> None:
    line.open("cam", live=True)
    line.read("cam.1")
    for _ in range(2 * WINDOW + 2):  # and hears nothing of the hub meanwhile
        line.offer("cam.1")
    counts = line.counts("cam")
    assert counts == messages.Counts(received=8, dropped={"shed": 2})


def test_frames_of_a_live_stream_are_lost_with_their_source(line: Line) -> None:
    line.open("cam", live=True)
    line.read("cam.1")
    line.offer("cam.1")
    line.offer("cam.1")
    line.open("cam", 2, live=True)
    line.read("cam.2")
    line.offer("cam.2")
    counts = line.counts("cam")
    assert counts == messages.Counts(received=3, dropped={"restarted": 2})
    assert line.hub.status().streams[0].in_flight == 1


def test_a_new_hub_continues_the_counts_of_a_camera(line: Line) -> None:
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


def test_the_health_of_a_stream_without_a_source_is_kept(line: Line) -> None:
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


def test_99_of_100_frames_have_at_most_the_second_lag(line: Line) -> None:
    line.open("a")
    stream = line.hub.streams["a"]
    for lags, expected in ((range(1, 101), (51, 99)), ([1, 2], (2, 2)), ([], (0, 0))):
        stream.lags.clear()
        stream.lags.extend(lags)
        assert stream.lag == expected
