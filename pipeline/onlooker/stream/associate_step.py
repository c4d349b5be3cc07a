"""The step that says what of a frame is known from earlier frames, so that it is not recognised."""

from collections.abc import Sequence

from onlooker.stream.stage import Setup, Work
from onlooker.stream.states_by_stream import StatesByStream
from onlooker.track.associations import Associations
from onlooker.types import Frame


class AssociateStep(StatesByStream[Associations]):
    """A StatefulStep. Frames that are not followed pass through it."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(Associations)
        self._setup = setup

    def __call__(self, works: Sequence[Work], /) -> list[Frame]:
        return [self._take(work) for work in works]

    def _take(self, work: Work) -> Frame:
        frame, picture = work
        state = self.states.setdefault(frame.stream, Associations())
        if frame.still or not self._setup.of(frame).tracks.enabled:
            return frame
        feed = self._setup.feed_of(frame)
        carries = feed.live or feed.source.detect_every != 1
        return state.take(frame, picture, carries)
