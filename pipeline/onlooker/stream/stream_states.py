"""The states of a stateful step in one process: restored, rolled back, and sent on with frames."""

from collections.abc import Callable

from msgspec.structs import replace

from onlooker.record.log.reader import Log, LogError
from onlooker.record.log.states import StageState
from onlooker.stream import messages
from onlooker.stream.stage import Setup, StageError, StatefulStep
from onlooker.types import Frame


class StreamStates:
    """The state of each stream that this process has.

    After each frame the state is put into the frame, and so reaches the log in the transaction of
    the frame's record. A process that gets a stream takes its state from the last frame that came
    out of the stage, or else from the log.

    logged: returns the state in the log that `frame` can continue, or None.
    """

    def __init__(
        self, stage: str, step: StatefulStep, logged: Callable[[Frame], StageState | None]
    ) -> None:
        self.stage = stage
        self._step = step
        self._logged = logged
        self._states: dict[str, bytes] = {}
        """Each stream's state after its last frame."""
        self._recorded: dict[str, tuple[str, int]] = {}
        """Epoch and index of the frame after which a stream's state was taken from the log."""

    def restore(self, frame: Frame, before: bytes) -> None:
        """Get the state that precedes `frame`.

        before: the last frame that came out of the stage, encoded; empty if there is none. Raises
        StageError if the log cannot be read.
        """
        stream = frame.stream
        self.release(stream)
        state = messages.unpack_frame(before).states.get(self.stage) if before else None
        if state is None and (found := self._logged(frame)) is not None:
            self._recorded[stream] = found.epoch, found.frame
            state = found.state
        if state is not None:
            self._states[stream] = state
            self._step.restore(stream, state)

    def recorded(self, frame: Frame) -> bool:
        """Return whether the log has the frame's record, and the state is one after it."""
        epoch, index = self._recorded.get(frame.stream, ("", -1))
        return frame.epoch == epoch and frame.index <= index

    def attach(self, frame: Frame) -> Frame:
        """Return the frame with the state after it."""
        state = self._states[frame.stream] = self._step.snapshot(frame.stream)
        return replace(frame, states={**frame.states, self.stage: state})

    def roll_back(self, stream: str) -> None:
        """Return to the state before the frame over which the step raised."""
        self._step.forget(stream)
        if stream in self._states:
            self._step.restore(stream, self._states[stream])

    def release(self, stream: str) -> None:
        """Drop the state."""
        self._step.forget(stream)
        self._states.pop(stream, None)
        self._recorded.pop(stream, None)


def logged_states(stage: str, setup: Setup) -> Callable[[Frame], StageState | None]:
    """Return the `logged` of StreamStates that reads the log of the frame's stream.

    A replay starts afresh with another video or another analysis. A live stream keeps its state
    when its source connects again, which begins a new epoch.
    """

    def logged(frame: Frame) -> StageState | None:
        try:
            # Once for each stream that comes to this process.
            with Log(setup.outputs(frame).log_path) as log:
                found = log.state(frame.stream, stage)
        except LogError as error:
            raise StageError(str(error)) from error
        if found is None or found.analysis != setup.analysis(frame):
            return None
        return found if found.epoch == frame.epoch or setup.feed(frame.feed).live else None

    return logged
