"""A worker: a process that asks the hub for frames of one stage and runs the step on them."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from msgspec.structs import replace

from onlooker.media.image import Planes
from onlooker.models.card import WeightsError
from onlooker.stream import messages, run_directory
from onlooker.stream.hub_client import HubClient, stop_order
from onlooker.stream.ring import FrameGone, Ring
from onlooker.stream.stage import NoPicture, Setup, StageError, Step, maker, perform
from onlooker.types import Frame

if TYPE_CHECKING:
    from onlooker.media.image import Picture


MOST_KEPT = 100
"""Pictures of frames over which workers died that are kept."""

logger = logging.getLogger(__name__)


def main(run: Path, stage: str, name: str) -> int:
    """Work for `stage` of the run in directory `run`, as `name`, until told to stop.

    Returns the exit status: 1 where the hub was told what is broken.
    """
    stop = stop_order(name)
    plan = run_directory.read(run)
    [row] = [each for each in plan.stages if each.name == stage]
    with HubClient(plan, name, lambda _: messages.Ready(stage)) as hub:
        try:
            with ExitStack() as closing:
                setup = Setup(
                    plan.config, plan.outputs, closing, partial(run_directory.read_feed, run)
                )
                kept = plan.outputs.poisoned_path
                work = Work(stage, maker(row)(setup), row.ordered, kept)
                hub.introduce()
                while not stop.is_set():
                    taken = [(job, *work(job, frame)) for job, frame in _jobs(hub, row.batch)]
                    setup.commit()
                    model, cpu = setup.model_seconds(), time.process_time()
                    for job, frame, failed in taken:
                        hub.send(
                            messages.Result(job.lease, failed, work.seconds, model, cpu), frame
                        )
        except (StageError, WeightsError) as error:
            hub.farewell(messages.Broken(f"{stage}: {error}"))
            return 1
        except Exception as error:
            logger.exception("worker broken")
            hub.farewell(messages.Broken(f"{stage}: {type(error).__name__}: {error}"))
            return 1
    return 0


def _jobs(hub: HubClient, most: int) -> Iterator[tuple[messages.Job, bytes]]:
    """The next frame, after a moment's wait at most, and what else is here already."""
    for number in range(most):
        heard = hub.receive(wait=not number)
        if heard is None:
            return
        job, frame = heard
        if isinstance(job, messages.Job):
            yield job, frame


class Work:
    """The step of a stage, on frames as they travel.

    One that is `ordered` takes a frame over which it raised at once, as a failed one; what it
    raises then is raised. Pictures over which workers died go to the folder `kept`.
    """

    def __init__(
        self, stage: str, step: Step, ordered: bool = False, kept: Path | None = None
    ) -> None:
        self.stage = stage
        self.step = step
        self.ordered = ordered
        self.kept = kept
        self.seconds = 0.0
        """Spent in the step so far."""
        self._rings: dict[str, Ring] = {}

    def __call__(self, job: messages.Job, data: bytes) -> tuple[bytes, str | None]:
        """The frame with more known about it; or as it was, and why."""
        began = time.perf_counter()
        frame = messages.unpack_frame(data)
        if job.failed is not None:
            frame = replace(frame, error=job.failed)
            if self.kept is not None and job.failed.endswith(messages.POISONED):
                self._keep(frame, job.slot)
        try:
            picture, still = self._picture(job)
            looked = perform(self.stage, self.step, frame, picture)
            if not still():
                raise FrameGone(f"frame {frame.index} of {frame.stream} was overwritten meanwhile")
        except (FrameGone, FileNotFoundError) as error:
            # FileNotFoundError: the whole ring has gone, with the source that wrote it.
            looked = replace(frame, error=f"{self.stage}: {type(error).__name__}: {error}")
        finally:
            self.seconds += time.perf_counter() - began
        if looked.error == frame.error:
            return messages.pack_frame(looked), None
        if self.ordered and job.failed is None:
            self.step(replace(frame, error=looked.error), NoPicture())
        return data, looked.error

    def _picture(self, job: messages.Job) -> "tuple[Picture, Callable[[], bool]]":
        """The pixels, and a question to ask once they have been read: was it still that frame?"""
        if job.slot is None or job.failed is not None:
            return NoPicture(), lambda: True
        return self._planes(job.slot)

    def _keep(self, frame: Frame, place: messages.Slot | None) -> None:
        """Write the picture where somebody can look at it; the record does not depend on it."""
        if place is None or self.kept is None:
            return
        name = f"{frame.stream}-{frame.epoch[:8]}-{frame.index}.png"
        try:
            self.kept.mkdir(exist_ok=True)
            if len(list(self.kept.iterdir())) < MOST_KEPT:
                planes, _ = self._planes(place)
                picture, _ = planes.region(0, 0, planes.width, planes.height)
                (self.kept / name).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        except (FrameGone, OSError) as error:
            logger.warning("picture not kept name=%s error=%s", name, error)

    def _planes(self, place: messages.Slot) -> "tuple[Planes, Callable[[], bool]]":
        path, slot, generation = place.ring, place.slot, place.generation
        ring = self._rings.get(path)
        if ring is None:
            # Rings of videos that ended, and of sources that died, are of no use any more.
            self._rings = {p: ring for p, ring in self._rings.items() if Path(p).exists()}
            ring = self._rings[path] = Ring.attach(path)
        return Planes(*ring.planes(slot, generation)), lambda: ring.still(slot, generation)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
