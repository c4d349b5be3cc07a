"""Frames shared between processes: a file of fixed slots in memory, each with a generation.

The decoder writes a frame into a slot and sends (slot, generation) to whoever should see it. A
reader asks for that generation and gets views of the very memory, no copy. When it has read what it
needed it asks `still`: if that is true, every pixel it saw was of that frame. A frame that was
overwritten, or whose writer was killed half-way, is gone and says so.

    y, u, v = ring.planes(slot, generation)     # FrameGone if it is too late already
    picture = Planes(y, u, v).small(640)        # copies what it needs
    if not ring.still(slot, generation): ...    # too late: `picture` may be torn

One process writes to a slot at a time; any number read. The file belongs on a file system in memory
(/dev/shm on Linux).
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

class FrameGone(Exception):
    """The slot holds another frame by now, or one that is being written."""

@final
class Ring:
    """Slots of I420 frames in a file that several processes map."""

    @property
    def path(self) -> Path: ...
    @property
    def slots(self) -> int: ...
    @property
    def slot_bytes(self) -> int: ...
    @staticmethod
    def create(path: str | os.PathLike[str], slots: int, slot_bytes: int) -> Ring:
        """Make the file at `path`, with the memory for all slots set aside at once, and map it.

        Raises FileExistsError where something is at `path`; OSError (ENOSPC) where the file system
        has no room, with nothing left behind; ValueError for sizes below 1.
        """

    @staticmethod
    def attach(path: str | os.PathLike[str]) -> Ring:
        """Map a ring that somebody else made.

        Raises FileNotFoundError, or ValueError for a file that is not a whole ring of this version.
        """

    @staticmethod
    def slot_bytes_for(width: int, height: int) -> int:
        """Bytes of an I420 frame of `width` x `height`; odd sides have their chroma rounded up."""

    def fits(self, width: int, height: int) -> bool:
        """Whether a slot can hold a frame of `width` x `height`."""

    def write(
        self, slot: int, y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]
    ) -> int:
        """Copy a frame into `slot` and return its generation, an even number above 0.

        y: (height, width), u and v: (ceil(height / 2), ceil(width / 2)), rows any distance apart.
        The GIL is released meanwhile. Raises ValueError for planes that do not belong together or
        do not fit, IndexError for a slot that is not there.
        """

    def planes(
        self, slot: int, generation: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """The frame's Y, U and V as read-only views of the slot itself, valid while `still`.

        Raises FrameGone where the slot holds another generation or is being written.
        """

    def still(self, slot: int, generation: int) -> bool:
        """Whether the slot still holds that frame: ask after its pixels have been read."""

    def close(self) -> None:
        """Let go of the map; views that are still in use keep it for themselves."""

    def unlink(self) -> None:
        """Remove the file; whoever has mapped it keeps the memory until they let go."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
