"""The slots of a stream's ring: which one is written next, and when one may be used again.

A slot belongs to a frame from the moment its image is written until the hub has settled the frame.
A worker that is late finds another generation in the slot (`onlooker.stream.ring`) and knows that
the pixels are gone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onlooker.stream.feeds import Feed
from onlooker.stream.messages import Slot
from onlooker.stream.ring import Ring

if TYPE_CHECKING:
    from onlooker.media.picture import Planes


class RingSlots:
    """A ring of `count` slots, made for the first image and replaced if an image is larger.

    place: the beginning of the rings' paths, which no other process uses.
    """

    def __init__(self, place: str, count: int) -> None:
        self._place = place
        self._count = count
        self._ring: Ring | None = None
        self._free: list[int] = []
        """Slots that no frame has. The last released is used first: it may be in a cache."""

    def write(self, planes: "Planes") -> Slot | None:
        """Write an image into a free slot and return its place; None if there is no free slot.

        Raises OSError if there is no room for a ring.
        """
        if self._ring is None or not self._ring.fits(planes.width, planes.height):
            # Frames in the smaller ring stay there; its memory is freed with the run's directory.
            path = f"{self._place}.{planes.width}x{planes.height}.ring"
            room = Ring.slot_bytes_for(planes.width, planes.height)
            self._ring = Ring.create(path, self._count, room)
            self._free = list(range(self._count))
        if not self._free:
            return None
        number = self._free.pop()
        generation = self._ring.write(number, planes.y, planes.u, planes.v)
        return Slot(str(self._ring.path), number, generation)

    def release(self, slot: Slot) -> None:
        """Allow a slot to be used again; one of an earlier, smaller ring never is."""
        if self._ring is not None and slot.ring == str(self._ring.path):
            self._free.append(slot.slot)


def ring_bytes(feeds: Sequence[Feed], window: int, at_once: int) -> int:
    """Return the memory for the frames of the `at_once` largest videos."""
    sizes = sorted(Ring.slot_bytes_for(feed.width, feed.height) for feed in feeds)
    return window * sum(sizes[-at_once:])
