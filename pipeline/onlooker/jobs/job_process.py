"""A process that works on jobs: `python -m onlooker.jobs.job_process`, started by
`onlooker.jobs.job_processes`.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cv2
import msgspec

from onlooker import piped_process, program_log
from onlooker.child_process import stop_event
from onlooker.config.schema import Config
from onlooker.errors import OnlookerError
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.searcher import Searcher
from onlooker.jobs.job_runner import JobRunner, Stopped
from onlooker.jobs.job_store import DAY_SECONDS, JobStore
from onlooker.jobs.outbox import Outbox
from onlooker.jobs.queues import Queues
from onlooker.media.buckets import open_buckets
from onlooker.models.card import space

POLL_SECONDS = 0.25
EXPIRE_SECONDS = 60.0
"""Between two sweeps of what is too old."""
IDLE_SECONDS = 60.0
"""Time without a job after which the models are dropped: several hundred megabytes."""
RETRY_SECONDS = 5.0
"""Until a job whose results could not be kept is tried again."""
SWITCH_SECONDS = 0.0005
"""Time that a thread may hold the interpreter while another one asks for it."""

logger = logging.getLogger(__name__)


class JobSettings(msgspec.Struct, frozen=True):
    """Everything that the process must know."""

    config: Config
    store: Path
    """File of the collections."""
    threads: int
    """Frames that it analyses at a time."""


def main() -> None:
    """Work on jobs until SIGTERM; exit with status 1 and a line on stderr if it cannot."""
    stop = stop_event(sys.argv[-1])
    program_log.begin(form="json", level="INFO")
    settings, signs = piped_process.begin(JobSettings)
    try:
        work(settings, stop, signs.give)
    except (OnlookerError, OSError) as error:
        logger.critical("%s", error)
        sys.exit(1)


def work(settings: JobSettings, stop: threading.Event, beat: Callable[[], None]) -> None:
    """Work on one job after the other until `stop` is set."""
    config = settings.config
    sys.setswitchinterval(SWITCH_SECONDS)
    cv2.setNumThreads(1)  # frames are analysed side by side, each by one thread
    with ExitStack() as closing:
        store = closing.enter_context(JobStore(config.jobs, config.topics))
        searchers: list[Searcher] = []

        def searcher() -> Searcher:
            if not searchers:
                opened = open_searcher(
                    settings.store, space(config.faces.embedder), config.store.url
                )
                searchers.append(closing.enter_context(opened))
            return searchers[0]

        buckets = open_buckets(config.serve.buckets)
        outbox = threading.Thread(target=Outbox(store).run, args=(stop,))
        outbox.start()
        closing.callback(outbox.join)
        closing.callback(stop.set)
        queues = Queues(store.database, config.queue.keep_days * DAY_SECONDS)
        runner = JobRunner(store, config, buckets, searcher, settings.threads, stop, beat)
        swept, worked = -EXPIRE_SECONDS, time.monotonic()
        while not stop.is_set():
            beat()
            if time.monotonic() - swept >= EXPIRE_SECONDS:
                store.expire()
                queues.expire()
                swept = time.monotonic()
            if _work_once(store, runner, stop):
                worked = time.monotonic()
                continue
            if time.monotonic() - worked > IDLE_SECONDS:
                runner.release()
            stop.wait(POLL_SECONDS)


def _work_once(store: JobStore, runner: JobRunner, stop: threading.Event) -> bool:
    """Work on a job; return whether there was one."""
    taken = store.take()
    if taken is None:
        return False
    job, lock = taken
    logger.info("job taken id=%s kind=%s", job.id, job.request.kind)
    try:
        runner.run(job)
    except Stopped:
        lock.close()
        return True
    except OnlookerError as error:
        # Such as a full disk: the job stays open, and is tried again.
        logger.error("job waits id=%s error=%s", job.id, error)
        lock.close()
        stop.wait(RETRY_SECONDS)
        return True
    lock.close(remove=True)
    ended = store.find(job.id)
    logger.info("job ended id=%s state=%s cause=%s", job.id, ended.state, ended.message)
    return True


if __name__ == "__main__":
    main()
