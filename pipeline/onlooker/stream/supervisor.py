"""The processes of the pipeline: started, watched, restarted if they die, and stopped in order.

A run has a directory, in memory if there is room: the plan, the hub's socket, the rings. The
children are started by their modules' names (`python -m onlooker.stream.worker ...`), so that `ps`
shows who is who and each loads no more than its own part.
"""

import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import zmq
from msgspec.structs import replace

from onlooker import traces
from onlooker.child_process import Child, Group, ProcessStatus, every, signals, stop, supervise
from onlooker.config.schema import Config
from onlooker.record.log.reader import Log
from onlooker.stream import capacity, messages, run_directory
from onlooker.stream.errors import RunError, Stopped
from onlooker.stream.feeds import Feed, feeds
from onlooker.stream.messages import Status, StreamStatus
from onlooker.stream.outputs import Outputs
from onlooker.stream.ring_slots import ring_bytes
from onlooker.stream.run_directory import Plan, Publication
from onlooker.stream.stage import Stage, row
from onlooker.stream.stages import STAGES

STATUS_SECONDS = 0.2
"""Time between two questions to the hub."""
MAX_DEATHS = 7
"""Deaths of one child in a row, with no frame settled in between, after which the run ends."""
FINISH_SECONDS = 4.0
"""Time to stop when all is done: a publisher may have subscribers that are slow."""

logger = logging.getLogger(__name__)


def replay(
    videos: Sequence[Path],
    config: Config,
    outputs: Outputs,
    on_status: Callable[[Status], None],
    stages: Sequence[Stage] = STAGES,
    speed: str = "max",
    store: Path | None = None,
) -> Status:
    """Send every frame of `videos` through `stages`; return the final status.

    Each video is a stream named after its file; as many are read at once as a stage has workers.
    `on_status` is called a few times a second. An earlier run's log is resumed. store: file of the
    collections; None for the user's own. Raises RunError for what ends the run, Stopped within 5 s
    of a signal, and what `onlooker.stream.feeds.feeds` does before anything is started.
    """
    return replay_feeds(feeds(videos, config, outputs, speed), config, on_status, stages, store)


def replay_feeds(
    feeds: Sequence[Feed],
    config: Config,
    on_status: Callable[[Status], None],
    stages: Sequence[Stage] = STAGES,
    store: Path | None = None,
    followers: Sequence[Group] = (),
) -> Status:
    """Do what `replay` does for feeds that have been made; `followers` are watched meanwhile."""
    at_once = max(capacity.videos_at_once(config), *(stage.processes(config) for stage in stages))
    room = ring_bytes(feeds, capacity.window(config), at_once)
    with signals() as received, running(config, stages, room, at_once, store) as run:
        for feed in feeds:
            run.add(feed)
        show = every(STATUS_SECONDS, lambda: on_status(run.status))
        number = supervise([run, *followers], received, show)
        if number is not None:
            raise Stopped(number, run.status)
        run.finish()
        on_status(run.status)
        return run.status


@contextmanager
def running(
    config: Config,
    stages: Sequence[Stage],
    room: int,
    at_once: int | None = None,
    store: Path | None = None,
) -> "Iterator[Run]":
    """Yield the processes of a run, with no stream yet, while the `with` statement lasts.

    room: bytes for frames. at_once: videos that are read at once; None if streams come and go.
    store: file of the collections; None for the user's own.
    """
    traces.check(config.telemetry.traces)
    with run_directory.directory(room) as run:
        plan = Plan(
            parent=os.getpid(),
            hub=run_directory.endpoint(run),
            config=config,
            store=store,
            stages=tuple(row(stage, config) for stage in stages),
        )
        run_directory.write(run, plan)
        with Run(run, plan, stages, at_once) as children:
            yield children


class Run:
    """The processes of a run, while the `with` statement lasts.

    It takes feeds while it runs; its processes start with the first one. `wait` and `watch` have to
    be called again and again; `status` is then the newest status of all streams.
    """

    def __init__(self, run: Path, plan: Plan, stages: Sequence[Stage], at_once: int | None) -> None:
        """at_once: videos that are read at once; None if streams come and go: then no source's
        death ends the run."""
        self.run = run
        self.plan = plan
        self._at_once = at_once
        self.status = Status()
        self._max_deaths = max(MAX_DEATHS, plan.config.pipeline.attempts + 2)
        self._silence = plan.config.pipeline.heartbeat * plan.config.pipeline.liveness
        """Seconds after which a process that says nothing counts as dead."""
        self._start_seconds = capacity.start_seconds(plan.config)
        self._hub = Child("hub", "onlooker.stream.hub_process", str(run))
        self._workers: list[Child] = []
        for stage in stages:
            for number, core in enumerate(
                capacity.pinned(stage.processes(plan.config), plan.config)
            ):
                arguments = (str(run), stage.name)
                name = f"{stage.name}-{number}"
                self._workers.append(Child(name, "onlooker.stream.worker", *arguments, core=core))
        if plan.config.workers.listen:
            self._workers.append(Child("gateway", "onlooker.stream.gateway_process", str(run)))
        self._publishers: dict[tuple[Path, str], Child] = {}
        """By log and endpoint."""
        self._started = False
        self._sources: dict[Child, Feed] = {}
        """Sources that are started, with their feeds."""
        self._pending: list[Feed] = []
        """Feeds that wait for their turn."""
        self._feeds: dict[str, Feed] = {}
        """By stream."""
        self._settled: dict[Child, int] = {}
        """Frames that had been settled when a child died last."""
        self._finished: dict[str, StreamStatus] = {}
        self._leaving: list[Feed] = []
        """Feeds that have ended, of streams that the hub may still know."""
        self._said: dict[str, str] = {}
        """Causes that this process has reported of sources that died, by stream."""
        self._asked = self._heard = self._watched = time.monotonic()
        self._answered = True
        self._hub_complete = math.inf
        """Time from which the hub, having started, must have heard of all children."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.routing_id = b"supervisor"
        self._socket.reconnect_ivl = 20

    @property
    def finished(self) -> bool:
        """Whether every frame of every video is settled."""
        return len(self._finished) == len(self._feeds)

    def add(self, feed: Feed) -> None:
        """Have a stream read: at once, or as soon as its turn comes. Raises OSError, LogError."""
        run_directory.write_feed(self.run, feed)
        self._publish(feed.outputs)
        if not self._started:
            self._started = True
            self._socket.connect(self.plan.hub)
        self._feeds[feed.stream] = feed
        self._unfinish(feed.stream)
        self._pending.append(feed)
        self._start_pending()

    def _publish(self, outputs: Outputs) -> None:
        """Have the log of `outputs` published, unless it is already."""
        if outputs.publish is None or (outputs.log_path, outputs.publish) in self._publishers:
            return
        with Log(outputs.log_path) as log:
            publication = Publication(outputs=outputs, position=log.position)
        number = len(self._publishers)
        run_directory.write_publication(self.run, number, publication)
        name = "publisher" if not number else f"publisher-{number}"
        child = Child(name, "onlooker.stream.publisher", str(self.run), str(number))
        self._publishers[outputs.log_path, outputs.publish] = child

    def remove(self, stream: str) -> None:
        """Stop reading a stream; frames on their way are still analysed."""
        feed = self._feeds.pop(stream)
        self._said.pop(stream, None)
        self._unfinish(stream)
        self._pending = [each for each in self._pending if each is not feed]
        for child, fed in self._sources.items():
            if fed is feed:
                child.stop(time.monotonic())

    def wait(self, seconds: float) -> None:
        """Listen to the hub for some time. Raises RunError."""
        self._listen(seconds)

    def watch(self) -> None:
        """See to the children. Raises RunError."""
        now = time.monotonic()
        if now - self._watched > self._silence / 2:
            self._heard = now  # it was this process that slept
        self._watched = now
        if self._started and self._answered and now - self._asked > STATUS_SECONDS:
            self._asked, self._answered = now, False
            self._say(messages.StatusRequest())
        if now - self._heard > (self._silence if self._hub.ready else self._start_seconds):
            self._hub.kill("it does not answer")
        for child in self._children:
            if not child.running and child.stopping is not None:
                self._leave(child)
                continue
            life = child.life
            how = child.check(now)
            if child is self._hub and child.life != life:
                self._heard, self._answered, self._hub_complete = child.started, True, math.inf
            if how is not None and child.stopping is None:
                self._restart(child, how, now)

    def _listen(self, seconds: float) -> None:
        if not self._started:
            time.sleep(seconds)
            return
        if self._socket.poll(round(seconds * 1000)):
            message, _ = messages.unpack_from_hub(self._socket.recv_multipart())
            self._heard, self._answered = time.monotonic(), True
            if isinstance(message, Status):
                self._take(message)

    def _restart(self, child: Child, how: str, now: float) -> None:
        """Plan the next life of a child that has died. Raises RunError if it dies too often."""
        self._say(messages.Died(child.name))
        settled = self._settled_by(child)
        wait = child.restart(now, child.ready and settled > self._settled.get(child, -1))
        self._settled[child] = settled
        logger.warning("child died name=%s how=%s restart_in=%.0f", child.name, how, wait)
        feed = self._sources.get(child)
        cause = f"{child.base} died {child.deaths} times in a row, last by {how}"
        own = self._cause(feed.stream) if feed is not None else ""
        if child.deaths > self._max_deaths and (feed is None or self._at_once is not None):
            raise RunError(own or cause)
        if feed is not None and child.deaths > 1 and not own:
            self._said[feed.stream] = cause
            self._say(messages.Health(feed.stream, feed.session(child.life), cause, 0))

    def _cause(self, stream: str) -> str:
        """Return the cause that a source has reported before it died; empty if it has none."""
        [health] = [each.health for each in self.status.streams if each.name == stream] or [""]
        return health if health != self._said.get(stream) else ""

    def _settled_by(self, child: Child) -> int:
        """Frames that a source's own stream has settled; for other children those of all."""
        feed = self._sources.get(child)
        if feed is None:
            return self.status.settled
        own = (each for each in self.status.streams if each.name == feed.stream)
        return sum(stream.counts.settled for stream in own)

    def _take(self, status: Status) -> None:
        """Take a status of the hub. Raises RunError if a process has reported that it is broken."""
        if status.error is not None:
            raise RunError(status.error)
        self._hub.ready = True
        now = time.monotonic()
        self._hub_complete = min(self._hub_complete, now + self._silence)
        for child in self._children:
            if child.name in status.alive:
                child.ready = True
            elif (
                child is not self._hub
                and now > self._hub_complete
                and (child.ready or child.late(now, self._start_seconds))
            ):
                child.kill("it is silent")
        for stream in status.streams:
            if stream.finished and stream.name not in self._finished:
                feed = self._feeds.get(stream.name)
                # Another's end is not the end of the feed that took its place.
                if feed is not None and _base(stream.source) == f"source-{feed.number}":
                    self._finished[stream.name] = stream
                    self._write_finished()
                for source in self._sources:
                    if source.name == stream.source:
                        source.stop(now)
                self._start_pending()
        self._forget_left(status)
        # A hub that was restarted knows nothing of streams that had finished.
        streams = {stream.name: stream for stream in status.streams} | self._finished
        ordered = (streams[name] for name in self._feeds if name in streams)
        self.status = replace(status, streams=tuple(ordered))

    def _unfinish(self, stream: str) -> None:
        if self._finished.pop(stream, None) is not None:
            self._write_finished()

    def _write_finished(self) -> None:
        try:
            run_directory.write_finished(self.run, tuple(self._finished.values()))
        except OSError as error:  # a full disk does not stop what runs
            logger.warning("finished streams not written down cause=%s", error)

    def _leave(self, child: Child) -> None:
        """End the stream of a source that has ended for good, unless another feeds it by now."""
        feed = self._sources.pop(child, None)
        if feed is not None and self._feeds.get(feed.stream) is not feed:
            self._leaving.append(feed)
            self._say(messages.Forget(feed.stream, feed.last_session))
        self._start_pending()

    def _forget_left(self, status: Status) -> None:
        """Remove the files of streams that the hub has forgotten, or has from another feed."""
        feeding = {_base(stream.source) for stream in status.streams}
        for feed in list(self._leaving):
            if f"source-{feed.number}" in feeding:
                self._say(messages.Forget(feed.stream, feed.last_session))  # in case it got lost
                continue
            self._leaving.remove(feed)
            for pattern in (f"source-{feed.number}.*", f"feed-{feed.number}.json"):
                for left in self.run.glob(pattern):
                    left.unlink(missing_ok=True)

    def _start_pending(self) -> None:
        reading = sum(child.stopping is None for child in self._sources)
        while self._pending and (self._at_once is None or reading < self._at_once):
            feed = self._pending.pop(0)
            name = f"source-{feed.number}"
            child = Child(name, "onlooker.stream.source_process", str(self.run), str(feed.number))
            self._sources[child] = feed
            reading += 1

    def _say(self, message: messages.ToHub) -> None:
        try:
            self._socket.send_multipart(messages.pack(message), zmq.NOBLOCK)
        except zmq.Again:
            # So much waits for a hub that does not run. The one that comes asks its peers itself.
            logger.debug("not sent to the hub message=%s", type(message).__name__)

    def stop(self) -> None:
        """Have the sources stop, and do not wait for it. Frames in flight are still recorded."""
        for child in self._sources:
            child.stop(time.monotonic())

    def processes(self) -> list[ProcessStatus]:
        return [child.status for child in self._children]

    def finish(self) -> None:
        """Stop all children but the hub, so that they save all they have. Raises RunError."""
        running = [child for child in self._all_but_hub if child.running]
        codes = stop(running, FINISH_SECONDS)
        broken = [child.name for child, code in zip(running, codes, strict=True) if code > 0]
        broken += [child.name for child in self._publishers.values() if self._stopped(child) > 0]
        if broken:
            end = time.monotonic() + self._silence
            while time.monotonic() < end:
                self._ask()  # raises the error that was reported to the hub
            raise RunError(f"{broken[0]} failed while it saved its last results")

    def _ask(self) -> None:
        """Ask the hub how things are, and listen for a while. Raises RunError."""
        end = time.monotonic() + STATUS_SECONDS
        self._say(messages.StatusRequest())
        while (left := end - time.monotonic()) > 0:
            self._listen(left)

    def _stopped(self, publisher: Child) -> int:
        """Stop a publisher; return its exit status.

        If it dies before it has published all, another one continues: subscribers wait for the end.
        """
        code = -signal.SIGKILL
        for _ in range(self._max_deaths + 1):
            if not publisher.running or publisher.check(time.monotonic()) is not None:
                publisher.start()
            end = time.monotonic() + self._start_seconds
            while not publisher.ready and time.monotonic() < end:
                self._ask()
            [code] = stop([publisher], FINISH_SECONDS)
            if code >= 0:
                break
            publisher.stopping = None
            logger.warning("publisher died at the end, another continues name=%s", publisher.name)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the sources first, then the publisher, which has the last records, the hub last."""
        self._socket.close()
        self._context.term()
        for children in (self._all_but_hub, list(self._publishers.values()), [self._hub]):
            stop(children)

    @property
    def _children(self) -> list[Child]:
        if not self._started:
            return []
        return [self._hub, *self._workers, *self._publishers.values(), *self._sources]

    @property
    def _all_but_hub(self) -> list[Child]:
        """All children but the hub and the publishers, the sources first."""
        return [*self._sources, *self._workers[::-1]]


def _base(name: str) -> str:
    """Return the name that a child has in all its lives."""
    return name.rpartition(".")[0]
