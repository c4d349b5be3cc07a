"""The states in the log that a stream can continue."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.frames import frame

from onlooker.config.schema import Config, SourceConfig
from onlooker.record.log.states import StageState
from onlooker.record.log.writer import Writer
from onlooker.stream.feeds import Feed
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Setup, StageError
from onlooker.stream.stream_states import logged_states

STATE = StageState("a", "track", "e", 5, "d", b"state")


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def setup(log: Path, closing: ExitStack, policy: str = "every", analysis: str = "d") -> Setup:
    source = SourceConfig(url="a", policy="live" if policy == "live" else "every")
    feed = Feed(stream="a", source=source, digest="e", analysis=analysis, outputs=Outputs(log=log))
    return Setup(Config(), closing, lambda _: feed)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    with Writer(tmp_path / "r.db") as writer:
        writer.append([], [STATE])
    return tmp_path / "r.db"


def test_the_state_of_the_same_video_and_analysis_is_continued(
    log: Path, closing: ExitStack
) -> None:
    logged = logged_states("track", setup(log, closing))
    assert logged(frame("a", 6)) == STATE
    assert logged(frame("b", 6)) is None
    assert logged_states("vote", setup(log, closing))(frame("a", 6)) is None


def test_another_analysis_starts_afresh(log: Path, closing: ExitStack) -> None:
    assert logged_states("track", setup(log, closing, analysis="x"))(frame("a", 6)) is None


def test_another_epoch_starts_a_replay_afresh_but_not_a_live_stream(
    log: Path, closing: ExitStack
) -> None:
    other = replace(frame("a", 0), epoch="f")
    assert logged_states("track", setup(log, closing))(other) is None
    assert logged_states("track", setup(log, closing, policy="live"))(other) == STATE


def test_a_log_that_cannot_be_read_makes_the_stage_unusable(
    tmp_path: Path, closing: ExitStack
) -> None:
    with pytest.raises(StageError, match="there is no log"):
        logged_states("track", setup(tmp_path / "none.db", closing))(frame("a", 0))
