"""A worker: a process that asks the hub for frames of one stage and runs the step on them."""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
from msgspec.structs import replace

from onlooker import durable_file
from onlooker.child_process import stop_event, stoppable_at_once
from onlooker.media.picture import Planes
from onlooker.models.card import WeightsError
from onlooker.stream import messages, run_directory
from onlooker.stream.hub_client import HubClient
from onlooker.stream.ring import FrameGone, Ring
from onlooker.stream.stage import NoPicture, Setup, StageError, StopRequested, Work, maker
from onlooker.stream.step_runner import StepRunner, step_runner
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.picture import Picture

MAX_POISONED_IMAGES = 100
"""Images of frames over which workers died that are kept for a stage."""

logger = logging.getLogger(__name__)


class Done(NamedTuple):
    """The answer to a Job."""

    lease: int
    data: bytes
    """The frame as it is now."""
    failed: str | None
    """The error, if the step raised over the frame."""


def main(run: Path, stage: str, name: str) -> int:
    """Work for `stage` of the run in directory `run`, as `name`, until the stop order.

    Returns the exit status: 1 if the worker cannot work and has told the hub so.
    """
    stop = stop_event(name)
    plan = run_directory.read(run)
    [row] = [each for each in plan.stages if each.name == stage]
    with HubClient(plan, name, lambda _: messages.Ready(stage)) as hub:
        try:
            with ExitStack() as closing:
                feed = partial(run_directory.read_feed, run)
                setup = Setup(plan.config, closing, feed, stop, plan.store)
                with stoppable_at_once():
                    runner = step_runner(row, maker(row)(setup), setup)
                worker = StageWorker(runner, row.ordered, setup)
                hub.register()
                while not stop.is_set():
                    jobs, released = receive_jobs(hub, row.leases)
                    done = worker(jobs)
                    setup.commit()
                    model, cpu = setup.model_seconds(), time.process_time()
                    for lease, data, failed in done:
                        result = messages.Result(lease, failed, worker.seconds, model, cpu)
                        hub.send(result, data)
                    if released is not None:
                        runner.release(released)
        except StopRequested:
            return 0
        except (StageError, WeightsError) as error:
            hub.send_last(messages.Broken(f"{stage}: {error}"))
            return 1
        except Exception as error:
            logger.exception("worker broken")
            hub.send_last(messages.Broken(f"{stage}: {type(error).__name__}: {error}"))
            return 1
    return 0


def receive_jobs(
    hub: HubClient, leases: int
) -> tuple[list[tuple[messages.Job, bytes]], str | None]:
    """Return the next job, after a short wait at most, and those that have arrived with it.

    Also the stream, if there is one, whose state is to be dropped after them.
    """
    jobs: list[tuple[messages.Job, bytes]] = []
    while len(jobs) < leases:
        received = hub.receive(wait=not jobs)
        match received:
            case (messages.Job() as job, data):
                jobs.append((job, data))
            case (messages.Release(stream), _):
                return jobs, stream
            case None:
                break
    return jobs, None


class _Taken(NamedTuple):
    """A job with its frame and image."""

    job: messages.Job
    data: bytes
    frame: Frame
    """Has an error if it failed before, or if its pixels have gone."""
    picture: "Picture"
    intact: Callable[[], bool]
    """Whether the pixels are still the frame's: ask after they have been read."""


class StageWorker:
    """The step of a stage, on frames as they travel.

    setup: says in which folder to keep the images of frames over which workers died; None means
    that they are not kept.
    """

    def __init__(self, runner: StepRunner, ordered: bool, setup: Setup | None = None) -> None:
        self.runner = runner
        self.ordered = ordered
        self._setup = setup
        self.seconds = 0.0
        """Spent in the step so far."""
        self._rings: dict[str, Ring] = {}

    def __call__(self, jobs: Sequence[tuple[messages.Job, bytes]]) -> list[Done]:
        """Return the answers, in the order of `jobs`."""
        if not jobs:
            return []
        began = time.perf_counter()
        try:
            taken = [self._take(job, data) for job, data in jobs]
            if not self.ordered:
                return self._run(taken)
            return [
                _done(
                    each,
                    self.runner.take(each.frame, each.picture, each.intact, each.job.before),
                )
                for each in taken
            ]
        finally:
            self.seconds += time.perf_counter() - began

    def _run(self, taken: list[_Taken]) -> list[Done]:
        """Run the step on all frames at once. Those that fail stay as they were."""
        works = [Work(each.frame, each.picture) for each in taken if each.frame.error is None]
        frames = iter(self.runner.run(works) if works else ())
        done = []
        for each in taken:
            frame = each.frame if each.frame.error is not None else next(frames)
            failed = frame.error
            if failed is None and not each.intact():
                failed = self.runner.overwritten(frame)
            data = each.data if failed is not None else messages.pack_frame(frame)
            done.append(Done(each.job.lease, data, failed))
        return done

    def _take(self, job: messages.Job, data: bytes) -> _Taken:
        frame = messages.unpack_frame(data)
        if job.failed is not None:
            frame = replace(frame, error=job.failed)
            if job.failed.endswith(messages.POISONED):
                self._keep(frame, job.slot)
        if job.slot is not None and frame.error is None:
            try:
                planes, intact = self._planes(job.slot)
                return _Taken(job, data, frame, planes, intact)
            except (FrameGone, FileNotFoundError) as error:
                # FileNotFoundError: the whole ring has gone, with the source that wrote it.
                cause = f"{self.runner.stage}: {type(error).__name__}: {error}"
                frame = replace(frame, error=cause)
        return _Taken(job, data, frame, NoPicture(), lambda: True)

    def _keep(self, frame: Frame, place: messages.Slot | None) -> None:
        """Write the image to the folder for poisoned frames; its record does not depend on it."""
        if place is None or self._setup is None:
            return
        folder = self._setup.outputs(frame).poisoned_path
        name = f"{frame.stream}-{frame.epoch[:8]}-{frame.index}.png"
        try:
            folder.mkdir(exist_ok=True)
            if len(list(folder.iterdir())) < MAX_POISONED_IMAGES:
                planes, _ = self._planes(place)
                pixels, _ = planes.region(0, 0, planes.width, planes.height)
                with durable_file.replacing(folder / name, overwrite=False) as part:
                    part.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        except (FrameGone, OSError) as error:
            logger.warning("image not kept name=%s error=%s", name, error)

    def _planes(self, place: messages.Slot) -> "tuple[Planes, Callable[[], bool]]":
        path, slot, generation = place.ring, place.slot, place.generation
        ring = self._rings.get(path)
        if ring is None:
            # Rings of videos that have ended, and of sources that died, are not needed any more.
            self._rings = {p: ring for p, ring in self._rings.items() if Path(p).exists()}
            ring = self._rings[path] = Ring.attach(path)
        return Planes(*ring.planes(slot, generation)), lambda: ring.still(slot, generation)


def _done(taken: _Taken, frame: Frame) -> Done:
    """Return the answer of an ordered stage; `failed` is set if the frame failed in this one."""
    failed = frame.error if taken.job.failed is None else None
    return Done(taken.job.lease, messages.pack_frame(frame), failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
