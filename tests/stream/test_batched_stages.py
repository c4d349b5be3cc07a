"""Batched stages in processes of their own, as on a card: results, deaths, a card that fails."""

import os
import signal
from pathlib import Path

import pytest
from tests.support import steps
from tests.support.processes import called

from onlooker.config.schema import Config, Pipeline
from onlooker.stream import capacity
from onlooker.stream.inline import inline
from onlooker.stream.messages import Counts, Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Stage
from onlooker.stream.supervisor import replay

FRAMES = 160
CONFIG = Config(pipeline=Pipeline(workers=2, batch=4, window=32, heartbeat=0.3, liveness=3))

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steps.video(tmp_path_factory.mktemp("video") / "small.mp4", FRAMES)


@pytest.fixture(scope="module")
def expected(video: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The video's records, made one frame at a time."""
    records = tmp_path_factory.mktemp("expected") / "records.jsonl"
    inline([video], CONFIG, Outputs(records=records), steps.quiet, steps.LIGHT)
    return records.read_bytes()


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(records=tmp_path / "records.jsonl")


def written(outputs: Outputs) -> bytes:
    assert outputs.records is not None
    return outputs.records.read_bytes()


class Killer:
    """A progress display that kills one process after another, every few frames."""

    def __init__(self, kinds: list[str], every: int) -> None:
        self.kinds = kinds
        self.every = every
        self.hit: list[int] = []

    def __call__(self, status: Status) -> None:
        if len(self.hit) == len(self.kinds) or status.settled < self.every * (len(self.hit) + 1):
            return
        if (pid := called(self.kinds[len(self.hit)])) is not None:
            os.kill(pid, signal.SIGKILL)
            self.hit.append(pid)


@pytest.mark.parametrize("killed", [[], ["detect", "recognise"]])
def test_workers_that_take_batches_write_the_same(
    killed: list[str], video: Path, expected: bytes, outputs: Outputs
) -> None:
    killer = Killer(killed, every=20)
    stages = (Stage("detect", steps.slow, batched=True), *steps.BATCHED[1:])
    status = replay([video], CONFIG, outputs, killer, stages)
    assert written(outputs) == expected
    assert len(killer.hit) == len(killed)
    assert status.streams[0].counts == Counts(received=FRAMES, done=FRAMES)


def test_a_worker_whose_card_fails_is_replaced_and_no_frame_is_lost(
    video: Path, expected: bytes, outputs: Outputs, capfd: pytest.CaptureFixture[str]
) -> None:
    detect = Stage("detect", steps.failing_card, batched=True)
    replay([video], CONFIG, outputs, steps.quiet, (detect, *steps.BATCHED[1:]))
    assert written(outputs) == expected
    assert "cause=the card has failed: CUDA failure 719" in capfd.readouterr().err


def test_workers_with_several_threads_have_no_core_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert capacity.pinned(2, CONFIG) == [None, None]
    assert capacity.pinned(2, Config()) == [3, 5]
