"""The step of a stage, and what becomes of the frames over which it raises."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from msgspec.structs import replace
from tests.support import steps
from tests.support.frames import frame
from tests.support.line import History

from onlooker.config.schema import Config, SourceConfig
from onlooker.record.log.states import StageState
from onlooker.stream import messages
from onlooker.stream.feeds import Feed
from onlooker.stream.stage import (
    NoPicture,
    ProcessFailed,
    Setup,
    StageError,
    StopRequested,
    Work,
)
from onlooker.stream.step_runner import StepRunner, step_runner
from onlooker.stream.stream_states import StreamStates
from onlooker.types import Frame


def refusing(works: Sequence[Work]) -> list[Frame]:
    """A step that does not take frame 1 unless it has failed."""
    if any(frame.index == 1 and frame.error is None for frame, _ in works):
        raise ArithmeticError("one is too much")
    return [frame for frame, _ in works]


CAUSE = "record: ArithmeticError: one is too much"


def works(*indexes: int) -> list[Work]:
    return [Work(frame("a", index), NoPicture()) for index in indexes]


def test_an_exception_becomes_the_error_of_its_frame() -> None:
    assert StepRunner("record", refusing).run(works(0, 1, 2)) == [
        frame("a", 0),
        frame("a", 1, CAUSE),
        frame("a", 2),
    ]


@pytest.mark.parametrize(
    "error", [StageError("no weights"), ProcessFailed("no card"), StopRequested()]
)
def test_what_is_not_the_fault_of_a_frame_is_raised(error: Exception) -> None:
    def step(works: Sequence[Work]) -> list[Frame]:
        raise error

    with pytest.raises(type(error)):
        StepRunner("record", step).run(works(0, 1))
    with pytest.raises(type(error)):
        StepRunner("record", step).take(frame("a", 0, "failed before"), NoPicture())


def test_an_error_that_repeats_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def step(works: Sequence[Work]) -> list[Frame]:
        raise LookupError("model yunet is not there")

    with caplog.at_level(logging.WARNING):
        runner = StepRunner("detect", step)
        for index in range(3):
            runner.run(works(index))
    assert [record.getMessage() for record in caplog.records] == [
        "step failed stream=a index=0 cause=detect: LookupError: model yunet is not there"
    ]


def test_an_ordered_stage_takes_a_frame_over_which_it_raised_as_a_failed_one() -> None:
    given: list[Frame] = []

    def step(works: Sequence[Work]) -> list[Frame]:
        found = refusing(works)
        given.extend(found)
        return found

    runner = StepRunner("record", step)
    assert runner.take(frame("a", 1), NoPicture()) == frame("a", 1, CAUSE)
    assert given == [frame("a", 1, CAUSE)]


def test_a_frame_whose_pixels_were_overwritten_is_taken_as_a_failed_one() -> None:
    taken = StepRunner("record", refusing).take(frame("a", 0), NoPicture(), lambda: False)
    assert taken.error == "record: FrameGone: frame 0 of a was overwritten"


def test_a_stage_that_cannot_take_a_failed_frame_is_unusable() -> None:
    def step(works: Sequence[Work]) -> list[Frame]:
        raise KeyError("gone")

    with pytest.raises(StageError, match="frame 0 of a cannot be taken as a failed one: KeyError"):
        StepRunner("record", step).take(frame("a", 0), NoPicture())


# Stateful steps


def runner(logged: StageState | None = None) -> StepRunner:
    step = History()
    return StepRunner("history", step, StreamStates("history", step, lambda _: logged))


def text(taken: Frame) -> str:
    return taken.lines[0].text


def test_the_state_after_a_frame_travels_with_it() -> None:
    taken = runner().take(frame("a", 0), NoPicture(), before=b"")
    assert taken.states == {"history": b"0"}
    other = replace(frame("a", 1), states={"track": b"t"})
    assert runner().take(other, NoPicture(), before=b"").states == {"track": b"t", "history": b"1"}


def test_an_exception_in_the_middle_of_a_step_leaves_the_state_as_it_was() -> None:
    run = runner()
    assert isinstance(run.step, History)
    run.step.raises = "no"
    first = run.take(frame("a", 0), NoPicture(), before=b"")
    assert (first.error, text(first)) == ("history: ArithmeticError: no", "0")
    assert text(run.take(frame("a", 1), NoPicture())) == "0 1"


def test_a_torn_image_leaves_the_state_as_it_was() -> None:
    run = runner()
    run.take(frame("a", 0), NoPicture(), before=b"")
    assert text(run.take(frame("a", 1), NoPicture(), lambda: False)) == "0 1"


def test_the_state_is_restored_from_the_frame_before() -> None:
    data = messages.pack_frame(runner().take(frame("a", 0), NoPicture(), before=b""))
    run = runner(logged=StageState("a", "history", "e", 9, "d", b"wrong"))
    assert text(run.take(frame("a", 1), NoPicture(), before=data)) == "0 1"


def test_without_a_frame_before_the_state_is_restored_from_the_log() -> None:
    run = runner(logged=StageState("a", "history", "e", 1, "d", b"0 1"))
    before = messages.pack_frame(frame("a", 1))  # one that was recorded: it carries no state
    assert text(run.take(frame("a", 2), NoPicture(), before=before)) == "0 1 2"


def test_frames_that_the_log_has_are_passed_through() -> None:
    run = runner(logged=StageState("a", "history", "e", 1, "d", b"0 1"))
    assert run.take(frame("a", 0), NoPicture(), before=b"") == frame("a", 0)
    assert run.take(frame("a", 1), NoPicture()) == frame("a", 1)
    assert text(run.take(frame("a", 2), NoPicture())) == "0 1 2"
    another = replace(frame("a", 0), epoch="f")
    assert text(run.take(another, NoPicture())) == "0 1 2 0"


def test_a_stream_that_was_released_is_forgotten() -> None:
    run = runner()
    run.take(frame("a", 0), NoPicture(), before=b"")
    run.release("a")
    assert isinstance(run.step, History)
    assert run.step.indexes == {}


def test_a_stateful_stage_needs_a_stateful_step() -> None:
    feed = Feed(stream="a", source=SourceConfig(url="a"), digest="e")
    setup = Setup(Config(), ExitStack(), lambda _: feed)
    assert step_runner(steps.COUNT, steps.Counting(), setup).states is not None
    with pytest.raises(TypeError, match="stage count is stateful, but its step is no StatefulStep"):
        step_runner(steps.COUNT, refusing, setup)
