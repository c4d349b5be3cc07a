"""The states of stateful stages in the log."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.frames import frame

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.record.log import states
from onlooker.record.log.reader import Log, LogError
from onlooker.record.log.states import StageState
from onlooker.record.log.writer import Writer
from onlooker.record.recorder import Recorder


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Writer]:
    with Writer(tmp_path / "records.db") as opened:
        yield opened


def state(index: int, stage: str = "track", epoch: str = "e", analysis: str = "d") -> StageState:
    return StageState("a b", stage, epoch, index, analysis, b"after %d" % index)


def test_the_newest_state_of_each_stage_is_kept(log: Writer) -> None:
    assert log.state("a b", "track") is None
    log.append([], [state(4), state(5), state(5, stage="vote")])
    log.append([], [state(3)])
    assert log.state("a b", "track") == state(5)
    assert log.state("a b", "vote") == state(5, stage="vote")
    with Log(log.path) as reader:
        assert reader.state("a b", "track") == state(5)


@pytest.mark.parametrize("other", [state(0, epoch="f"), state(0, analysis="e")])
def test_the_state_of_another_epoch_or_analysis_replaces_it(log: Writer, other: StageState) -> None:
    log.append([], [state(5)])
    log.append([], [other])
    assert log.state("a b", "track") == other


def test_a_state_is_written_with_its_record_or_not_at_all(
    log: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(log)
    frames = [replace(frame("a", index), states={"track": b"%d" % index}) for index in range(3)]
    recorder.add(frames[0], Config(), "d")
    recorder.commit()
    for each in frames[1:]:
        recorder.add(each, Config(), "d")

    def fail(*_: object) -> None:
        raise LogError("no")

    with monkeypatch.context() as patch:
        patch.setattr(states, "save", fail)
        with pytest.raises(LogError):
            recorder.commit()
    assert len(log) == 1
    assert log.state("a", "track") == StageState("a", "track", "e", 0, "d", b"0")
    recorder.commit()
    assert len(log) == 3
    assert log.state("a", "track") == StageState("a", "track", "e", 2, "d", b"2")


def test_states_are_no_part_of_the_record() -> None:
    with_state = replace(frame("a", 0), states={"track": b"state"})
    assert build(with_state, Config(), "d") == build(frame("a", 0), Config(), "d")
