"""The whole pipeline in one process, for debuggers and tests."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.stream.feeds import Feed, feeds
from onlooker.stream.messages import Counts, Failure, Status, StreamStatus
from onlooker.stream.outputs import Outputs
from onlooker.stream.publisher import publishing
from onlooker.stream.stage import NoPicture, Setup, Stage, Work
from onlooker.stream.stages import STAGES
from onlooker.stream.step_runner import StepRunner, step_runner
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.picture import Picture


COMMIT_SECONDS = 0.1
"""Minimum time between two commits of records, but for the last one of a feed."""


def inline(
    videos: Sequence[Path],
    config: Config,
    outputs: Outputs,
    on_status: Callable[[Status], None],
    stages: Sequence[Stage] = STAGES,
    speed: str = "max",
    store: Path | None = None,
) -> Status:
    """Send every frame of `videos` through the stages, one after the other, in this process.

    Writes the same bytes for each stream as `onlooker.stream.supervisor.replay`. store: file of the
    collections; None means the user's own. Raises StageError if a step cannot work, and whatever
    `feeds` raises.
    """
    return inline_feeds(feeds(videos, config, outputs, speed), config, on_status, stages, store)


def inline_feeds(
    feeds: Sequence[Feed],
    config: Config,
    on_status: Callable[[Status], None],
    stages: Sequence[Stage] = STAGES,
    store: Path | None = None,
) -> Status:
    """Do what `inline` does for feeds that have been made already."""
    finished: list[StreamStatus] = []
    with ExitStack() as closing:
        publishers = {
            (outputs.log_path, outputs.publish): closing.enter_context(publishing(outputs))
            for outputs in {feed.outputs for feed in feeds}
            if outputs.publish
        }
        follow = any(stage.follows for stage in stages)
        feeds = [feed.of_stages(follow) for feed in feeds]
        setups: list[Setup] = []
        line: list[tuple[Stage, StepRunner]] = []
        for stage in stages:
            setups.append(Setup(config, closing, feeds.__getitem__, store=store))
            line.append((stage, step_runner(stage, stage.make(setups[-1]), setups[-1])))

        def commit(counts: Counts) -> None:
            for setup in setups:
                setup.commit()
            for publisher in publishers.values():
                publisher.serve()
                publisher.follower.step()
            on_status(Status(streams=(*finished, _status(feed, counts, finished=False))))

        for feed in feeds:
            counts = _analyse(feed, line, commit)
            for _, runner in line:
                runner.release(feed.stream)
            finished.append(_status(feed, counts, finished=True))
    return Status(streams=tuple(finished))


def _analyse(
    feed: Feed, line: Sequence[tuple[Stage, StepRunner]], commit: Callable[[Counts], None]
) -> Counts:
    """Send the frames of a feed through the stages, and return their counts.

    commit: commits the records of all frames so far, and tells their counts. Each commit forces a
    write to the disk, so there is not one for each frame; but an error costs no record before it.
    """
    from onlooker.media.open import frames

    counts, due = feed.counts, time.monotonic()
    committed = counts
    try:
        for frame, picture in frames(feed.stream, feed.source, feed.digest, feed.start):
            frame = replace(frame, feed=feed.number)
            before = b"" if frame.index == feed.start else None
            frame = _through(line, frame, picture or NoPicture(), before)
            failure: Failure = "undecodable" if picture is None else "error"
            counts = replace(counts, received=counts.received + 1)
            counts = counts.plus(failure if frame.error is not None else None, frame.begun)
            if feed.source.pace or time.monotonic() >= due:  # the next frame may be long in coming
                commit(counts)
                committed, due = counts, time.monotonic() + COMMIT_SECONDS
    except Exception:
        if committed is not counts:
            commit(counts)
        raise
    if committed is not counts:
        commit(counts)
    return counts


def _through(
    line: Sequence[tuple[Stage, StepRunner]], frame: Frame, picture: "Picture", before: bytes | None
) -> Frame:
    for stage, runner in line:
        if stage.ordered:
            frame = runner.take(frame, picture, before=before)
        elif frame.error is None and frame.same is None and not (frame.carried or frame.known):
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
