"""A worker: a process that asks the hub for frames of one stage and runs the step on them."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from msgspec.structs import replace

from onlooker import durable_file
from onlooker.child_process import leave, stop_event, stoppable_at_once
from onlooker.models.card import WeightsError
from onlooker.stream import capacity, messages, run_directory
from onlooker.stream.batch_runner import BatchRunner
from onlooker.stream.frame_traces import FrameTraces, Passage, open_traces
from onlooker.stream.hub_client import RECEIVE_SECONDS, HubClient
from onlooker.stream.ring import FrameGone
from onlooker.stream.ring_reader import RingReader
from onlooker.stream.stage import (
    NoPicture,
    ProcessFailed,
    Setup,
    StageError,
    StageRow,
    StopRequested,
    Work,
    maker,
)
from onlooker.stream.step_runner import StepRunner, step_runner
from onlooker.traces import TracesError
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.picture import Picture

BATCH_POLL_SECONDS = 0.002
"""Wait for the hub while a batch runs, before it is checked whether one has ended."""
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
    known: bool = False
    """Whether only the ordered stages are to get the frame from now on."""
    begun: tuple[int, int] = (0, 0)
    """See messages.Result."""


def main(run: Path, stage: str, name: str) -> NoReturn:
    """Work for `stage` of the run in directory `run`, as `name`, until the stop order.

    The exit status is 1 if the worker cannot work and has told the hub so.
    """
    stop = stop_event(name)
    plan = run_directory.read(run)
    [row] = [each for each in plan.stages if each.name == stage]
    status = 1
    with HubClient(plan, name, lambda _: messages.Ready(stage)) as hub:
        try:
            with ExitStack() as closing:
                feed = partial(run_directory.read_feed, run)
                setup = Setup(plan.config, closing, feed, stop, plan.store, run)
                with stoppable_at_once():
                    runner = step_runner(row, maker(row)(setup), setup)
                last = row.name == plan.stages[-1].name
                traces = open_traces(
                    plan.config.telemetry, stage, name, setup.analysis, closing, last=last
                )
                worker = StageWorker(runner, row.ordered, setup, traces)
                hub.register()
                work = _in_batches if row.batch > 1 else _in_turn
                work(hub, row, worker, setup)
            status = 0
        except StopRequested:
            status = 0
        except ProcessFailed as error:
            logger.error("worker failed name=%s cause=%s", name, error)
        except (StageError, WeightsError, TracesError) as error:
            hub.send_last(messages.Broken(f"{stage}: {error}"))
        except Exception as error:
            logger.exception("worker broken")
            hub.send_last(messages.Broken(f"{stage}: {type(error).__name__}: {error}"))
    leave(status)


def _in_turn(hub: HubClient, row: StageRow, worker: "StageWorker", setup: Setup) -> None:
    """Work on one list of frames after the other until the stop order."""
    while not setup.stop.is_set():
        jobs, released = receive_jobs(hub, row.leases)
        done = worker(jobs)
        setup.commit()
        if worker.traces is not None:
            worker.traces.commit()
        _answer(hub, worker, setup, done)
        if released is not None:
            worker.runner.release(released)


def _in_batches(hub: HubClient, row: StageRow, worker: "StageWorker", setup: Setup) -> None:
    """Work on several lists of frames at once until the stop order."""
    batches = BatchRunner(worker.run, row.batch, capacity.BATCHES_AT_ONCE)
    try:
        while not setup.stop.is_set():
            received = hub.receive(BATCH_POLL_SECONDS if batches.busy else RECEIVE_SECONDS)
            while received is not None:
                if isinstance(received[0], messages.Job):
                    batches.add(worker.take(received[0], received[1]))
                received = hub.receive(0)
            _answer(hub, worker, setup, batches.step())
    finally:
        batches.close()


def _answer(hub: HubClient, worker: "StageWorker", setup: Setup, done: "Iterable[Done]") -> None:
    model, cpu = setup.model_seconds(), time.process_time()
    for lease, data, failed, known, begun in done:
        hub.send(messages.Result(lease, failed, worker.seconds, model, cpu, known, begun), data)


def receive_jobs(
    hub: HubClient, leases: int
) -> tuple[list[tuple[messages.Job, bytes]], str | None]:
    """Return the next job, after a short wait at most, and those that have arrived with it.

    Also the stream, if there is one, whose state is to be dropped after them.
    """
    jobs: list[tuple[messages.Job, bytes]] = []
    while len(jobs) < leases:
        received = hub.receive(0 if jobs else RECEIVE_SECONDS)
        match received:
            case (messages.Job() as job, data):
                jobs.append((job, data))
            case (messages.Release(stream), _):
                return jobs, stream
            case None:
                break
    return jobs, None


class Taken(NamedTuple):
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

    `run` may be called by several threads at once if the stage is batched.

    setup: says in which folder to keep the images of frames over which workers died; None means
    that they are not kept.
    """

    def __init__(
        self,
        runner: StepRunner,
        ordered: bool,
        setup: Setup | None = None,
        traces: FrameTraces | None = None,
    ) -> None:
        self.runner = runner
        self.ordered = ordered
        self.traces = traces
        self._setup = setup
        self.seconds = 0.0
        """Spent in the step so far, over all threads."""
        self._lock = threading.Lock()
        self._rings = RingReader()

    def __call__(self, jobs: Sequence[tuple[messages.Job, bytes]]) -> list[Done]:
        """Return the answers, in the order of `jobs`."""
        return self.run([self.take(job, data) for job, data in jobs]) if jobs else []

    def run(self, taken: Sequence[Taken]) -> list[Done]:
        """Return the answers, in the order of `taken`."""
        began = time.perf_counter()
        try:
            return (
                [self._in_order(each) for each in taken] if self.ordered else self._at_once(taken)
            )
        finally:
            with self._lock:
                self.seconds += time.perf_counter() - began

    def _at_once(self, taken: Sequence[Taken]) -> list[Done]:
        """Run the step on all frames at once. Those that fail stay as they were."""
        began = time.time_ns()
        works = [Work(each.frame, each.picture) for each in taken if each.frame.error is None]
        frames = iter(self.runner.run(works) if works else ())
        done, passages = [], []
        for each in taken:
            frame = each.frame if each.frame.error is not None else next(frames)
            failed = frame.error
            if failed is None and not each.intact():
                failed = self.runner.overwritten(frame)
            data = each.data if failed is not None else messages.pack_frame(frame)
            done.append(Done(each.job.lease, data, failed))
            passages.append(Passage(frame, failed, each.job.captured))
        if self.traces is not None:
            self.traces.add(passages, began, time.time_ns())
        return done

    def _in_order(self, taken: Taken) -> Done:
        """Run the step on one frame, a failed one too."""
        began = time.time_ns()
        frame = self.runner.take(taken.frame, taken.picture, taken.intact, taken.job.before)
        # It counts as failed in this stage if it was not before.
        failed = frame.error if taken.job.failed is None else None
        if self.traces is not None:
            passage = Passage(frame, frame.error, taken.job.captured)
            self.traces.add([passage], began, time.time_ns())
        data = messages.pack_frame(frame)
        return Done(taken.job.lease, data, failed, frame.known, frame.begun)

    def take(self, job: messages.Job, data: bytes) -> Taken:
        """Return a job with its frame and image."""
        frame = messages.unpack_frame(data)
        if job.carried:
            frame = replace(frame, carried=True)
        if job.failed is not None:
            frame = replace(frame, error=job.failed)
            if job.failed.endswith(messages.POISONED):
                self._keep(frame, job.slot)
        if job.slot is not None and frame.error is None:
            try:
                planes, intact = self._rings.planes(job.slot)
                return Taken(job, data, frame, planes, intact)
            except (FrameGone, FileNotFoundError) as error:
                # FileNotFoundError: the whole ring has gone, with the source that wrote it.
                cause = f"{self.runner.stage}: {type(error).__name__}: {error}"
                frame = replace(frame, error=cause)
        return Taken(job, data, frame, NoPicture(), lambda: True)

    def _keep(self, frame: Frame, place: messages.Slot | None) -> None:
        """Write the image to the folder for poisoned frames; its record does not depend on it."""
        import cv2  # not before: a recorder does without it

        if place is None or self._setup is None:
            return
        folder = self._setup.outputs(frame).poisoned_path
        name = f"{frame.stream}-{frame.epoch[:8]}-{frame.index}.png"
        try:
            folder.mkdir(exist_ok=True)
            if len(list(folder.iterdir())) < MAX_POISONED_IMAGES:
                planes, _ = self._rings.planes(place)
                pixels, _ = planes.region(0, 0, planes.width, planes.height)
                with durable_file.replacing(folder / name, overwrite=False) as part:
                    part.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        except (FrameGone, OSError) as error:
            logger.warning("image not kept name=%s error=%s", name, error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
