"""A source: a process that decodes one stream into a ring and offers the frames to the hub.

It keeps what it has offered until the hub has settled it, and offers it again to a hub that was
started since. Never more frames are on their way than the window allows: a video waits, and what a
camera sends meanwhile is offered without its pixels, to be counted.
"""

import logging
import math
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from onlooker.child_process import stop_event
from onlooker.media.camera import Camera, CameraFrame
from onlooker.media.errors import MediaError
from onlooker.media.motion import LiveGate
from onlooker.media.url import is_camera
from onlooker.stream import messages, run_directory
from onlooker.stream.feeds import Feed
from onlooker.stream.hub_client import HubClient
from onlooker.stream.messages import Slot
from onlooker.stream.ring import Ring
from onlooker.stream.stage import workers

if TYPE_CHECKING:
    from onlooker.media.picture import Planes
    from onlooker.types import Frame

Sends: TypeAlias = list[tuple[messages.ToHub, bytes]]

LOOK = 0.02
"""Seconds that a picture is waited for before the hub is listened to."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 32.0
"""Seconds until a camera that fails is connected to again: the first, doubled up to the longest."""
STEADY = 2.0
"""Seconds that a connection must hold for the next wait to be the first again."""
GRACE = 0.5
"""Seconds that a camera's thread is waited for at the end."""
BLACK = "the picture is black"

logger = logging.getLogger(__name__)


class Source:
    """A stream as its source knows it. What the methods return is to be sent to the hub.

    place: the beginning of the rings' paths, which no other process uses.
    window: frames that may be on their way at once.
    session: higher than that of any source that the stream had before.
    """

    def __init__(self, feed: Feed, place: str, window: int, session: int) -> None:
        self.feed = feed
        self.place = place
        self.window = window
        self.session = session
        self.next = feed.start
        """Index of the next frame to be decoded."""
        self.started = False
        """Whether the hub has said where to begin."""
        self.ended = False
        self.tidy = False
        """Whether what earlier processes left has been removed."""
        self._end: Sends = []
        self._counts = feed.counts
        self.gate = LiveGate(feed.source.motion_threshold if feed.live else None)
        self._offered: dict[int, tuple[messages.Offer, bytes]] = {}
        """By index, ascending: what is not settled."""
        self._ring: Ring | None = None
        self._free: list[int] = []
        """Slots of the ring that may be written."""

    @property
    def ready(self) -> bool:
        """Whether the next frame may come."""
        return self.started and not self.ended and len(self._offered) < self.window

    @property
    def settled(self) -> bool:
        """Whether there was an end, and nothing before it is on its way any more."""
        return self.ended and not self._offered

    def registration(self, hub: int | None) -> messages.Open:
        """What the source says of itself, be it because `hub` asked."""
        feed, held = self.feed, tuple(self._offered)
        policy: messages.Policy = "live" if feed.live else "every"
        return messages.Open(
            feed.stream, self.session, policy, self.next, held, feed.frames, self._counts, hub
        )

    def offer(
        self,
        frame: "Frame",
        planes: "Planes | None",
        seconds: float,
        captured: float,
        dropped: messages.Drop | None = None,
    ) -> Sends:
        """Take a decoded frame; `seconds` went into decoding so far. captured: see messages.Offer.

        A video's only while `ready`. A camera's frames that are `dropped`, or that there is
        no room for, go without their pixels. Raises OSError where there is no room for the ring.
        """
        slot = None
        if planes is not None and dropped is None:
            same = self.gate.same(planes)
            if same is not None:
                frame, planes = replace(frame, same=same), None
        if planes is not None and dropped is None:
            self.gate.offered(frame.index)
            slot = self._write(planes)
            dropped = "shed" if slot is None else None
        offer = messages.Offer(
            self.feed.stream,
            self.session,
            frame.index,
            slot,
            frame.error,
            dropped,
            frame.same is not None,
            seconds,
            captured,
        )
        frame = replace(frame, feed=self.feed.number)
        self._offered[frame.index] = sent = offer, messages.pack_frame(frame)
        self.next = frame.index + 1
        return [sent]

    def end(self, error: str | None) -> Sends:
        """No frame will follow, be it because of an error."""
        self.ended = True
        self._end = [(messages.End(self.feed.stream, self.session, self.next, error), b"")]
        return self._end

    def hear(self, message: messages.FromHub) -> Sends:
        """Take what the hub says."""
        match message:
            case messages.Free() if message.session == self.session:
                self._counts = message.counts
                self.gate.settled(message.index, message.done)
                self._settle(message.index)
            case messages.Start() if message.session == self.session:
                self._counts = message.counts
                if not self.started:
                    self.started, self.next = True, message.next
                for index in list(self._offered):
                    if index < message.next and index not in message.in_flight:
                        # What became of it, only the hub before this one knew.
                        self.gate.settled(index, False)
                        self._settle(index)
                again = [sent for i, sent in self._offered.items() if i >= message.next]
                return again + self._end
        return []

    def _write(self, planes: "Planes") -> Slot | None:
        """The planes' place in the ring; None where that is full, which a video's never is."""
        if self._ring is None or not self._ring.fits(planes.width, planes.height):
            # The first picture, or one that is larger than all before. What lies in the smaller
            # ring stays there; its memory goes with the run's directory.
            path = f"{self.place}.{planes.width}x{planes.height}.ring"
            room = Ring.slot_bytes_for(planes.width, planes.height)
            self._ring = Ring.create(path, self.window, room)
            self._free = list(range(self.window))
        if not self._free:
            return None
        number = self._free.pop()
        generation = self._ring.write(number, planes.y, planes.u, planes.v)
        return Slot(str(self._ring.path), number, generation)

    def _settle(self, index: int) -> None:
        offer, _ = self._offered.pop(index, (None, b""))
        slot = offer.slot if offer is not None else None
        if slot is not None and self._ring is not None and slot.ring == str(self._ring.path):
            self._free.append(slot.slot)


def main(run: Path, number: int, name: str) -> int:
    """Feed the stream of feed `number` of the run in directory `run`, as `name`, until told to
    stop.

    `name` ends in a number higher than any process for this feed had before. Returns the exit
    status: 1 where the hub was told what is broken.
    """
    stop = stop_event(name)
    plan = run_directory.read(run)
    feed = run_directory.read_feed(run, number)
    base, _, life = name.rpartition(".")
    window = plan.config.pipeline.window
    if feed.live:  # newest wins only where there is room for more than workers can hold
        window = max(window, 2 * workers(plan.config) + 4)
    source = Source(feed, f"{run}/{name}", window, feed.session(int(life)))
    with HubClient(plan, name, source.registration) as hub:
        hub.register()
        try:
            follow = _follow_camera if feed.live else _follow_video
            for sends in follow(feed, source, hub, stop):
                if source.started and not source.tidy:
                    # Rings of the processes before this one. Sooner, the hub might still have lent
                    # a frame of theirs, and would take it for a frame that cannot be read.
                    _remove_rings(run, base, keep=name)
                    source.tidy = True
                for message, data in sends:
                    hub.send(message, data)
        except OSError as error:
            hub.send_last(messages.Broken(f"no room for the frames of {feed.stream}: {error}"))
            return 1
    if source.settled or feed.live:
        _remove_rings(run, base)
    return 0


def _follow_video(
    feed: Feed, source: Source, hub: HubClient, stop: threading.Event
) -> Iterator[Sends]:
    """Decode while there is room, and otherwise wait for the hub."""
    from onlooker.media.open import frames

    seconds = 0.0
    found: Iterator[tuple[Frame, Planes | None]] | None = None
    while not stop.is_set():
        if heard := hub.receive(wait=not source.ready):
            yield source.hear(heard[0])
        elif source.ready:
            found = found or frames(feed.stream, feed.source, feed.digest, source.next)
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
    feed: Feed, source: Source, hub: HubClient, stop: threading.Event
) -> Iterator[Sends]:
    """Offer what a thread reads from the camera. It may hang for good: then this process ends."""
    shots: queue.Queue[CameraFrame | str | None] = queue.Queue(maxsize=4)
    camera = Camera(feed.stream, feed.source)
    health = Health(feed.stream, source.session)
    thread = threading.Thread(target=_read, args=(feed, camera, shots, stop), daemon=True)
    # Twice the time that connecting and reading may take, and the longest back-off. A video that is
    # played may show one picture for as long as it likes.
    camera_patience = 2 * feed.source.timeout + LONGEST_WAIT + 10
    patience = camera_patience if is_camera(feed.source.url) else math.inf
    while not stop.is_set():
        if heard := hub.receive(wait=not source.started):
            yield source.hear(heard[0])
        if not source.started:
            continue
        if thread.ident is None:
            camera.index = source.next
            thread.start()
        try:
            shot = shots.get(timeout=LOOK)
        except queue.Empty:
            if time.monotonic() - camera.alive > patience:
                logger.error("camera hangs, its process ends stream=%s", feed.stream)
                os._exit(1)
            continue
        seconds = time.process_time()
        match shot:
            case None:
                yield source.end(None)
            case str():
                yield health.bad(shot)
            case CameraFrame():
                yield health.good(camera.black)
                dropped: messages.Drop | None = "stale" if shot.stale else None
                yield source.offer(shot.frame, shot.planes, seconds, shot.captured, dropped)
    thread.join(GRACE)


def _read(
    feed: Feed,
    camera: Camera,
    shots: "queue.Queue[CameraFrame | str | None]",
    stop: threading.Event,
) -> None:
    """Connect again and again, later and later where that does not help."""
    wait = FIRST_WAIT
    while not stop.is_set():
        connected, cause = time.monotonic(), ""
        try:
            for shot in camera.connect():
                shots.put(shot)
                if stop.is_set():
                    return
        except MediaError as error:
            cause = str(error)
        if not cause:  # it has an end, and that was it
            shots.put(None)
            return
        shots.put(cause)
        if time.monotonic() - connected > STEADY:
            wait = FIRST_WAIT
        stop.wait(wait * random.uniform(0.8, 1.0))
        wait = min(2 * wait, LONGEST_WAIT)


class Health:
    """What is told of a camera: to the hub whenever it changes, to the user's log once."""

    def __init__(self, stream: str, session: int) -> None:
        self._stream = stream
        self._session = session
        self._text = "connecting"
        self._told = ""
        self._reconnects = -1
        self._since = math.inf
        """Since when all is well."""

    def bad(self, cause: str) -> Sends:
        if cause != self._told:
            logger.error("camera fails stream=%s cause=%s", self._stream, cause)
            self._told = cause
        self._since = math.inf
        return self._say(cause)

    def good(self, black: bool) -> Sends:
        if self._text and self._text != BLACK:
            self._reconnects += 1
            self._since = time.monotonic()
        if self._told and time.monotonic() - self._since > STEADY:
            # Not sooner: one that comes and goes is no news each time.
            logger.warning("camera is back stream=%s", self._stream)
            self._told = ""
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
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
