"""A source's process: it decodes one stream into a ring and offers the frames to the hub."""

import errno
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from onlooker.child_process import leave, stop_event
from onlooker.media.camera import Camera
from onlooker.media.errors import MediaError
from onlooker.media.url import SYNTHETIC_SCHEME, is_camera
from onlooker.stream import capacity, messages, run_directory
from onlooker.stream.camera_reader import MAX_RECONNECT_SECONDS, STEADY_SECONDS, CameraReader
from onlooker.stream.feeds import Feed
from onlooker.stream.frame_traces import FrameTraces, Passage, epoch_ns, open_traces
from onlooker.stream.hub_client import RECEIVE_SECONDS, HubClient
from onlooker.stream.hub_state import MAX_WAITING
from onlooker.stream.source import DETECT_EVERY, Sends, Source

if TYPE_CHECKING:
    from onlooker.media.picture import Planes
    from onlooker.types import Frame

CAMERA_WAIT_SECONDS = 0.02
"""Wait for a camera's frame before the hub is listened to."""
HANG_SECONDS = MAX_RECONNECT_SECONDS + 10
"""Time without progress, beside twice the camera's timeout, after which its thread hangs."""
STOP_READER_SECONDS = 0.5
"""Wait for a camera's thread at the end."""
STAFF_SECONDS = 0.2
"""Time between two questions to the hub whether all stages have workers."""
BLACK = "the image is black"

logger = logging.getLogger(__name__)


class ReaderDied(Exception):
    """The thread that reads the camera has ended by itself."""


def main(run: Path, number: int, name: str) -> int:
    """Feed the stream of feed `number` of the run in directory `run`, as `name`, until SIGTERM.

    `name` ends in a number higher than any process for this feed had before. Return the exit
    status: 1 if the source failed and has reported why. Another process then tries again.
    """
    stop = stop_event(name)
    plan = run_directory.read(run)
    follows = any(stage.follows for stage in plan.stages)
    feed = run_directory.read_feed(run, number).of_stages(follows)
    base, _, life = name.rpartition(".")
    window = capacity.window(plan.config)
    if feed.live:
        window = max(window, room(feed.source.detect_every, capacity.workers(plan.config)))
    source = Source(feed, f"{run}/{name}", window, feed.session(int(life)))
    with HubClient(plan, name, source.registration) as hub, ExitStack() as closing:
        hub.register()
        tidy = False
        try:
            tracks = plan.config.for_source(feed.source).tracks
            absence = tracks.absence if tracks.enabled else None
            follow = (
                _follow_camera(feed, source, hub, stop, absence, _awaited(feed, plan))
                if feed.live
                else _follow_video(feed, source, hub, stop)
            )
            traces = open_traces(
                plan.config.telemetry, "decode", name, lambda _: feed.analysis, closing
            )
            for sends in follow:
                if source.started and not tidy:
                    # Rings of the processes before this one. Sooner, the hub might still have
                    # leased a frame of theirs, whose worker would then fail it.
                    _remove_rings(run, base, keep=name)
                    tidy = True
                for message, data in sends:
                    hub.send(message, data)
                    if traces is not None and isinstance(message, messages.Offer):
                        _trace(traces, message, data)
        except (OSError, ReaderDied) as error:
            cause = _explained(error, run)
            logger.error("source failed stream=%s cause=%s", feed.stream, cause)
            hub.send_last(messages.Health(feed.stream, source.session, cause, 0))
            return 1
    if source.settled or feed.live:
        _remove_rings(run, base)
    return 0


def room(detect_every: int | None, workers: int) -> int:
    """Return how many frames of a camera there must be room for, so that the newest wins.

    Those are the frames that wait and the one that comes, those that workers hold, and those that
    are followed meanwhile.
    """
    followed = min(detect_every or DETECT_EVERY, MAX_WAITING)
    return MAX_WAITING + 1 + 2 * workers + followed


def _trace(traces: FrameTraces, offer: messages.Offer, data: bytes) -> None:
    """Trace the decoding of a frame, unless it gets no record."""
    if offer.dropped is None:
        passage = Passage(messages.unpack_frame(data), offer.failed, offer.captured)
        traces.add([passage], epoch_ns(offer.captured), time.time_ns())


def _awaited(feed: Feed, plan: run_directory.Plan) -> frozenset[str]:
    """Return the stages whose workers a stream waits for before it is read.

    A camera goes on whether anybody looks or not. A video that plays as one begins when it is read:
    its first seconds would be lost while the models are loaded.
    """
    url = feed.source.url
    if is_camera(url) or url.startswith(SYNTHETIC_SCHEME):
        return frozenset()
    return frozenset(stage.name for stage in plan.stages)


def _explained(error: Exception, run: Path) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM):
        return (
            f"{run.parent}: {error.strerror}; in a container, `docker run --shm-size=1g` makes it "
            "larger"
        )
    return str(error) or type(error).__name__


def _follow_video(
    feed: Feed, source: Source, hub: HubClient, stop: threading.Event
) -> Iterator[Sends]:
    """Decode while there is room, and otherwise wait for the hub. Raises OSError."""
    from onlooker.media.open import frames

    seconds = 0.0
    found: Iterator[tuple[Frame, Planes | None]] | None = None
    while not stop.is_set():
        if received := hub.receive(0 if source.ready else RECEIVE_SECONDS):
            yield source.receive(received[0])
        elif source.ready:
            if found is None:
                found = frames(feed.stream, feed.source, feed.digest, source.next)
                # The process before this one may have said that something is wrong.
                yield [(messages.Health(feed.stream, source.session, "", 0), b"")]
            began = time.process_time()
            try:
                item = next(found, None)
            except MediaError as error:
                yield source.end(str(error))
                continue
            decoding = time.process_time() - began  # and not the wait of a paced video
            seconds, captured = seconds + decoding, time.monotonic() - decoding
            yield source.offer(*item, seconds, captured) if item else source.end(None)


def _follow_camera(
    feed: Feed,
    source: Source,
    hub: HubClient,
    stop: threading.Event,
    absence: float | None = None,
    awaited: frozenset[str] = frozenset(),
) -> Iterator[Sends]:
    """Offer the frames that a thread reads. Raises OSError, and ReaderDied if the thread ends.

    absence: as CameraReader has it. awaited: stages that need a worker before anything is read. The
    thread may hang for good: then this process ends.
    """
    reader = CameraReader(Camera(feed.stream, feed.source), absence)
    health = Health(feed.stream, source.session)
    asked = -math.inf
    # A video that is played may show one image for any time.
    hang = 2 * feed.source.timeout + HANG_SECONDS if is_camera(feed.source.url) else math.inf
    while not stop.is_set():
        # All that have come: each frame has an answer, so that those of a hub that was restarted
        # would for ever be that many behind, and their slots taken.
        while received := hub.receive(0 if source.started and not awaited else RECEIVE_SECONDS):
            if isinstance(received[0], messages.Status):
                awaited = awaited.difference(worker.stage for worker in received[0].workers)
            yield source.receive(received[0])
        if not source.started:
            continue
        if awaited:
            if time.monotonic() - asked > STAFF_SECONDS:
                asked = time.monotonic()
                hub.send(messages.StatusRequest())
            continue
        if not reader.started:
            reader.start(source.next)
        readings = reader.take(CAMERA_WAIT_SECONDS)
        if not readings:
            if reader.died:
                raise ReaderDied("the thread that reads it has ended")
            if time.monotonic() - reader.camera.alive > hang:
                logger.error("camera hangs, its process ends stream=%s", feed.stream)
                os._exit(1)
        seconds = time.process_time()
        for reading in readings:
            if reading.shot is not None:
                shot = reading.shot
                if not reading.cause:
                    yield health.good(reader.camera.black)
                yield source.offer(shot.frame, shot.planes, seconds, shot.captured, reading.dropped)
            elif reading.cause:
                yield health.bad(reading.cause)
            else:
                yield source.end(None)
    reader.close(STOP_READER_SECONDS)


class Health:
    """Reports on a camera: to the hub whenever its health changes, to the user's log once."""

    def __init__(self, stream: str, session: int) -> None:
        self._stream = stream
        self._session = session
        self._text = "connecting"
        self._logged = ""
        self._reconnects = -1
        self._since = math.inf
        """Time since which all is well."""

    def bad(self, cause: str) -> Sends:
        """Return the report after a connection has ended by `cause`."""
        if cause != self._logged:
            logger.error("camera fails stream=%s cause=%s", self._stream, cause)
            self._logged = cause
        self._since = math.inf
        return self._say(cause)

    def good(self, black: bool) -> Sends:
        """Return the report after a frame; `black` if there is nothing in it."""
        if self._text and self._text != BLACK:
            self._reconnects += 1
            self._since = time.monotonic()
        if self._logged and time.monotonic() - self._since > STEADY_SECONDS:
            # Not sooner: the log of a camera that comes and goes would fill.
            logger.warning("camera is back stream=%s", self._stream)
            self._logged = ""
        return self._say(BLACK if black else "")

    def _say(self, text: str) -> Sends:
        if text == self._text:
            return []
        self._text = text
        reconnects = max(0, self._reconnects)
        return [(messages.Health(self._stream, self._session, text, reconnects), b"")]


def _remove_rings(run: Path, base: str, keep: str | None = None) -> None:
    for ring in run.glob(f"{base}.*.ring"):
        if keep is None or not ring.name.startswith(f"{keep}."):
            ring.unlink(missing_ok=True)


if __name__ == "__main__":
    leave(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
