"""Streams whose failure does not end what runs beside them."""

import os
import signal
from pathlib import Path

import pytest
from tests.support import steps

from onlooker.child_process import ProcessStatus
from onlooker.config.schema import Config, Log, Pipeline, SourceConfig
from onlooker.stream import run_directory
from onlooker.stream.cameras import serve
from onlooker.stream.errors import RunError
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Stage


def test_streams_that_fail_do_not_end_what_runs_beside_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker dies; the next one cannot work, as without the collection that it needs."""
    outputs = Outputs(log=tmp_path / "r.db")
    shown: list[Status] = []
    written: list[ProcessStatus] = []

    class Beside:
        finished = False
        stopped = False
        rounds = 0
        """Rounds since the streams have failed."""

        def wait(self, seconds: float) -> None:
            pass

        def watch(self) -> None:
            # Others' runs may end at any moment.
            ours = f"{run_directory.PREFIX}{os.getpid()}-"
            [run] = [run for run in run_directory.runs() if run.name.startswith(ours)]
            written[:] = run_directory.read_processes(run)
            self.rounds += any(process.name == "streams" for process in written)
            if self.rounds == 1:
                os.kill(os.getpid(), signal.SIGHUP)
            if self.rounds == 20:
                os.kill(os.getpid(), signal.SIGTERM)

        def stop(self) -> None:
            self.stopped = True

        def processes(self) -> list[ProcessStatus]:
            return [ProcessStatus("api-0", os.getpid(), "running", 0)]

    def load() -> Config:
        door = SourceConfig(url="test://moving?size=64x36&fps=20", policy="live")
        place = Log(path=str(outputs.log))
        return Config(
            pipeline=Pipeline(workers=1, window=8, heartbeat=0.3), log=place, streams={"door": door}
        )

    others = Beside()
    stages = (Stage("detect", steps.usable_once), *steps.LIGHT[1:])
    with pytest.raises(RunError, match="detect: there is no collection 'staff'"):
        serve(load, outputs, shown.append, stages=stages, others=[others])
    assert others.stopped
    assert others.rounds >= 20
    states = {process.name: process.state for process in written}
    assert states["streams"].startswith("failed: detect: there is no collection 'staff'")
    assert states["api-0"] == "running"
    assert states["detect-0"] == states["hub"] == "stopped"
    [door] = shown[-1].streams
    assert door.health.startswith("detect: there is no collection 'staff'")
    assert door.counts.done > 0
    assert "the streams have failed; restart" in caplog.text
