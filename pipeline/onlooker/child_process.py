"""Child processes: started, watched, started again with back-off, and stopped in order.

The pipeline and the API are groups of children. `supervise` watches over all groups of a program
until they have finished, or until a signal says to stop.
"""

import _thread
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol

import msgspec

from onlooker import program_log

PATROL_SECONDS = 0.1
"""Time between two rounds of `supervise`."""
MAX_RESTART_SECONDS = 32.0
"""Longest wait before a child that dies again and again is restarted: 0, 1, 2, 4 …, then this."""
MAX_DOUBLINGS = 4
STOP_SECONDS = 1.5
"""Time that a child has to stop before it is killed."""

logger = logging.getLogger(__name__)


class ProcessStatus(msgspec.Struct, frozen=True):
    """The state of a child."""

    name: str
    id: int
    """Process id; 0 if it does not run."""
    state: str
    """running, starting, stopping, stopped, or waiting to be started (again)."""
    restarts: int


class Child:
    """A process that is to run, over all its lives.

    It runs `module` with `arguments` and, as the last one, its `name`. core: the only CPU core it
    may use. piped: whether it has pipes as its standard input and output. stop_seconds: time to
    stop before it is killed.
    """

    def __init__(
        self,
        base: str,
        module: str,
        *arguments: str,
        core: int | None = None,
        piped: bool = False,
        environment: Mapping[str, str] | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self.base = base
        self.process: subprocess.Popen[bytes] | None = None
        self.life = 0
        self.started = 0.0
        """Time of the last start, on `time.monotonic`'s clock."""
        self.ready = False
        """Whether it has been heard of in this life."""
        self.deaths = 0
        """Deaths in a row without progress in between."""
        self.due = 0.0
        """Time of the next start."""
        self.stopping: float | None = None
        """Time of the order to stop: the end that follows is no death."""
        self.given_up = False
        self._killed = 0
        """The last life in which it was killed for not answering."""
        self._late = 0
        """Lives that ended so before it was heard of, without progress since."""
        self._command = (module, *arguments)
        self._core = core
        self._piped = piped
        self._environment = environment or {}
        self._stop_seconds = stop_seconds

    @property
    def name(self) -> str:
        """The name in this life. No two lives share one, so that no message is misattributed."""
        return f"{self.base}.{self.life}"

    @property
    def running(self) -> bool:
        return self.process is not None

    @property
    def status(self) -> ProcessStatus:
        """The state of the child, for the user."""
        if self.process is None:
            state, number = ("stopped" if self.stopping is not None else "waiting"), 0
        else:
            state, number = ("running" if self.ready else "starting"), self.process.pid
            if self.stopping is not None:
                state = "stopping"
        return ProcessStatus(self.base, number, state, max(0, self.life - 1))

    def check(self, now: float) -> str | None:
        """Start the process if that is due; kill it if it was to stop and has not in time.

        Return how it ended if it has since the last call, for example "SIGKILL". Then call
        `restart`, unless it was to stop.
        """
        if self.process is None:
            if now < self.due or self.given_up or self.stopping is not None:
                return None
            try:
                self.start()
            except OSError as error:
                return f"cannot be started: {error}"
            return None
        code = self.process.poll()
        if code is None:
            if self.stopping is not None and now - self.stopping > self._stop_seconds:
                self.process.kill()
            return None
        self._let_go()
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"

    def start(self) -> None:
        """Start the process in its next life. Raises OSError."""
        self.life += 1
        self.started, self.ready = time.monotonic(), False
        pipe = subprocess.PIPE if self._piped else subprocess.DEVNULL
        # A terminal sends its signals to all its processes, but the supervisor decides in which
        # order they stop. A child inherits blocked signals.
        with blocked(signal.SIGINT, signal.SIGHUP):
            self.process = subprocess.Popen(
                [*command(*self._command), self.name],
                env={**environment(), **self._environment},
                stdin=pipe,
                stdout=pipe,
            )
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)
        if self._core is not None:
            try:
                os.sched_setaffinity(self.process.pid, {self._core})
            except OSError as error:  # it has ended, or the core is not ours any more
                logger.warning(
                    "not pinned to a core name=%s core=%d cause=%s", self.name, self._core, error
                )

    def restart(self, now: float, progress: bool) -> float:
        """Plan the next start; return the seconds until then.

        progress: whether the life that has ended achieved something. The first restart after that
        is at once.
        """
        self.deaths = 1 if progress else self.deaths + 1
        self._late = 0 if progress else self._late
        wait = 0.0 if self.deaths == 1 else min(2.0 ** (self.deaths - 2), MAX_RESTART_SECONDS)
        self.due = now + wait
        return wait

    def late(self, now: float, seconds: float) -> bool:
        """Return whether it has taken too long to start: `seconds`, and twice as long after each
        time that it was killed for that, since restarts make a machine that is too busy busier."""
        allowed = seconds * 2.0 ** min(self._late, MAX_DOUBLINGS)
        return self.running and now - self.started > allowed

    def send(self, data: bytes) -> None:
        """Write to the standard input of a piped child; nothing if it has died."""
        assert self.process is not None
        assert self.process.stdin is not None, "it was started with pipes"
        with suppress(BrokenPipeError):
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def read(self) -> bytes:
        """Return all that a piped child has written since the last call, without waiting."""
        if self.process is None:
            return b""
        assert self.process.stdout is not None, "it was started with pipes"
        return self.process.stdout.read(65536) or b""

    def stop(self, now: float) -> None:
        """Ask the process to stop; `check` kills it if it does not, and starts it no more."""
        if self.stopping is None:
            self.stopping = now
        if self.process is not None:
            self.process.terminate()

    def kill(self, why: str) -> None:
        """Kill a process that does not answer; `check` then returns how it ended."""
        if self.process is not None and self.process.poll() is None:
            if self.life != self._killed:  # on a busy machine its end takes its time
                logger.warning("child killed name=%s cause=%s", self.name, why)
                self._late += not self.ready
            self._killed = self.life
            self.process.kill()

    def _let_go(self) -> None:
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):  # unwritten input
                        pipe.close()
        self.process = None


def stop(children: Sequence[Child], seconds: float = STOP_SECONDS) -> list[int]:
    """Stop the running ones of `children`; kill those that have not stopped after `seconds`.

    Return their exit statuses, negative for a signal, and 0 for a child that did not run.
    """
    end = time.monotonic() + seconds
    for child in children:
        child.stop(time.monotonic())
    return [_wait(child, end) for child in children]


def _wait(child: Child, end: float) -> int:
    if child.process is None:
        return 0
    try:
        child.process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        if child.ready:  # others may be loading, and have nothing to finish
            logger.warning("child did not stop name=%s", child.name)
        child.process.kill()
    code = child.process.wait()
    child._let_go()
    return code


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package in another process.

    `-P` keeps the current folder out of the child's import path: a `queue.py` there would be
    imported instead of Python's own. Use it with `environment`.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return the environment of children.

    They import from where this process does, except from the current folder of `python -c`, and
    each is one of many that share the cores.
    """
    path = os.pathsep.join(os.path.abspath(place) for place in sys.path if place)
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
    return {
        **dict.fromkeys(threads, "1"),
        **os.environ,
        **program_log.environment(),
        "PYTHONPATH": path,
    }


class Group(Protocol):
    """Child processes that do one thing together: the streams, the API."""

    @property
    def finished(self) -> bool:
        """Whether everything there was to do is done; never, if requests may always come."""

    def wait(self, seconds: float) -> None:
        """Wait for news of the children for some time. Raises OnlookerError."""

    def watch(self) -> None:
        """See to the children: start, restart, kill. Raises OnlookerError."""

    def stop(self) -> None:
        """Have the children finish what they do; do not wait for it."""

    def processes(self) -> list[ProcessStatus]:
        """Return how the children are."""


def supervise(
    groups: Sequence[Group],
    received: list[int],
    each_round: Callable[[], None],
    reload: Callable[[], None] | None = None,
) -> int | None:
    """Watch over `groups` until all have finished; return the signal that said to stop, if any.

    On a signal all groups are told to stop. The caller waits for each, in the order that suits.

    received: the list that `signals` yields. each_round: called between two rounds. reload: called
    on SIGHUP; without it, SIGHUP stops as the other signals do.
    """
    while not all(group.finished for group in groups):
        for group in groups:
            group.wait(PATROL_SECONDS / len(groups))
        # Before the children are seen to: the same signal may have ended them.
        while received:
            number = received.pop(0)
            if number != signal.SIGHUP or reload is None:
                for group in groups:
                    group.stop()
                return number
            reload()
        for group in groups:
            group.watch()
        each_round()
    return None


def every(seconds: float, do: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `do` unless it has within the last `seconds`."""
    last = time.monotonic()

    def maybe() -> None:
        nonlocal last
        if time.monotonic() - last > seconds:
            last = time.monotonic()
            do()

    return maybe


def in_turn(*dos: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls all of these."""

    def call() -> None:
        for do in dos:
            do()

    return call


@contextmanager
def stoppable_at_once() -> Iterator[None]:
    """Have SIGTERM end this process at once: while it loads models, it could not stop otherwise."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_event(name: str) -> threading.Event:
    """Return an event that SIGTERM sets, and have this process log to stderr as `name`.

    Every child process of the pipeline begins with this.
    """
    program_log.begin(name)
    stop = threading.Event()
    # Not in the handler itself: it would wait for ever for the event's lock if it interrupts this
    # very thread while it has that, in `wait` or in the handler of the signal before.
    signal.signal(signal.SIGTERM, lambda *_: _thread.start_new_thread(stop.set, ()))
    return stop


def leave(status: int) -> NoReturn:
    """End this process at once, once all it has is closed.

    Call it while the models are still referred to. To take them and the interpreter apart takes
    longer than a child has to stop if many do so on a busy machine.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


@contextmanager
def blocked(*numbers: signal.Signals) -> Iterator[None]:
    """Block signals while the `with` statement lasts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals() -> Iterator[list[int]]:
    """Yield the list of SIGTERM, SIGINT and SIGHUP that have come, in order.

    Only the main thread can ask for them; elsewhere the list stays empty.
    """
    received: list[int] = []
    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
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
