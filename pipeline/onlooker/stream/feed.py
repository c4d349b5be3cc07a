"""A source: a process that decodes one film into a ring and offers the frames to the hub.

It keeps every frame that it has offered until the hub has settled it: a hub that was started anew
is offered them again. No more frames than the ring has slots are offered at once.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

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


class Source:
    """A stream's frames that are not settled, and what the hub has to know of the stream.

    Everything it returns is to be sent to the hub, in that order.
    """

    def __init__(self, feed: Feed, ring: Ring, session: int) -> None:
        self.feed = feed
        self.ring = ring
        self.session = session
        self.next = feed.start
        """Index of the next frame to be decoded."""
        self.started = False
        """Whether the hub has said where to go on."""
        self._counts = feed.counts
        self._held: dict[int, tuple[wire.Offer, bytes]] = {}
        self._free = list(range(ring.slots))
        self._end: wire.End | None = None

    def introduction(self) -> wire.Open:
        oldest = next(iter(self._held), self.next)
        feed = self.feed
        return wire.Open(feed.stream, self.session, "every", oldest, feed.frames, self._counts)

    @property
    def full(self) -> bool:
        """Whether a frame more has to wait."""
        return len(self._held) >= self.ring.slots

    def offer(self, frame: "Frame", planes: "Planes | None", seconds: float) -> wire.Offer:
        """Put a frame into the ring. Only while not `full`. Its bytes are in `held`."""
        slot, failed = None, frame.error
        if planes is not None:
            try:
                number = self._free[-1]
                generation = self.ring.write(number, planes.y, planes.u, planes.v)
                slot = Slot(str(self.ring.path), self._free.pop(), generation)
            except ValueError as error:  # the film's picture has grown on the way
                failed = f"source: {error}"
        offer = wire.Offer(self.feed.stream, self.session, frame.index, slot, failed, seconds)
        self._held[frame.index] = offer, wire.pack_frame(frame)
        self.next = frame.index + 1
        return offer
