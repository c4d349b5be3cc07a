"""Streams of a configuration: cameras that fail, changes while running, accidents, accounting."""

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from tests.support import cameras, steps
from tests.support.processes import called, children, directories, wait_until

from onlooker.child_process import ProcessStatus
from onlooker.config.schema import Config, Pipeline, SourceConfig
from onlooker.models.card import WeightsError
from onlooker.record.log import reader
from onlooker.record.sinks import json_lines
from onlooker.record.subscribe import subscribe
from onlooker.stream import messages
from onlooker.stream.cameras import serve
from onlooker.stream.messages import Counts, Status, StreamStatus
from onlooker.stream.outputs import Outputs
from onlooker.stream.run_directory import endpoint
from onlooker.stream.stage import Stage

pytestmark = [
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc"),
    pytest.mark.timeout(280),
]

SETTINGS = Pipeline(workers=1, window=8, heartbeat=0.3)


class Run:
    """`serve`, stopped from its own progress display, as a user does with Ctrl-C."""

    def __init__(self, tmp_path: Path, stages: tuple[Stage, ...] = steps.LIGHT) -> None:
        self.outputs = Outputs(log=tmp_path / "r.db", records=tmp_path / "r.jsonl", patient=True)
        self.file = tmp_path / "onlooker.toml"
        self.file.write_text("")
        self.stages = stages
        self.sources: dict[str, SourceConfig] = {}
        self.status = Status()

    def __call__(self, until: Callable[["Run"], bool], seconds: float = 200) -> Status:
        """Run until it becomes true, and then stop."""
        end = time.monotonic() + seconds
        true = False

        def show(status: Status) -> None:
            nonlocal true
            self.status = status
            if not true and (until(self) or time.monotonic() > end):
                true = time.monotonic() <= end
                os.kill(os.getpid(), signal.SIGTERM)

        done = serve(self.load, self.outputs, show, self.file, self.stages)
        assert true, f"not in {seconds} s: {done}"
        return done

    def load(self) -> Config:
        return Config(pipeline=SETTINGS, streams=dict(self.sources))

    def change(self, **sources: SourceConfig) -> None:
        self.sources = sources
        self.file.write_text(self.file.read_text() + "#")

    def stream(self, name: str) -> StreamStatus:
        found = [stream for stream in self.status.streams if stream.name == name]
        return found[0] if found else StreamStatus(name, Counts(), "", 0, None, False, None, 0.0)

    def done(self, name: str) -> int:
        return self.stream(name).counts.done


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert children() == {}
    assert directories(os.getpid()) == []


def live(url: str, **settings: object) -> SourceConfig:
    return SourceConfig(url=url, policy="live", timeout=1.0, **settings)  # type: ignore[arg-type]


def accounted(status: Status, run: Run) -> None:
    """Every frame is somewhere; those done or failed are in the log, once, in order."""
    for stream in status.streams:
        counts = stream.counts
        assert counts.received == counts.settled + stream.in_flight
        written = [r for r in reader.read_log(run.outputs.log_path) if r.stream == stream.name]
        assert [record.Sequence for record in written] == list(range(1, len(written) + 1))
        recorded = counts.done + sum(counts.failed.values())
        assert recorded <= len(written) <= recorded + stream.in_flight + 8
        assert len({record.RecordId for record in written}) == len(written)
    with reader.Log(run.outputs.log_path) as opened:
        assert opened.check() == []
    assert list(json_lines.read(run.outputs.records or Path())) == list(
        reader.read_log(run.outputs.log_path)
    )


def test_cameras_that_fail_come_back_and_every_frame_is_accounted_for(tmp_path: Path) -> None:
    run = Run(tmp_path)
    moods = ("reset", "stall", "garbage", "larger")
    with cameras.Http(*moods) as first, cameras.Rtsp("brief", "refused", "damaged") as second:
        run.sources = {"door": live(first.url), "yard": live(second.url)}
        status = run(
            lambda run: (
                run.stream("door").reconnects >= 3
                and run.done("door") > 60
                and run.stream("yard").reconnects >= 1
                and run.stream("yard").counts.failed.get("undecodable", 0) >= 2
            )
        )
    accounted(status, run)
    sizes = {
        record.FrameInformation.Width
        for record in reader.read_log(run.outputs.log_path)
        if record.stream == "door"
    }
    assert sizes == {160, 320}


def test_a_video_that_plays_as_a_camera_begins_when_the_models_are_there(tmp_path: Path) -> None:
    late = (Stage("detect", steps.late), *steps.LIGHT[1:])
    run = Run(tmp_path, late)
    video = steps.video(tmp_path / "video.mp4", 30)
    run.sources = {"played": live(str(video)), "camera": live("test://moving?fps=20&size=96x64")}
    status = run(lambda run: run.stream("played").finished and run.done("camera") > 5)
    accounted(status, run)
    assert run.stream("camera").counts.dropped["superseded"] > 20, "it does not wait"
    written = reader.read_log(run.outputs.log_path)
    first = [record.FrameInformation.Pts for record in written if record.stream == "played"][:3]
    assert first[0] == 0


def test_streams_come_go_and_change_without_the_others(tmp_path: Path) -> None:
    run = Run(tmp_path)
    pattern = live("test://moving?fps=20&size=96x64")
    run.sources = {"stays": pattern, "goes": pattern}
    seen: dict[str, str] = {}

    def next_step(run: Run) -> bool:
        names = {stream.name for stream in run.status.streams}
        match len(seen):
            case 0 if run.done("stays") > 5 and run.done("goes") > 5:
                seen["source"] = run.stream("stays").source
                run.change(stays=pattern, comes=live("test://moving?fps=10&size=64x64"))
            case 1 if names == {"stays", "comes"} and run.done("comes") > 5:
                seen["comes"] = run.stream("comes").source
                run.change(stays=pattern, comes=live("test://black?fps=10&size=64x64"))
            case 2 if run.stream("comes").health == "the image is black":
                assert run.stream("comes").source != seen["comes"]
                assert run.stream("stays").source == seen["source"]
                seen["black"] = run.stream("comes").source
                seen["done"] = str(run.done("comes"))
                run.change(stays=pattern, comes=live(str(tmp_path / "missing.mp4")))
            case 4 if run.done("comes") > int(seen["done"]) + 20:
                assert run.stream("comes").source == seen["black"]
                seen["wrong"] = ""
                run.change(stays=pattern)
            case 5 if names == {"stays"}:
                return True
        return False

    status = run(next_step)
    accounted(status, run)
    assert not wait_until(lambda: bool(children()), 0.1)


@pytest.mark.parametrize("name", [b"asker", b"\xff\xfe\x00ab"])
def test_the_hub_answers_any_client(tmp_path: Path, name: bytes) -> None:
    run = Run(tmp_path)
    run.sources = {"door": live("test://moving?fps=20&size=96x64")}

    def answered(run: Run) -> bool:
        if run.done("door") < 5:
            return False
        [place] = directories(os.getpid())
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.routing_id = name
            socket.connect(endpoint(place))
            socket.send_multipart(messages.pack(messages.StatusRequest()))
            assert socket.poll(60_000)
            message, _ = messages.unpack_from_hub(socket.recv_multipart())
            assert isinstance(message, Status)
            return message.streams[0].counts.done >= 5

    run(answered)


def test_a_configuration_with_an_unknown_model_does_not_end_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.sources = {"a": live("test://moving?size=64x36&fps=30")}
    known, loaded = run.load, 0

    def load() -> Config:
        nonlocal loaded
        loaded += 1
        if loaded > 1:
            raise WeightsError("no model is called 'typo'")
        return known()

    def change(run: Run) -> bool:
        if loaded == 1 and run.done("a"):
            run.change()
        return loaded > 1

    run.load = load  # type: ignore[method-assign]
    assert run(change).streams[0].health == ""


def test_a_change_while_the_first_configuration_is_in_use_already_is_taken(tmp_path: Path) -> None:
    run, pattern = Run(tmp_path), live("test://moving?size=64x36&fps=30")
    run.sources = {"stays": pattern}
    known, loaded = run.load, list[Config]()

    def load() -> Config:
        loaded.append(known())
        if len(loaded) == 1:
            run.change(stays=pattern, comes=pattern)
        return loaded[-1]

    run.load = load  # type: ignore[method-assign]
    run(lambda run: run.done("comes") > 0)
    assert len(loaded) == 2


def test_each_process_may_be_killed_while_cameras_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.outputs = Outputs(
        log=run.outputs.log, records=run.outputs.records, publish=f"ipc://{tmp_path}/p"
    )
    kinds = ["detect", "recognise", "record", "source", "publisher", "hub"]
    killed: list[int] = []
    heard: list[int] = []

    def listen() -> None:
        heard.extend(record.Sequence for record in subscribe(f"ipc://{tmp_path}/p", since=0))

    listener = threading.Thread(target=listen)
    listener.start()

    def kill(run: Run) -> bool:
        done = run.done("door")
        if len(killed) < len(kinds) and done >= 15 * (len(killed) + 1):
            pid = called(kinds[len(killed)])
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        return len(killed) == len(kinds) and done >= 15 * (len(kinds) + 2)

    with cameras.Http("well") as camera:
        run.sources = {"door": live(camera.url)}
        status = run(kill)
    accounted(status, run)
    listener.join(60)
    # Who subscribed has what the log has: no gap, no repeat, though the publisher was killed.
    written = [record.Sequence for record in reader.read_log(run.outputs.log_path)]
    assert heard == written[: len(heard)]
    assert len(heard) >= len(written) - 2


def test_a_video_and_a_camera_end_up_where_they_should(tmp_path: Path) -> None:
    """A stream that is no camera ends; its every frame is recorded, by its own settings."""
    video = steps.video(tmp_path / "video.mp4", 60)
    run = Run(tmp_path)
    run.sources = {
        "all": SourceConfig(url=str(video)),
        "some": SourceConfig(url=str(video), nth=10, start=0.4),
        "fast": SourceConfig(url=str(video), speed="8x", fps=5),
    }
    status = serve(run.load, run.outputs, lambda status: None, None, steps.LIGHT)
    done = {stream.name: stream.counts.done for stream in status.streams}
    assert done == {"all": 60, "some": 5, "fast": 12}
    accounted(status, run)


def test_a_source_that_dies_again_and_again_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onlooker.stream.supervisor.MAX_DEATHS", 3)
    run = Run(tmp_path)
    run.sources = {
        "lives": live("test://moving?fps=20&size=96x64"),
        "dies": live("test://moving?fps=20&size=96x64"),
    }

    def kill(run: Run) -> bool:
        pid = called("source-1")
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return "4 times" in run.stream("dies").health and run.done("lives") > 20

    status = run(kill)
    [dies] = [stream for stream in status.streams if stream.name == "dies"]
    assert "times in a row, last by SIGKILL" in dies.health
    accounted(status, run)


def test_nothing_is_lost_while_the_disk_is_full(tmp_path: Path) -> None:
    """The limit on the size of the recorder's files stands for the end of a disk."""
    video = steps.video(tmp_path / "video.mp4", 400)
    run = Run(tmp_path)
    run.sources = {"video": SourceConfig(url=str(video))}
    limited: list[float] = []

    def limit(run: Run) -> bool:
        pid = called("record")
        if pid is not None and not limited and run.done("video") >= 20:
            size = max(path.stat().st_size for path in tmp_path.glob("r.db*"))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            limited.append(time.monotonic())
        elif pid is not None and limited and time.monotonic() - limited[0] > 4:
            resource.prlimit(
                pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
        return False

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the children inherit it
    try:
        status = serve(run.load, run.outputs, lambda s: _show(run, s, limit), None, steps.SLOW)
    finally:
        signal.signal(signal.SIGXFSZ, before)
    assert limited
    assert status.streams[0].counts.done == 400
    accounted(status, run)


def _show(run: Run, status: Status, then: Callable[[Run], bool]) -> None:
    run.status = status
    then(run)


def test_a_source_without_a_descriptor_left_comes_back(tmp_path: Path) -> None:
    run = Run(tmp_path)
    limited: list[int] = []

    def limit(run: Run) -> bool:
        pid = called("source")
        if pid is not None and not limited and run.done("door") > 3:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 4096))
            limited.append(pid)
        if limited and "Too many open files" in run.stream("door").health:
            resource.prlimit(limited[0], resource.RLIMIT_NOFILE, (4096, 4096))
            limited.append(run.done("door"))
        return len(limited) > 1 and run.done("door") > limited[1] + 5

    with cameras.Http("brief") as camera:
        run.sources = {"door": live(camera.url)}
        status = run(limit)
    accounted(status, run)


def test_no_room_for_the_frames_of_one_stream_does_not_stop_the_others(tmp_path: Path) -> None:
    """The limit on the size of a source's files stands for the end of /dev/shm."""
    pattern = live("test://moving?fps=20&size=96x64")
    run = Run(tmp_path)
    run.sources = {"lives": pattern}
    steps_done: list[int] = []
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(run: Run) -> bool:
        match len(steps_done):
            case 0 if run.done("lives") > 5:
                # Sources that start now inherit it; their rings need some more.
                resource.setrlimit(resource.RLIMIT_FSIZE, (32_768, unlimited[1]))
                run.change(lives=pattern, full=pattern)
                steps_done.append(0)
            case 1 if "frames of" in run.stream("full").health:
                steps_done.append(run.done("lives"))
                resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            case 2:
                back = run.done("full") > 5 and run.stream("full").health == ""
                return back and run.done("lives") > steps_done[1] + 10
        return False

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the children inherit it
    try:
        status = run(limit)
    finally:
        signal.signal(signal.SIGXFSZ, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    accounted(status, run)


def test_an_order_to_stop_is_obeyed_while_the_disk_is_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path)
    run.sources = {"door": live("test://moving?fps=20&size=96x64")}
    stuck: list[int] = []

    def limit(run: Run) -> bool:
        """Full, and then no frame done for a second."""
        pid = called("record")
        if pid is not None and not stuck and run.done("door") > 5:
            size = max(path.stat().st_size for path in tmp_path.glob("r.db*"))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            stuck.append(run.done("door"))
        if stuck:
            stuck.append(run.done("door"))
        return len(stuck) > 6 and stuck[-6] == stuck[-1]

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the children inherit it
    try:
        run(limit)
    finally:
        signal.signal(signal.SIGXFSZ, before)
    assert not [said for said in caplog.messages if "did not stop" in said], "none was killed"
    with reader.Log(run.outputs.log_path) as log:
        assert log.check() == []


def test_a_hangup_ends_a_program_that_has_nothing_to_read_again(tmp_path: Path) -> None:
    """As `onlooker serve`, whose terminal is closed."""

    class Others:
        finished = False
        stopped = False

        def wait(self, seconds: float) -> None:
            os.kill(os.getpid(), signal.SIGTERM if self.stopped else signal.SIGHUP)

        def watch(self) -> None:
            pass

        def stop(self) -> None:
            self.stopped = True

        def processes(self) -> list[ProcessStatus]:
            return []

    others, loaded = Others(), []

    def load() -> Config:
        loaded.append(others.stopped)
        others.stopped = len(loaded) > 1  # then it is to end all the same
        return Config(pipeline=SETTINGS)

    serve(load, Outputs(log=tmp_path / "r.db"), steps.quiet, others=[others])
    assert others.stopped
    assert len(loaded) == 1
