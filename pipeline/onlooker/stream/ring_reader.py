"""Reads the pixels of frames from the rings of all sources of a run."""

from collections.abc import Callable
from pathlib import Path

from onlooker.media.picture import Planes
from onlooker.stream.messages import Slot
from onlooker.stream.ring import Ring


class RingReader:
    """The rings that frames have come from so far, each mapped once."""

    def __init__(self) -> None:
        self._rings: dict[str, Ring] = {}

    def planes(self, place: Slot) -> tuple[Planes, Callable[[], bool]]:
        """Return a frame's image, and a function that tells whether its pixels are still there.

        Call that after the pixels have been read. Raises FrameGone if they are not the frame's any
        more, FileNotFoundError if the whole ring has gone, with the source that wrote it.
        """
        path, slot, generation = place.ring, place.slot, place.generation
        ring = self._rings.get(path)
        if ring is None:
            # Rings of videos that have ended, and of sources that died, are not needed any more.
            self._rings = {p: ring for p, ring in self._rings.items() if Path(p).exists()}
            ring = self._rings[path] = Ring.attach(path)
        return Planes(*ring.planes(slot, generation)), lambda: ring.still(slot, generation)
