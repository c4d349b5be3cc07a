"""Stages and steps: what a stage is, and what its step receives and returns.

A step is a function from frames to frames that knows nothing of processes. A stage is a step with a
socket on each side. `onlooker.stream.stages` lists the stages.
"""

import importlib
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from onlooker.config.schema import Config
from onlooker.errors import OnlookerError
from onlooker.stream import capacity
from onlooker.stream.feeds import Feed
from onlooker.stream.outputs import Outputs
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.picture import Picture, Pixels

MAX_CACHED_FEEDS = 1000


class StageError(OnlookerError):
    """The step cannot process any frame. The text is for the user."""


class ProcessFailed(OnlookerError):
    """This process cannot process any frame, but its successor may. The text is for the user."""


class StopRequested(Exception):
    """The process must stop now. What the step holds is not recorded; it is processed again."""


class Work(NamedTuple):
    """A frame and its image, as a step receives them."""

    frame: Frame
    picture: "Picture"


Step: TypeAlias = "Callable[[Sequence[Work]], list[Frame]]"
"""Returns the frames, in the same order, with more known about each. An exception becomes the
frame's error. The list usually has one frame; it has more only in a batched stage, where a step may
be called by several threads."""


@runtime_checkable
class StatefulStep(Protocol):
    """A step with a state for each stream. Receives one frame at a time.

    The same state and the same frame must give the same result and the same next state, in any
    process.
    """

    def __call__(self, work: Sequence[Work], /) -> list[Frame]: ...

    def snapshot(self, stream: str) -> bytes:
        """Return the stream's state after its last frame."""

    def restore(self, stream: str, state: bytes) -> None:
        """Set the stream's state to one that `snapshot` returned, perhaps in another process."""

    def forget(self, stream: str) -> None:
        """Drop the stream's state, if there is one. Its next frame starts from an empty state."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step, and how its work is shared among processes."""

    name: str
    make: "Callable[[Setup], Step]"
    """A function at the top of a module: other processes import it by its name."""
    workers: int = 0
    """Number of processes; 0 means as many as `onlooker.stream.capacity` says."""
    ordered: bool = False
    """Receives every frame of a stream, failed ones too, in the order of their index. Other stages
    receive frames in any order, and no failed ones."""
    stateful: bool = False
    """The step is a StatefulStep; the stage must be ordered. Each stream belongs to one worker."""
    leases: int = 1
    """Frames that one worker may hold at once."""
    follows: bool = False
    """The first ordered stage, if it needs no earlier one: it gets the frames of live streams for
    which the first stage has no time."""
    batched: bool = False
    """Takes as many frames at once as `onlooker.stream.capacity` says; holds more."""

    def __post_init__(self) -> None:
        if self.stateful and not self.ordered:
            raise ValueError(f"stage {self.name} is stateful: it must be ordered too")
        if self.batched and self.ordered:
            raise ValueError(f"stage {self.name} is ordered: it cannot be batched")

    def processes(self, config: Config) -> int:
        """Return the number of worker processes."""
        usual = capacity.followers if self.stateful else capacity.workers
        return self.workers or usual(config)


@dataclass(slots=True)
class Setup:
    """The arguments of a stage's factory, and the hooks that it may set."""

    config: Config
    closing: ExitStack
    """Closed when the step is no longer needed."""
    feed: Callable[[int], Feed]
    """Returns the run's feed with this number."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the process must stop. A step that waits raises StopRequested then."""
    store: Path | None = None
    """File of the collections; None for the user's own."""
    run: Path | None = None
    """Directory of the run; None if there is none, as inline."""
    _feeds: dict[int, tuple[Feed, Config]] = field(default_factory=dict)

    @property
    def url(self) -> str | None:
        """URL of the database that has the collections; None means that a file has them."""
        return self.config.store.url if self.store is None else None

    def of(self, frame: Frame) -> Config:
        """Return the configuration for the frame's stream."""
        return self._cached(frame)[1]

    def analysis(self, frame: Frame) -> str:
        """Return the digest of what the frame's stream is analysed with."""
        return self._cached(frame)[0].analysis

    def feed_of(self, frame: Frame) -> Feed:
        """Return the feed that the frame comes from."""
        return self._cached(frame)[0]

    def outputs(self, frame: Frame) -> Outputs:
        """Return where the frame's record goes."""
        return self._cached(frame)[0].outputs

    def topic(self, frame: Frame) -> str | None:
        """Return the topic of the frame's record; None means that of the stream's name."""
        return self._cached(frame)[0].source.topic

    def _cached(self, frame: Frame) -> tuple[Feed, Config]:
        found = self._feeds.get(frame.feed)
        if found is None:
            if len(self._feeds) > MAX_CACHED_FEEDS:
                self._feeds.clear()
            feed = self.feed(frame.feed)
            found = self._feeds[frame.feed] = feed, self.config.for_source(feed.source)
        return found

    model_seconds: Callable[[], float] = float
    """Hook of a step with models: returns the seconds spent in them so far."""
    commit: Callable[[], None] = lambda: None
    """Hook of a step that gathers results: called after some frames, before any of them counts as
    done."""


class NoPicture:
    """The image of a frame without pixels, which only ordered stages receive."""

    width = height = 0

    def small(self, long_side: int, multiple: int = 1) -> "Pixels":
        raise LookupError("the frame has no image")

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> "tuple[Pixels, tuple[int, int]]":
        raise LookupError("the frame has no image")

    def luma(self, x1: int, y1: int, x2: int, y2: int, step: int = 1) -> "Pixels":
        raise LookupError("the frame has no image")


def each(process: "Callable[[Frame, Picture], Frame]") -> Step:
    """Return a step that applies `process` to each frame by itself."""
    return lambda works: [process(frame, picture) for frame, picture in works]


class StageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stage without its functions, as it is written to the run's plan."""

    name: str
    make: str
    """MODULE:FUNCTION"""
    ordered: bool
    stateful: bool = False
    leases: int = 1
    follows: bool = False
    batch: int = 1
    """Frames that a worker takes at once."""


def row(stage: Stage, config: Config) -> StageRow:
    """Return `stage` as it is in a run, with its factory's name in place of the function."""
    return StageRow(
        name=stage.name,
        make=f"{stage.make.__module__}:{stage.make.__qualname__}",
        ordered=stage.ordered,
        stateful=stage.stateful,
        leases=capacity.leases(config) if stage.batched else stage.leases,
        follows=stage.follows,
        batch=capacity.batch(config) if stage.batched else 1,
    )


def maker(stage: StageRow) -> Callable[[Setup], Step]:
    """Return the factory of the stage."""
    module, _, name = stage.make.partition(":")
    found: Callable[[Setup], Step] = getattr(importlib.import_module(module), name)
    return found
