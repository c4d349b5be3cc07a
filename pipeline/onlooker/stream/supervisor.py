"""Starts what a run needs, watches it, starts again what dies, and leaves nothing behind.

A run has a directory, in memory where there is one: the plan, the hub's socket, the rings. The
children are started by their modules' names (`python -m onlooker.stream.worker ...`), so that `ps`
shows who is who and each loads no more than its own part.
"""

import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import zmq
from msgspec.structs import replace

from onlooker.child_process import Child, blocked, environment, signals, stop
from onlooker.config.schema import Config
from onlooker.errors import OnlookerError
from onlooker.record.log.reader import Log
from onlooker.stream import messages, run_directory
from onlooker.stream.feeds import Feed, Outputs, feeds
from onlooker.stream.messages import Status, StreamStatus
from onlooker.stream.run_directory import Plan
from onlooker.stream.stage import Stage, row
from onlooker.stream.stages import STAGES

PATROL = 0.05
"""Seconds between looks at the children."""
REPORT = 0.2
"""Seconds between questions to the hub."""
START = 60.0
"""Seconds that a child may take until it is heard of: on a slow disk, Python has much to read."""
LONGEST_WAIT = 32.0
"""Seconds before a child that dies again and again is started once more; from 1, doubling."""
MOST_DEATHS = 7
"""Of one child in a row, with no frame settled in between, until the run is given up."""
GRACE = 1.5
"""Seconds to stop for children that were asked to, before they are killed."""
FINISH = 4.0
"""The same, where all is done: a publisher may have subscribers that are slow."""

logger = logging.getLogger(__name__)


class RunError(OnlookerError):
    """The run could not be finished; the text says why."""


class Stopped(RunError):
    """The run was told to stop by a signal. What it had recorded by then is whole."""

    def __init__(self, number: int, status: Status) -> None:
        super().__init__(
            f"{signal.Signals(number).name}; what was recorded is kept, and the same command goes "
            "on from there"
        )
        self.signal = number
        self.status = status


def replay(
    videos: Sequence[Path],
    config: Config,
    outputs: Outputs,
    on_status: Callable[[Status], None],
    stages: Sequence[Stage] = STAGES,
    speed: str = "max",
) -> Status:
    """Send every frame of `videos` through `stages`, and return what became of them.

    Each video is a stream named after its file. As many are read at once as there are workers for a
    stage. `on_status` is called a few times a second. An earlier run's `outputs.records` is gone on
    with.

    Raises RunError for what ends the run, Stopped where that was a signal (SIGTERM, SIGINT,
    SIGHUP; within 5 s), and what `onlooker.stream.feeds.feeds` does before anything is started.
    """
    streams = feeds(videos, config, outputs, speed)
    at_once = max(stage.processes(config) for stage in stages)
    room = run_directory.ring_bytes(streams, config.pipeline.window, at_once)
    with signals() as received, running(config, outputs, stages, room, at_once) as children:
        for feed in streams:
            children.add(feed)
        shown = 0.0
        while not children.finished:
            children.watch(PATROL)
            if received:
                raise Stopped(received[0], children.status)
            if time.monotonic() - shown > REPORT:
                shown = time.monotonic()
                on_status(children.status)
        children.finish()
        on_status(children.status)
        return children.status


@contextmanager
def running(
    config: Config, outputs: Outputs, stages: Sequence[Stage], room: int, at_once: int | None
) -> "Iterator[Run]":
    """The processes of a run, with no stream yet, while the `with` statement lasts.

    room: bytes for frames. at_once: videos that are read at once; None where streams come and go.
    """
    with Log(outputs.log_path) as log:
        position = log.position
    with run_directory.directory(room) as run:
        plan = Plan(
            parent=os.getpid(),
            hub=_endpoint(run),
            config=config,
            outputs=outputs,
            position=position,
            stages=tuple(map(row, stages)),
        )
        run_directory.write(run, plan)
        with Run(run, plan, stages, at_once) as children:
            yield children


class Run:
    """The processes of a run, while the `with` statement lasts.

    `watch` has to be called again and again; `status` is then what is known of all streams.
    """

    def __init__(self, run: Path, plan: Plan, stages: Sequence[Stage], at_once: int | None) -> None:
        """at_once: videos that are read at once; None where streams come and go: then no source's
        death ends the run."""
        self.run = run
        self.plan = plan
        self._at_once = at_once
        self.status = Status()
        self._most_deaths = max(MOST_DEATHS, plan.config.pipeline.attempts + 2)
        self._patience = plan.config.pipeline.heartbeat * plan.config.pipeline.liveness
        self._hub = Child("hub", ("onlooker.stream.hub_process", str(run)))
        self._children = [self._hub]
        for stage in stages:
            command = ("onlooker.stream.worker", str(run), stage.name)
            for number, core in enumerate(_cores(stage.processes(plan.config))):
                self._children.append(Child(f"{stage.name}-{number}", command, core=core))
        self._publisher = [Child("publisher", ("onlooker.stream.publisher", str(run)))]
        self._children += self._publisher if plan.outputs.publish else []
        self._feeds: dict[str, Feed] = {}
        self._pending: list[Child] = []
        self._finished: dict[str, StreamStatus] = {}
        self._leaving: list[Feed] = []
        """Feeds that have ended, of streams that the hub may still know."""
        self._asked = self._heard = self._watched = time.monotonic()
        self._answered = True
        self._amnesty = math.inf
        """Until when the hub, having started, need not have heard of all children."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.routing_id = b"supervisor"
        self._socket.reconnect_ivl = 20
        self._socket.connect(plan.hub)

    @property
    def finished(self) -> bool:
        """Whether every frame of every video is settled."""
        return len(self._finished) == len(self._feeds)

    def add(self, feed: Feed) -> None:
        """Have a stream read: at once, or as soon as its turn comes."""
        run_directory.write_feed(self.run, feed)
        self._feeds[feed.stream] = feed
        self._finished.pop(feed.stream, None)
        command = ("onlooker.stream.source_process", str(self.run), str(feed.number))
        self._pending.append(Child(f"source-{feed.number}", command, feed=feed))
        self._feed_next()

    def remove(self, stream: str) -> None:
        """Have a stream read no more; what is on its way is still looked at."""
        feed = self._feeds.pop(stream)
        self._finished.pop(stream, None)
        self._pending = [child for child in self._pending if child.feed is not feed]
        for child in self._children:
            if child.feed is feed:
                self._retire(child)

    def watch(self, seconds: float) -> None:
        """Listen to the hub for some time, then see after the children. Raises RunError."""
        self._listen(seconds)
        now = time.monotonic()
        if now - self._watched > self._patience / 2:
            self._heard = now  # it was this process that slept
        self._watched = now
        if self._answered and now - self._asked > REPORT:
            self._asked, self._answered = now, False
            self._say(messages.StatusRequest())
        if now - self._heard > (self._patience if self._hub.heard else START):
            self._kill_silent(self._hub)
        for child in list(self._children):
            if child.process is not None:
                if child.process.poll() is not None:
                    self._bury(child, child.process.returncode, now)
                elif child.retired is not None and now - child.retired > GRACE:
                    child.process.kill()
            elif child.retired is not None:
                self._leave(child)
            elif now >= child.due and not child.given_up:
                self._start(child)

    def _listen(self, seconds: float) -> None:
        if self._socket.poll(round(seconds * 1000)):
            message, _ = messages.unpack_from_hub(self._socket.recv_multipart())
            self._heard, self._answered = time.monotonic(), True
            if isinstance(message, Status):
                self._take(message)

    def _start(self, child: Child) -> None:
        child.life += 1
        child.started, child.heard = time.monotonic(), False
        if child is self._hub:
            self._heard, self._answered, self._amnesty = child.started, True, math.inf
        module, *arguments = child.command
        # What a terminal sends goes to all its processes, but in which order they stop is for this
        # one to say. A child inherits what is blocked.
        with blocked(signal.SIGINT, signal.SIGHUP):
            child.process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments, child.name],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        if child.core is not None:
            try:
                os.sched_setaffinity(child.process.pid, {child.core})
            except OSError as error:  # it has ended, or the core is not ours any more
                logger.warning(
                    "not kept to a core name=%s core=%d cause=%s", child.name, child.core, error
                )

    def _bury(self, child: Child, code: int, now: float) -> None:
        child.process = None
        if child.retired is not None:
            return
        self._say(messages.Died(child.name))
        settled = self._settled(child)
        achieved = child.heard and settled > child.settled
        child.deaths = 1 if achieved else child.deaths + 1
        child.settled = settled
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        if child.deaths > self._most_deaths:
            cause = f"{child.base} died {child.deaths} times in a row, last by {how}"
            if child.feed is None or self._at_once is not None:
                raise RunError(cause)
            logger.error("given up stream=%s cause=%s", child.feed.stream, cause)
            child.given_up = True
            self._say(messages.Health(child.feed.stream, f"given up: {cause}", 0))
        wait = 0.0 if child.deaths == 1 else min(2.0 ** (child.deaths - 2), LONGEST_WAIT)
        child.due = now + wait
        logger.warning("child died name=%s how=%s start_in=%.0f", child.name, how, wait)

    def _settled(self, child: Child) -> int:
        """Frames that a source's own stream has settled; for other children those of all."""
        if child.feed is None:
            return self.status.settled
        own = (s for s in self.status.streams if child.feed and s.name == child.feed.stream)
        return sum(stream.counts.settled for stream in own)

    def _take(self, status: Status) -> None:
        if status.error is not None:
            raise RunError(status.error)
        self._hub.heard = True
        now = time.monotonic()
        self._amnesty = min(self._amnesty, now + self._patience)
        for child in self._children[1:]:  # all but the hub
            if child.name in status.alive:
                child.heard = True
            elif now > self._amnesty and (child.heard or now - child.started > START):
                self._kill_silent(child)
        for stream in status.streams:
            if stream.finished and stream.name not in self._finished:
                feed = self._feeds.get(stream.name)
                # Another's end is not the end of the feed that took its place.
                if feed is not None and _base(stream.source) == f"source-{feed.number}":
                    self._finished[stream.name] = stream
                for source in self._children:
                    if source.name == stream.source:
                        self._retire(source)
                self._feed_next()
        self._tidy(status)
        # A hub that was started anew knows nothing of streams that had finished.
        streams = {stream.name: stream for stream in status.streams} | self._finished
        ordered = (streams[name] for name in self._feeds if name in streams)
        self.status = replace(status, streams=tuple(ordered))

    def _kill_silent(self, child: Child) -> None:
        if child.process is not None and child.process.poll() is None:
            logger.warning("child silent name=%s", child.name)
            child.process.kill()

    def _retire(self, child: Child) -> None:
        child.retired = child.retired or time.monotonic()
        if child.process is not None:
            child.process.terminate()

    def _leave(self, child: Child) -> None:
        """A source has ended for good: so has its stream, unless another feeds it by now."""
        self._children.remove(child)
        feed = child.feed
        if feed is not None and self._feeds.get(feed.stream) is not feed:
            self._say(messages.Forget(feed.stream, feed.last_session))
            self._leaving.append(feed)

    def _tidy(self, status: Status) -> None:
        """Remove the files of streams that the hub has forgotten, or has from another feed."""
        feeding = {_base(stream.source) for stream in status.streams}
        for feed in [each for each in self._leaving if f"source-{each.number}" not in feeding]:
            self._leaving.remove(feed)
            for pattern in (f"source-{feed.number}.*.ring", f"feed-{feed.number}.json"):
                for left in self.run.glob(pattern):
                    left.unlink(missing_ok=True)

    def _feed_next(self) -> None:
        reading = [c for c in self._children if c.feed is not None and c.retired is None]
        while self._pending and (self._at_once is None or len(reading) < self._at_once):
            reading.append(self._pending.pop(0))
            self._children.append(reading[-1])

    def _say(self, message: messages.ToHub) -> None:
        self._socket.send_multipart(messages.pack(message), zmq.NOBLOCK)

    def finish(self) -> None:
        """Have everybody but the hub put away their things. Raises RunError where one cannot."""
        running = [child for child in self._others if child.process is not None]
        codes = stop([child.process for child in running if child.process], FINISH)
        broken = [child.name for child, code in zip(running, codes, strict=True) if code > 0]
        publishers = [child for child in self._publisher if child in self._children]
        broken += [child.name for child in publishers if self._stopped(child) > 0]
        if broken:
            end = time.monotonic() + self._patience
            while time.monotonic() < end:
                self._listen(REPORT)  # raises what the hub was told
                self._say(messages.StatusRequest())
            raise RunError(f"{broken[0]} failed while it put away its things")

    def _stopped(self, publisher: Child) -> int:
        """How the publisher ended. Another one goes on where it dies before it has published all:
        subscribers wait for the end."""
        code = -signal.SIGKILL
        for _ in range(self._most_deaths + 1):
            if publisher.process is None or publisher.process.poll() is not None:
                self._start(publisher)
            end = time.monotonic() + START
            while not publisher.heard and time.monotonic() < end:
                self._say(messages.StatusRequest())
                self._listen(REPORT)
            assert publisher.process is not None
            [code] = stop([publisher.process], FINISH)
            publisher.process = None
            if code >= 0:
                break
            logger.warning("publisher died at the end, another one goes on name=%s", publisher.name)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Sources first, so that nothing comes in any more; who publishes it late, the hub last."""
        self._socket.close()
        self._context.term()
        for children in (self._others[::-1], self._publisher, [self._hub]):
            stop([child.process for child in children if child.process], GRACE)

    @property
    def _others(self) -> list[Child]:
        """All children but the hub and the publisher."""
        return [c for c in self._children if c is not self._hub and c not in self._publisher]


def _cores(workers: int) -> list[int | None]:
    """The core for each worker of a stage: its own, where there are as many as cores.

    OpenVINO hands each inference to a thread of its own. Where that is from core to core, as the
    system likes to have it while a core is idle, the picture is in the wrong cache: on two cores
    two pinned processes ran models half as often again. Where workers are fewer, or more, the
    system finds free cores.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [None] * workers
    cores = sorted(os.sched_getaffinity(0))
    return [*cores] if workers == len(cores) else [None] * workers


def _base(name: str) -> str:
    """What a child is called in all its lives."""
    return name.rpartition(".")[0]


def _endpoint(run: Path) -> str:
    try:
        return run_directory.endpoint(run)
    except ValueError as error:
        raise RunError(str(error)) from error
