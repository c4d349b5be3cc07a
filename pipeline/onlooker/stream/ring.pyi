"""Frames shared between processes: a file of fixed slots in memory, each with a generation.

The decoder writes a frame into a slot and sends (slot, generation) to the readers. A reader asks
for that generation and gets views of the memory itself, without a copy. After reading it calls
`still`: if that returns True, every pixel that it read was of that frame. For a frame that was
overwritten, or whose writer was killed half-way, FrameGone is raised or `still` returns False.

    y, u, v = ring.planes(slot, generation)     # FrameGone if it is too late already
    image = Planes(y, u, v).small(640)          # copies the pixels that it needs
    if not ring.still(slot, generation): ...    # too late: `image` may be torn

One process writes to a slot at a time; any number read. The file should be on a file system in
memory (/dev/shm on Linux).
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

class FrameGone(Exception):
    """The slot holds another frame, or one that is being written."""

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
        """Create the file at `path`, allocate the memory of all slots at once, and map it.

        Raises FileExistsError if `path` exists; OSError (ENOSPC) if the file system has no room,
        and leaves nothing behind then; ValueError if a size is below 1.
        """

    @staticmethod
    def attach(path: str | os.PathLike[str]) -> Ring:
        """Map a ring that another process created.

        Raises FileNotFoundError; ValueError if the file is not a whole ring of this version.
        """

    @staticmethod
    def slot_bytes_for(width: int, height: int) -> int:
        """Return the bytes of an I420 frame; the chroma of odd sides is rounded up."""

    def fits(self, width: int, height: int) -> bool:
        """Return whether a slot can hold a frame of `width` x `height`."""

    def write(
        self, slot: int, y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]
    ) -> int:
        """Copy a frame into `slot` and return its generation, an even number above 0.

        y: (height, width), u and v: (ceil(height / 2), ceil(width / 2)), rows any distance apart.
        Releases the GIL. Raises ValueError if the planes do not belong together or do not fit;
        IndexError if there is no such slot.
        """

    def planes(
        self, slot: int, generation: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the frame's Y, U and V as read-only views of the slot, valid while `still`.

        Raises FrameGone if the slot holds another generation or is being written.
        """

    def still(self, slot: int, generation: int) -> bool:
        """Return whether the slot still holds that frame: call it after reading the pixels."""

    def close(self) -> None:
        """Close the mapping; views that are still in use keep it."""

    def unlink(self) -> None:
        """Remove the file; processes that have mapped it keep the memory until they close it."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
