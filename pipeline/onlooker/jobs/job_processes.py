"""The processes that work on jobs: started, watched, and replaced if they die or hang."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onlooker import piped_process
from onlooker.child_process import Child, ProcessStatus, stop
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.jobs import outbox
from onlooker.jobs.job_process import JobSettings
from onlooker.jobs.job_store import JobStore
from onlooker.media.buckets import open_buckets

MODULE = "onlooker.jobs.job_process"
MAX_SILENCE_SECONDS = 300.0
"""Time without a sign of life after which a process hangs: models are loaded, a frame decoded."""
STOP_SECONDS = 4.0

logger = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Raise ConfigError if jobs could not be worked on, and JobError if they cannot be kept."""
    if config.serve.buckets is None:
        raise ConfigError(
            '[jobs] needs buckets, from which videos are read: set [serve] buckets to "s3" or to a '
            "folder that holds a folder for each bucket"
        )
    open_buckets(config.serve.buckets)
    outbox.check(config.topics)
    outbox.read_key(config.jobs.webhook_key)
    JobStore(config.jobs).close()


def threads(config: Config) -> int:
    """Return how many frames one process analyses at a time."""
    many = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if many else os.cpu_count() or 1
    return config.jobs.threads or max(1, cores // config.jobs.workers)


@contextmanager
def running(config: Config, store: Path) -> "Iterator[JobProcesses]":
    """Yield the processes, which `watch` starts, and stop them at the end.

    store: file of the collections. Raises as `check` does.
    """
    check(config)
    processes = JobProcesses(JobSettings(config, store, threads(config)))
    try:
        yield processes
    finally:
        processes.close()


class JobProcesses:
    """The processes that work on jobs, as a group for `onlooker.child_process.supervise`."""

    finished = False

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._children = [
            Child(f"jobs-{number}", MODULE, piped=True, stop_seconds=STOP_SECONDS)
            for number in range(settings.config.jobs.workers)
        ]
        self._heard: dict[Child, float] = {}
        self._watched = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait for some time."""
        time.sleep(seconds)

    def watch(self) -> None:
        """See to the processes."""
        now = time.monotonic()
        away, self._watched = now - self._watched, now
        for child in self._children:
            self._listen(child, now, away)
            life = child.life
            how = child.check(now)
            if how is not None:
                self._heard.pop(child, None)
                if child.stopping is None:
                    # A job that kills its process again and again fails in the end.
                    wait = child.restart(now, progress=child.ready)
                    logger.error(
                        "process died name=%s how=%s restart_in=%.0f", child.name, how, wait
                    )
            elif child.life != life:
                self._heard[child] = now
                child.send(piped_process.pack(self._settings))

    def processes(self) -> list[ProcessStatus]:
        return [child.status for child in self._children]

    def stop(self) -> None:
        """Have the processes leave their jobs, which continue with the next start."""
        for child in self._children:
            child.stop(time.monotonic())

    def close(self) -> None:
        """Stop the processes, and wait until they have."""
        stop(self._children, STOP_SECONDS)

    def _listen(self, child: Child, now: float, away: float) -> None:
        if child.read():
            child.ready, self._heard[child] = True, now
        if child not in self._heard:
            return
        if away > 1.0:  # it was this process that did not run
            self._heard[child] += away
        if child.stopping is None and now - self._heard[child] > MAX_SILENCE_SECONDS:
            child.kill(f"it has given no sign of life for {now - self._heard[child]:.0f} s")
