"""A source: a process that decodes one film into a ring and offers the frames to the hub.

It keeps what it has offered until the hub has settled it, and offers it again to a hub that was
started since. Never more frames are on their way than the window allows.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from onlooker.media.image import MediaError
from onlooker.media.source import Film
from onlooker.stream import plan as plans
from onlooker.stream import wire
from onlooker.stream.ring import Ring
from onlooker.stream.spoke import Spoke, stop_order
from onlooker.stream.stages import Feed
from onlooker.stream.wire import Slot

if TYPE_CHECKING:
    from onlooker.media.image import Planes
    from onlooker.types import Frame

Sends: TypeAlias = list[tuple[wire.ToHub, bytes]]


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
        self._end: Sends = []
        self._counts = feed.counts
        self._offered: dict[int, tuple[wire.Offer, bytes]] = {}
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

    def introduction(self) -> wire.Open:
        feed, oldest = self.feed, next(iter(self._offered), self.next)
        return wire.Open(feed.stream, self.session, "every", oldest, feed.frames, self._counts)

    def offer(self, frame: "Frame", planes: "Planes | None", seconds: float) -> Sends:
        """Take a decoded frame, while `ready`; `seconds` went into decoding so far.

        Raises OSError where there is no room for the ring.
        """
        slot = None if planes is None else self._write(planes)
        stream, session = self.feed.stream, self.session
        offer = wire.Offer(stream, session, frame.index, slot, frame.error, None, seconds)
        self._offered[frame.index] = sent = offer, wire.pack_frame(frame)
        self.next = frame.index + 1
        return [sent]

    def end(self, error: str | None) -> Sends:
        """No frame will follow, be it because of an error."""
        self.ended = True
        self._end = [(wire.End(self.feed.stream, self.session, self.next, error), b"")]
        return self._end

    def hear(self, message: wire.FromHub) -> Sends:
        """Take what the hub says."""
        match message:
            case wire.Free() if message.session == self.session:
                self._counts = message.counts
                self._settle(message.index)
            case wire.Start() if message.session == self.session:
                self._counts = message.counts
                if not self.started:
                    self.started, self.next = True, message.next
                for index in list(self._offered):
                    if index < message.next and index not in message.in_flight:
                        self._settle(index)
                again = [sent for i, sent in self._offered.items() if i >= message.next]
                return again + self._end
        return []

    def _write(self, planes: "Planes") -> Slot:
        if self._ring is None or not self._ring.fits(planes.width, planes.height):
            # The first picture, or one that is larger than all before. What lies in the smaller
            # ring stays there; its memory goes with the run's directory.
            path = f"{self.place}.{planes.width}x{planes.height}.ring"
            room = Ring.slot_bytes_for(planes.width, planes.height)
            self._ring = Ring.create(path, self.window, room)
            self._free = list(range(self.window))
        number = self._free.pop()
        generation = self._ring.write(number, planes.y, planes.u, planes.v)
        return Slot(str(self._ring.path), number, generation)

    def _settle(self, index: int) -> None:
        offer, _ = self._offered.pop(index, (None, b""))
        slot = offer.slot if offer is not None else None
        if slot is not None and self._ring is not None and slot.ring == str(self._ring.path):
            self._free.append(slot.slot)


def main(run: Path, number: int, name: str) -> int:
    """Feed film `number` of the run in directory `run`, as `name`, until told to stop.

    `name` ends in a number higher than any process for this film had before. Returns the exit
    status: 1 where the hub was told what is broken.
    """
    stop = stop_order(name)
    plan = plans.read(run)
    feed = plan.feeds[number]
    base, _, life = name.rpartition(".")
    source = Source(feed, f"{run}/{name}", plan.config.stream.window, session=int(life))
    frames: Iterator[tuple[Frame, Planes | None]] | None = None
    seconds = 0.0
    with Spoke(plan, name, source.introduction) as hub:
        hub.introduce()
        while not stop.is_set():
            sends: Sends = []
            if heard := hub.receive(wait=not source.ready):
                new = not source.started
                sends = source.hear(heard[0])
                if new and source.started:
                    # Of the processes before this one. Sooner, the hub might still have lent a
                    # frame of theirs, and would take it for a frame that cannot be read.
                    _remove_rings(run, base)
            elif source.ready:
                frames = frames or _decoded(feed, source.next)
                began = time.process_time()
                try:
                    item = next(frames, None)
                    seconds += time.process_time() - began
                    sends = source.offer(*item, seconds) if item else source.end(None)
                except MediaError as error:
                    sends = source.end(str(error))
                except OSError as error:
                    hub.farewell(wire.Broken(f"no room for the frames of {feed.path}: {error}"))
                    return 1
            for message, data in sends:
                hub.send(message, data)
    if source.settled:
        _remove_rings(run, base)
    return 0


def _decoded(feed: Feed, start: int) -> "Iterator[tuple[Frame, Planes | None]]":
    with Film(feed.path, feed.digest) as film:
        yield from film.frames(feed.stream, start)


def _remove_rings(run: Path, base: str) -> None:
    for ring in run.glob(f"{base}.*.ring"):
        ring.unlink()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
