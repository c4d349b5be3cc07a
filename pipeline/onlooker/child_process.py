"""Child processes: what one is over all its lives, and how they are started and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import current_thread, main_thread

from onlooker.stream.feeds import Feed


@dataclass(slots=True)
class Child:
    """A process that is to be there, over all its lives."""

    base: str
    command: tuple[str, ...]
    """Module and arguments; its name of the moment follows."""
    life: int = 0
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    heard: bool = False
    """Whether it was heard of in this life."""
    deaths: int = 0
    settled: int = -1
    """Frames settled when it died last."""
    due: float = 0.0
    """When to start it."""
    retired: float | None = None
    """When it was told to stop, having done its work: its end is no death."""
    feed: Feed | None = None
    """What it feeds, where it is a source."""
    given_up: bool = False
    core: int | None = None
    """The one that it is kept to, if any."""

    @property
    def name(self) -> str:
        """Another one in each life, so that nothing is taken for its predecessor's."""
        return f"{self.base}.{self.life}"


def stop(processes: Sequence[subprocess.Popen[bytes]], grace: float) -> list[int]:
    """Ask them to stop; kill those that have not by the end of `grace` seconds. How they ended."""
    for process in processes:
        process.terminate()
    end = time.monotonic() + grace
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
    return [process.wait() for process in processes]


def environment() -> dict[str, str]:
    """Children import what this process would, and are one of the many that share the cores."""
    path = os.pathsep.join(os.path.abspath(place) for place in sys.path)
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
    return {**dict.fromkeys(threads, "1"), **os.environ, "PYTHONPATH": path}


@contextmanager
def blocked(*signals: signal.Signals) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals() -> Iterator[list[int]]:
    """The signals to stop that have come. Only the main thread can ask for them."""
    received: list[int] = []
    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    if current_thread() is not main_thread():
        yield received
        return
    before = {
        number: signal.signal(number, lambda came, _: received.append(came)) for number in wanted
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
