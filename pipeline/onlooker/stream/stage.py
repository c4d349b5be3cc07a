"""A stage of the pipeline, and what its step is given.

A step is a plain function that takes a frame and returns it with more known about it. A stage is a
step with a socket on each side. `onlooker.stream.stages` lists them.
"""

import importlib
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.errors import OnlookerError
from onlooker.stream.feeds import Feed, Outputs
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.image import Picture, Pixels

Step: TypeAlias = "Callable[[Frame, Picture], Frame]"
"""Returns the frame with more known about it. What it raises is recorded as the frame's error."""

MOST_SETTINGS = 1000
"""Streams whose settings are remembered."""

logger = logging.getLogger(__name__)


class StageError(OnlookerError):
    """No frame will get through this step, however often it is tried. The text is for the user."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step, and how many processes run it."""

    name: str
    make: "Callable[[Setup], Step]"
    """A function of a module, as another process finds it by its name."""
    workers: int = 0
    """0: as many as `[stream] workers` says."""
    ordered: bool = False
    """Gets every frame of a stream by its index, failed ones too; other stages get frames in any
    order, and no failed ones."""
    batch: int = 1
    """Frames that one worker may hold at once."""

    def processes(self, config: Config) -> int:
        """How many workers it has."""
        return self.workers or workers(config)


def workers(config: Config) -> int:
    """Processes for a stage that does not say: as many as cores that this one may use."""
    if config.stream.workers:
        return config.stream.workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True)
class Setup:
    """What a maker builds its step from, and tells about it."""

    config: Config
    outputs: Outputs
    closing: ExitStack
    """For what has to be closed when the step is no longer needed."""
    feed: Callable[[int], Feed]
    """The run's feed with this number."""
    _settings: dict[int, Config] = field(default_factory=dict)

    def of(self, frame: Frame) -> Config:
        """What the frame is to be looked at with."""
        found = self._settings.get(frame.feed)
        if found is None:
            if len(self._settings) > MOST_SETTINGS:
                self._settings.clear()
            found = self._settings[frame.feed] = self.config.of(self.feed(frame.feed).source)
        return found

    model_seconds: Callable[[], float] = float
    """To be set by the maker of a step with models: the time they have taken so far."""
    commit: Callable[[], None] = lambda: None
    """To be set by the maker of a step that gathers: called after some frames, before any of them
    counts as taken."""


class NoPicture:
    """The picture of a frame that has none, which only an ordered stage may be given."""

    width = height = 0

    def small(self, long_side: int, multiple: int = 1) -> "Pixels":
        raise LookupError("the frame has no picture")

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> "tuple[Pixels, tuple[int, int]]":
        raise LookupError("the frame has no picture")

    def luma(self, x1: int, y1: int, x2: int, y2: int) -> "Pixels":
        raise LookupError("the frame has no picture")


def perform(stage: str, step: Step, frame: Frame, picture: "Picture") -> Frame:
    """`step(frame, picture)`; or the frame with an error that says what `step` raised.

    StageError is raised: it is not the frame's fault.
    """
    try:
        return step(frame, picture)
    except StageError:
        raise
    except Exception as error:
        cause = f"{stage}: {type(error).__name__}: {error}"
        logger.warning("step failed stream=%s index=%d cause=%s", frame.stream, frame.index, cause)
        logger.debug("step failed", exc_info=True)
        return replace(frame, error=cause)


class StageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stage, as far as it can be written down."""

    name: str
    make: str
    """module:function"""
    ordered: bool
    batch: int = 1


def row(stage: Stage) -> StageRow:
    """`stage` with its maker's name in place of the function."""
    make = f"{stage.make.__module__}:{stage.make.__qualname__}"
    return StageRow(name=stage.name, make=make, ordered=stage.ordered, batch=stage.batch)


def maker(stage: StageRow) -> Callable[[Setup], Step]:
    """The function that `row` was given."""
    module, _, name = stage.make.partition(":")
    found: Callable[[Setup], Step] = getattr(importlib.import_module(module), name)
    return found
