"""Runs the step of a stage on frames; an exception becomes the frame's error."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from onlooker.stream.stage import (
    NoPicture,
    ProcessFailed,
    Setup,
    Stage,
    StageError,
    StageRow,
    StatefulStep,
    Step,
    StopRequested,
    Work,
)
from onlooker.stream.stream_states import StreamStates, logged_states
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.picture import Picture

MAX_REMEMBERED_CAUSES = 1000

logger = logging.getLogger(__name__)


def step_runner(stage: Stage | StageRow, step: Step, setup: Setup) -> "StepRunner":
    """Return the runner of a stage. Raises TypeError if it is stateful and its step is not."""
    if not stage.stateful:
        return StepRunner(stage.name, step)
    if not isinstance(step, StatefulStep):
        raise TypeError(f"stage {stage.name} is stateful, but its step is no StatefulStep")
    return StepRunner(
        stage.name, step, StreamStates(stage.name, step, logged_states(stage.name, setup))
    )


class StepRunner:
    """The step of one stage. Raises StageError, ProcessFailed and StopRequested as the step does.

    states: those of the step, if it is a StatefulStep.
    """

    def __init__(self, stage: str, step: Step, states: StreamStates | None = None) -> None:
        self.stage = stage
        self.step = step
        self.states = states
        self._causes: dict[str, str] = {}
        """The last error of each stream, to log it once."""

    def run(self, works: Sequence[Work]) -> list[Frame]:
        """Return the frames with more known about each, or with an error.

        If the step raises over a list of several, it is called again for each of them alone: the
        error is that of one frame.
        """
        try:
            return self.step(works)
        except (StageError, ProcessFailed, StopRequested):
            raise
        except Exception as error:
            if len(works) > 1:
                return [frame for work in works for frame in self.run([work])]
            [(frame, _)] = works
            return [replace(frame, error=self._cause(frame, error))]

    def take(
        self,
        frame: Frame,
        picture: "Picture",
        intact: Callable[[], bool] = lambda: True,
        before: bytes | None = None,
    ) -> Frame:
        """Return the frame as an ordered stage leaves it, with the state after it if that has one.

        before: see messages.Job. A frame that is in the log already, and that the restored state
        knows, is returned as it is. Raises as `_take` does.
        """
        if self.states is None:
            return self._take(frame, picture, intact)
        if before is not None:
            self.states.restore(frame, before)
        if self.states.recorded(frame):
            return frame
        return self.states.attach(self._take(frame, picture, intact))

    def release(self, stream: str) -> None:
        """Drop the stream's state, if the step has one."""
        if self.states is not None:
            self.states.release(stream)

    def _take(self, frame: Frame, picture: "Picture", intact: Callable[[], bool]) -> Frame:
        """Return the frame as the step leaves it.

        An ordered stage must take every frame. If the step raises, or if `intact` returns False
        afterwards (the pixels were overwritten meanwhile), it is called again with the frame as a
        failed one, which has an error and no image. Raises StageError if that raises too.
        """
        if frame.error is None:
            [result] = self.run([Work(frame, picture)])
            if result.error is None and not intact():
                result = replace(frame, error=self.overwritten(frame))
            if result.error is None:
                return result
            if self.states is not None:
                self.states.roll_back(frame.stream)
            frame = replace(frame, error=result.error)
        try:
            [result] = self.step([Work(frame, NoPicture())])
        except (StageError, ProcessFailed, StopRequested):
            raise
        except Exception as error:
            raise StageError(
                f"frame {frame.index} of {frame.stream} cannot be taken as a failed one: "
                f"{type(error).__name__}: {error}"
            ) from error
        return result

    def overwritten(self, frame: Frame) -> str:
        """Return the error of a frame whose pixels were overwritten while the step read them."""
        return f"{self.stage}: FrameGone: frame {frame.index} of {frame.stream} was overwritten"

    def _cause(self, frame: Frame, error: Exception) -> str:
        cause = f"{self.stage}: {type(error).__name__}: {error}"
        if self._causes.get(frame.stream) != cause:
            if len(self._causes) >= MAX_REMEMBERED_CAUSES:
                self._causes.clear()
            self._causes[frame.stream] = cause
            logger.warning(
                "step failed stream=%s index=%d cause=%s", frame.stream, frame.index, cause
            )
            logger.debug("step failed", exc_info=True)
        return cause
