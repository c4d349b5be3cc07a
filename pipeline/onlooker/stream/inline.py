"""The whole pipeline in one process: for a debugger, and for tests."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.stream.feeds import Feed, Outputs, feeds
from onlooker.stream.messages import Counts, Failure, Status, StreamStatus
from onlooker.stream.publisher import publishing
from onlooker.stream.stage import NoPicture, Setup, Stage, Work
from onlooker.stream.stages import STAGES
from onlooker.stream.step_runner import StepRunner
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.picture import Picture


def inline(
    videos: Sequence[Path],
    config: Config,
    outputs: Outputs,
    on_status: Callable[[Status], None],
    stages: Sequence[Stage] | None = None,
    speed: str = "max",
) -> Status:
    """The whole line in this process, one frame after the other: for a debugger, and for tests.

    Writes byte for byte what `onlooker.stream.supervisor.replay` writes for each stream. `stages`
    are STAGES unless given. Raises as `feeds` does, and StageError.
    """
    from onlooker.media.open import frames

    finished: list[StreamStatus] = []
    streams = feeds(videos, config, outputs, speed)
    with ExitStack() as closing:
        publisher = closing.enter_context(publishing(outputs)) if outputs.publish else None
        setups: list[Setup] = []
        line: list[tuple[Stage, StepRunner]] = []
        for stage in stages or STAGES:
            setups.append(Setup(config, outputs, closing, streams.__getitem__))
            line.append((stage, StepRunner(stage.name, stage.make(setups[-1]))))
        for feed in streams:
            counts = feed.counts
            for frame, picture in frames(feed.stream, feed.source, feed.digest, feed.start):
                frame = replace(frame, feed=feed.number)
                frame = _through(line, frame, picture or NoPicture())
                for setup in setups:
                    setup.commit()
                if publisher is not None:
                    publisher.pump()
                failure: Failure = "undecodable" if picture is None else "error"
                counts = replace(counts, received=counts.received + 1)
                counts = counts.plus(failure if frame.error is not None else None)
                on_status(Status(streams=(*finished, _status(feed, counts, finished=False))))
            finished.append(_status(feed, counts, finished=True))
    return Status(streams=tuple(finished))


def _through(line: list[tuple[Stage, StepRunner]], frame: Frame, picture: "Picture") -> Frame:
    for stage, runner in line:
        if stage.ordered:
            frame = runner.take(frame, picture)
        elif frame.error is None and frame.same is None:
            [frame] = runner.run([Work(frame, picture)])
    return frame


def _status(feed: Feed, counts: Counts, finished: bool) -> StreamStatus:
    return StreamStatus(
        name=feed.stream,
        counts=counts,
        source="inline",
        in_flight=0,
        frames=counts.received if finished else feed.frames,
        finished=finished,
        error=None,
        seconds=0.0,
    )
