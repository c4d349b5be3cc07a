"""The pipeline with its processes, videos and accidents."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import steps
from tests.support.processes import alive, called, children, directories

from onlooker.config.schema import Config, Pipeline, SourceConfig
from onlooker.media.errors import MediaError
from onlooker.record.log.reader import LogError
from onlooker.record.sinks import json_lines
from onlooker.record.subscribe import subscribe
from onlooker.rekognition.shapes import StreamRecord
from onlooker.stream import run_directory
from onlooker.stream.errors import RunError, Stopped
from onlooker.stream.feeds import feeds_of
from onlooker.stream.inline import inline
from onlooker.stream.messages import Counts, Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Setup, Stage, Step
from onlooker.stream.supervisor import replay, running

FRAMES = 120
CONFIG = Config(pipeline=Pipeline(workers=2, window=8, heartbeat=0.3, liveness=3))

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")


def quiet(status: Status) -> None:
    """A progress display that shows nothing."""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steps.video(tmp_path_factory.mktemp("video") / "small.mp4", FRAMES)


@pytest.fixture(scope="module")
def expected(video: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the video's records are."""
    records = tmp_path_factory.mktemp("expected") / "records.jsonl"
    inline([video], CONFIG, Outputs(records=records), quiet, steps.LIGHT)
    return records.read_bytes()


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(records=tmp_path / "records.jsonl")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert children() == {}
    assert directories(os.getpid()) == []


def written(outputs: Outputs) -> bytes:
    assert outputs.records is not None
    return outputs.records.read_bytes()


def records(outputs: Outputs) -> list[StreamRecord]:
    assert outputs.records is not None
    return list(json_lines.read(outputs.records))


class Fate:
    """A progress display that sends `number` to one process after another, every few frames."""

    def __init__(self, number: signal.Signals, kinds: list[str], every: int) -> None:
        self.number = number
        self.kinds = kinds
        self.every = every
        self.hit: list[int] = []

    def __call__(self, status: Status) -> None:
        if len(self.hit) == len(self.kinds) or status.settled < self.every * (len(self.hit) + 1):
            return
        if (pid := called(self.kinds[len(self.hit)])) is not None:
            os.kill(pid, self.number)
            self.hit.append(pid)


KINDS = ["detect", "recognise", "record", "source", "hub"]


def test_processes_write_what_one_process_writes(
    video: Path, expected: bytes, outputs: Outputs
) -> None:
    shown: list[Status] = []
    status = replay([video], CONFIG, outputs, shown.append, steps.LIGHT)
    assert written(outputs) == expected
    [stream] = status.streams
    assert stream.counts == Counts(received=FRAMES, done=FRAMES)
    assert stream.finished
    assert stream.error is None
    assert sum(worker.frames for worker in status.workers if worker.stage == "detect") == FRAMES
    assert shown[-1] == status


def test_each_worker_keeps_to_its_core(video: Path, outputs: Outputs) -> None:
    before = sorted(os.sched_getaffinity(0))
    if len(before) < 2:
        pytest.skip("there is one core")
    chosen = before[-2:]
    seen: dict[str, set[int]] = {}

    def look(status: Status) -> None:
        if 0 < status.done < FRAMES:
            seen.update((name, os.sched_getaffinity(pid)) for name, pid in children().items())

    os.sched_setaffinity(0, chosen)
    try:
        replay([video], CONFIG, outputs, look, steps.SLOW)
    finally:
        os.sched_setaffinity(0, before)
    everywhere = set(chosen)
    for name, own in {
        "detect-0.1": {chosen[0]},
        "detect-1.1": {chosen[-1]},
        "recognise-0.1": {chosen[0]},
        "recognise-1.1": {chosen[-1]},
        "hub.1": everywhere,
    }.items():
        assert seen[name] == own, name


@pytest.mark.timeout(120)
def test_all_frames_are_there_once_though_each_process_is_killed(
    video: Path, expected: bytes, outputs: Outputs
) -> None:
    fate = Fate(signal.SIGKILL, KINDS, every=12)
    status = replay([video], CONFIG, outputs, fate, steps.SLOW)
    assert len(set(fate.hit)) == len(KINDS)
    assert written(outputs) == expected
    assert status.streams[0].counts == Counts(received=FRAMES, done=FRAMES)


@pytest.mark.timeout(120)
def test_all_frames_are_there_once_though_each_process_falls_silent(
    video: Path, expected: bytes, outputs: Outputs
) -> None:
    fate = Fate(signal.SIGSTOP, KINDS, every=12)
    status = replay([video], CONFIG, outputs, fate, steps.SLOW)
    assert len(set(fate.hit)) == len(KINDS)
    assert not any(map(alive, fate.hit))
    assert written(outputs) == expected
    assert status.streams[0].counts == Counts(received=FRAMES, done=FRAMES)


def test_a_frame_that_a_step_raises_over_is_recorded_as_failed(
    video: Path, tmp_path: Path, outputs: Outputs
) -> None:
    stages = (Stage("detect", steps.raising), *steps.LIGHT[1:])
    status = replay([video], CONFIG, outputs, quiet, stages)
    bad = records(outputs)[steps.BAD]
    assert bad.FrameInformation.Error == "detect: ArithmeticError: seven is too much"
    assert status.streams[0].counts == Counts(received=FRAMES, done=FRAMES - 1, failed={"error": 1})
    alone = Outputs(records=tmp_path / "inline.jsonl")
    inline([video], CONFIG, alone, quiet, stages)
    assert written(alone) == written(outputs)


def test_a_frame_that_cannot_be_recorded_is_recorded_as_failed(
    video: Path, tmp_path: Path, outputs: Outputs
) -> None:
    stages = (*steps.LIGHT[:2], Stage("record", steps.refusing, workers=1, ordered=True))
    replay([video], CONFIG, outputs, quiet, stages)
    errors = [record.FrameInformation.Error for record in records(outputs)]
    assert len(errors) == FRAMES
    assert errors[steps.BAD] == "record: ArithmeticError: seven is too much"
    alone = Outputs(records=tmp_path / "inline.jsonl")
    inline([video], CONFIG, alone, quiet, stages)
    assert written(alone) == written(outputs)


def test_a_frame_that_kills_workers_is_recorded_as_failed(video: Path, outputs: Outputs) -> None:
    status = replay(
        [video], CONFIG, outputs, quiet, (Stage("detect", steps.deadly), *steps.LIGHT[1:])
    )
    errors = [record.FrameInformation.Error for record in records(outputs)]
    assert errors[steps.BAD] == "detect: 2 workers died over this frame"
    assert errors.count(None) == FRAMES - 1
    assert status.streams[0].counts == Counts(
        received=FRAMES, done=FRAMES - 1, failed={"poisoned": 1}
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (steps.unusable, "there is no collection 'staff'; see `onlooker collection list`"),
        (steps.mistaken, "KeyError: 'gone'"),
    ],
)
def test_a_worker_that_cannot_work_ends_the_run_with_one_error(
    video: Path, outputs: Outputs, make: Callable[[Setup], Step], text: str
) -> None:
    began = time.monotonic()
    with pytest.raises(RunError) as caught:
        replay([video], CONFIG, outputs, quiet, (Stage("detect", make), *steps.LIGHT[1:]))
    assert str(caught.value) == f"detect: {text}"
    assert time.monotonic() - began < 15


def test_a_recorder_that_cannot_close_its_log_ends_the_run(video: Path, outputs: Outputs) -> None:
    stages = (*steps.LIGHT[:2], Stage("record", steps.untidy, workers=1, ordered=True))
    with pytest.raises(RunError, match="record: OSError: the disk went away"):
        replay([video], CONFIG, outputs, quiet, stages)


def test_records_that_cannot_be_written_end_the_run_before_it_begins(
    video: Path, tmp_path: Path
) -> None:
    with pytest.raises(LogError, match="no-such-folder"):
        replay([video], CONFIG, Outputs(records=tmp_path / "no-such-folder" / "r.jsonl"), quiet)


def test_a_file_that_is_no_video_ends_the_run_before_it_begins(
    tmp_path: Path, outputs: Outputs
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        replay([text], CONFIG, outputs, quiet, steps.LIGHT)


def test_videos_become_streams_by_their_names(
    video: Path, tmp_path: Path, outputs: Outputs
) -> None:
    other = steps.video(tmp_path / "small.mp4", 30)
    status = replay([video, other, video], CONFIG, outputs, quiet, steps.LIGHT)
    assert [stream.name for stream in status.streams] == ["small", "small-2", "small-3"]
    assert [stream.counts.done for stream in status.streams] == [FRAMES, 30, FRAMES]
    assert status.done == 2 * FRAMES + 30
    for name, length in (("small", FRAMES), ("small-2", 30), ("small-3", FRAMES)):
        indexes = [r.FrameInformation.Index for r in records(outputs) if r.stream == name]
        assert indexes == list(range(length))


def test_a_subscriber_hears_the_end_though_the_publisher_falls_silent_before_it(
    video: Path, tmp_path: Path
) -> None:
    endpoint = f"ipc://{tmp_path}/records"
    heard: list[StreamRecord] = []
    listener = threading.Thread(
        target=lambda: heard.extend(subscribe(endpoint, since=0, timeout=30)), daemon=True
    )
    listener.start()
    # With so long a heartbeat that its silence is not noticed before the video has ended.
    config = Config(pipeline=Pipeline(workers=2, window=8, heartbeat=5))
    stopped: list[int] = []

    def stop(status: Status) -> None:
        pid = called("publisher")
        if status.settled and pid is not None and not stopped:
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)

    outputs = Outputs(records=tmp_path / "r.jsonl", publish=endpoint)
    replay([video], config, outputs, stop, steps.SLOW)
    assert stopped
    listener.join(20)
    assert not listener.is_alive()
    assert heard == list(json_lines.read(tmp_path / "r.jsonl"))


def test_a_subscriber_gets_what_the_file_holds(
    video: Path, tmp_path: Path, outputs: Outputs
) -> None:
    endpoint = f"ipc://{tmp_path}/records"
    heard: list[StreamRecord] = []
    listener = threading.Thread(
        target=lambda: heard.extend(subscribe(endpoint, timeout=30)), daemon=True
    )
    listener.start()
    public = Outputs(records=outputs.records, publish=endpoint)
    replay([video], CONFIG, public, quiet, steps.SLOW)
    listener.join(10)
    assert heard
    assert heard == records(outputs)[-len(heard) :]


def test_a_run_takes_feeds_while_it_runs_and_each_has_outputs_of_its_own(
    video: Path, expected: bytes, tmp_path: Path
) -> None:
    """Its processes start with the first feed, and records of each go to its own log."""
    heard: list[StreamRecord] = []
    endpoint = f"ipc://{tmp_path}/records"
    listener = threading.Thread(
        target=lambda: heard.extend(subscribe(endpoint, since=0, timeout=30)), daemon=True
    )
    listener.start()
    one = Outputs(records=tmp_path / "one.jsonl")
    two = Outputs(records=tmp_path / "two.jsonl", publish=endpoint)
    with running(CONFIG, steps.LIGHT, room=1 << 20) as run:
        run.wait(0.1)
        run.watch()
        assert run.finished
        assert children() == {}
        run.add(feeds_of({"small": SourceConfig(url=str(video))}, CONFIG, one)[0])
        while not run.finished:
            run.wait(0.1)
            run.watch()
        workers = {name for name in children() if name.startswith("detect")}
        [feed] = feeds_of({"small-2": SourceConfig(url=str(video))}, CONFIG, two, first=1)
        run.add(feed)
        while not run.finished:
            run.wait(0.1)
            run.watch()
        assert {name for name in children() if name.startswith("detect")} == workers
        run.finish()
    listener.join(20)
    assert written(one) == expected
    assert {record.stream for record in records(two)} == {"small-2"}
    assert heard == records(two)
    assert len(heard) == FRAMES


# Signals. The run is in a process of its own, as a user's is.

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.support import steps
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Stage
from onlooker.stream.errors import Stopped
from onlooker.stream.supervisor import replay
from tests.stream.test_supervisor import CONFIG
stages = (Stage("detect", steps.{make}), *steps.LIGHT[1:])
def show(status):
    print(status.settled, len(status.alive), flush=True)
try:
    replay([Path({video!r})], CONFIG, Outputs(records=Path({records!r})), show, stages)
except Stopped as stop:
    print("stopped by", stop.signal, flush=True)
"""


class Apart:
    """A replay in another process, watched from here."""

    def __init__(self, video: Path, outputs: Outputs, make: str) -> None:
        root = str(Path(__file__).resolve().parents[2])
        script = SCRIPT.format(root=root, make=make, video=str(video), records=str(outputs.records))
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def children(self) -> dict[str, int]:
        return children(self.process.pid)

    def wait_for(self, frames: int, processes: int = 0) -> None:
        """Wait until so many frames are done, and the hub has heard of so many processes."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            settled, heard = map(int, line.split())
            if settled >= frames and heard >= processes:
                return
        raise AssertionError("it ended early")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_and_the_next_run_goes_on(
    video: Path, expected: bytes, outputs: Outputs, number: signal.Signals
) -> None:
    apart = Apart(video, outputs, "slow")
    apart.wait_for(frames=10)
    running = apart.children()
    assert len(running) == 7
    began = time.monotonic()
    apart.process.send_signal(number)
    said, _ = apart.process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert said.endswith(f"stopped by {number}\n")
    assert not any(map(alive, running.values()))
    assert directories(apart.process.pid) == []
    before = written(outputs)
    assert 0 < len(before) < len(expected)
    assert expected.startswith(before)
    status = replay([video], CONFIG, outputs, quiet, steps.LIGHT)
    assert written(outputs) == expected
    assert status.streams[0].counts == Counts(received=FRAMES, done=FRAMES)
    assert sum(w.frames for w in status.workers if w.stage == "record") < FRAMES


def test_children_that_do_not_listen_are_stopped_in_time(video: Path, outputs: Outputs) -> None:
    apart = Apart(video, outputs, "hanging")
    apart.wait_for(frames=0, processes=6)
    running = apart.children()
    os.kill(next(pid for name, pid in running.items() if name.startswith("recog")), signal.SIGSTOP)
    began = time.monotonic()
    apart.process.send_signal(signal.SIGTERM)
    apart.process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert not any(map(alive, running.values()))
    assert directories(apart.process.pid) == []


def test_children_do_not_outlive_their_parent(video: Path, outputs: Outputs) -> None:
    apart = Apart(video, outputs, "hanging")
    apart.wait_for(frames=0, processes=6)
    running = apart.children()
    assert len(running) == 7
    apart.process.kill()
    apart.process.communicate()

    def ended() -> bool:
        time.sleep(CONFIG.pipeline.heartbeat)
        return not any(map(alive, running.values()))

    # They look for it at each heartbeat; a slow machine lengthens this process's as much as theirs.
    assert any(ended() for _ in range(16))
    assert directories(apart.process.pid) == []


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = run_directory.MEMORY / f"{run_directory.PREFIX}999999999-left"
    left.mkdir()
    (left / "lock").touch()
    with run_directory.directory(0) as run, run_directory.directory(0) as other:
        assert not left.exists()
        assert run.exists()
        assert other.exists()
    assert not run.exists()


def test_a_run_that_is_stopped_says_how_far_it_came(video: Path, outputs: Outputs) -> None:
    def stop(status: Status) -> None:
        if status.settled >= 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="SIGTERM") as caught:
        replay([video], CONFIG, outputs, stop, steps.SLOW)
    assert caught.value.signal == signal.SIGTERM
    assert caught.value.status.settled >= 5
