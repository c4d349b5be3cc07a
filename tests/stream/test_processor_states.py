"""Stream processors in a run: they start, fail, stop, end and come back after restarts."""

import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from tests.support import steps
from tests.support.idle_group import Idle
from tests.support.processes import called, children
from tests.support.processors import processor

from onlooker.config.schema import Config, Pipeline, SourceConfig
from onlooker.record.log.topics import TopicLog
from onlooker.stream import cameras, processors
from onlooker.stream.cameras import serve
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.processor_states import ENDED, PAUSED
from onlooker.stream.processors import Processor
from onlooker.stream.stream_table import StreamTable
from onlooker.stream.wanted_streams import WantedStreams

pytestmark = [
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc"),
    pytest.mark.timeout(280),
]

SETTINGS = Pipeline(workers=1, window=8, heartbeat=0.3, attempts=1)
MOVING = "test://moving?fps=20&size=96x64"
Script = Generator[Callable[[], bool], None, None]
"""Yields conditions; it continues once each is true."""


class Run:
    """`serve`, which plays a script and is then stopped."""

    def __init__(self, folder: Path, table: StreamTable) -> None:
        self.table = table
        self.outputs = Outputs(log=folder / "r.db", patient=True)
        self.streams: dict[str, SourceConfig] = {}
        self.status = Status()

    def __call__(self, script: Script, seconds: float = 200) -> None:
        end, done = time.monotonic() + seconds, False
        condition = next(script)

        def show(status: Status) -> None:
            nonlocal condition, done
            self.status = status
            if not done and time.monotonic() < end and not condition():
                return
            try:
                if not done and time.monotonic() < end:
                    condition = next(script)
                    return
            except StopIteration:
                done = True
            os.kill(os.getpid(), signal.SIGTERM)

        wanted = WantedStreams(
            lambda: Config(pipeline=SETTINGS, streams=dict(self.streams)),
            self.table,
            lambda config, source: None,
        )
        with self.table.runner() as ours:
            assert ours
            serve(wanted, self.outputs, show, None, steps.LIGHT, [Idle()])
        assert done, [(each.name, each.status, each.message) for each in self.processors()]

    def processors(self) -> list[Processor]:
        return processors.stored(self.table)

    def find(self, name: str) -> Processor:
        return processors.find(self.table, name)

    def has(self, name: str, status: str, message: str | None = None) -> Callable[[], bool]:
        """Return a condition: the processor has this status, and a message with these words."""

        def true() -> bool:
            found = self.find(name)
            return found.status == status and (message or "") in (found.message or "")

        return true

    def length(self, topic: str) -> int:
        with TopicLog(self.outputs.log_path) as log:
            return len(list(log.records_of(log.number_of(topic), 0, 10**6)))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(cameras, "RELOAD_SECONDS", 0.2)
    with StreamTable(tmp_path / "streams.db") as table:
        yield Run(tmp_path, table)
    assert children() == {}


def test_a_processor_runs_stops_and_runs_again_after_a_restart(run: Run) -> None:
    run.streams = {"door": SourceConfig(url=MOVING, policy="live", enabled=False)}
    processors.create(run.table, processor())

    def first() -> Script:
        yield lambda: True
        assert run.find("door-staff").status == "STOPPED"
        processors.start(run.table, "door-staff")
        yield run.has("door-staff", "RUNNING")
        yield lambda: run.length("results") > 10
        processors.stop(run.table, "door-staff")
        assert run.find("door-staff").status == "STOPPING"
        yield run.has("door-staff", "STOPPED")
        before, end = run.length("results"), time.monotonic() + 1
        yield lambda: time.monotonic() > end
        assert run.length("results") == before, "no record after it has stopped"
        processors.start(run.table, "door-staff")
        yield run.has("door-staff", "RUNNING")

    run(first())
    assert run.processors()[0].wanted
    before = run.length("results")

    def second() -> Script:
        yield run.has("door-staff", "RUNNING")
        yield lambda: run.length("results") > before + 5

    run(second())
    with TopicLog(run.outputs.log_path) as log:
        assert list(log.topics()) == ["results"]
        sequences = [record.Sequence for record in log.read()]
        assert sequences == list(range(1, len(sequences) + 1))


def test_a_stream_that_runs_anyway_is_analysed_otherwise_meanwhile(run: Run) -> None:
    run.streams = {"door": SourceConfig(url=MOVING, policy="live")}
    processors.create(run.table, processor())

    def script() -> Script:
        yield lambda: run.status.settled > 5
        processors.start(run.table, "door-staff")
        yield run.has("door-staff", "RUNNING")
        yield lambda: run.length("results") > 5
        processors.stop(run.table, "door-staff")
        yield run.has("door-staff", "STOPPED")
        before = run.length("door")
        yield lambda: run.length("door") > before + 5

    run(script())
    assert run.length("results") > 5


def test_a_processor_that_cannot_run_has_failed_and_says_why(run: Run, tmp_path: Path) -> None:
    run.streams = {"door": SourceConfig(url=MOVING, policy="live")}
    missing = str(tmp_path / "missing.mp4")
    for made in (
        processor("a", "cellar"),
        processor("b", "video", url=missing),
        processor("c", "door", topic="c"),
    ):
        processors.create(run.table, made)
        processors.start(run.table, made.name)

    def script() -> Script:
        yield run.has("a", "FAILED", "Stream cellar doesn't exist")
        yield run.has("b", "FAILED", "missing.mp4")
        yield run.has("c", "RUNNING")
        assert not run.find("a").wanted
        assert "video" in run.table.troubles()
        steps.video(Path(missing), 20)
        processors.start(run.table, "b")
        yield run.has("b", "STOPPED", ENDED)
        yield lambda: run.length("results") == 20
        processors.delete(run.table, "a")
        processors.delete(run.table, "b")

    run(script())
    assert [each.name for each in run.processors()] == ["c"]


def test_a_camera_without_images_runs_and_says_so(run: Run) -> None:
    processors.create(run.table, processor(url="rtsp://127.0.0.1:1/none"))
    processors.start(run.table, "door-staff")

    def script() -> Script:
        yield run.has("door-staff", "RUNNING", "127.0.0.1")
        processors.stop(run.table, "door-staff")
        yield run.has("door-staff", "STOPPED")

    run(script())


def test_added_streams_come_pause_and_go(run: Run) -> None:
    pattern = SourceConfig(url=MOVING, policy="live")

    def names() -> set[str]:
        return {stream.name for stream in run.status.streams}

    processors.create(run.table, processor())

    def script() -> Script:
        yield lambda: True
        run.table.add("door", pattern)
        yield lambda: names() == {"door"} and run.status.settled > 3
        run.table.add("yard", pattern)
        yield lambda: names() == {"door", "yard"}
        run.table.pause("door")
        yield lambda: names() == {"yard"}
        processors.start(run.table, "door-staff")
        yield run.has("door-staff", "RUNNING", PAUSED)
        run.table.resume("door")
        yield lambda: run.length("results") > 3
        yield lambda: run.find("door-staff").message is None
        run.table.remove("yard")
        yield lambda: names() == {"door"}

    run(script())


def test_when_all_streams_fail_so_do_the_processors_until_the_next_start(run: Run) -> None:
    processors.create(run.table, processor(url=MOVING, policy="live"))
    processors.start(run.table, "door-staff")
    killed: list[int] = []

    def kill() -> bool:
        pid = called("record")
        if pid is not None and pid not in killed:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        return run.has("door-staff", "FAILED", "record-0 died")()

    def script() -> Script:
        yield run.has("door-staff", "RUNNING")
        yield kill

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onlooker.stream.supervisor.MAX_DEATHS", 1)
        with pytest.raises(Exception, match="record-0 died"):
            run(script())
    assert run.processors()[0].wanted

    def again() -> Script:
        yield run.has("door-staff", "RUNNING")

    run(again())
