"""Frames in which hardly anything has changed since an earlier one."""

from typing import cast

import cv2
import numpy as np

from onlooker.media.picture import Pixels, Planes

GATE = (96, 54)
"""Width and height in pixels at which frames are compared."""
NOISE = 12
"""Brightness changes up to this (0-255) are treated as noise."""


class Gate:
    """Sees whether a picture differs from the last one that was looked at."""

    def __init__(self, threshold: float | None) -> None:
        self._threshold = threshold
        self.reference: Pixels | None = None
        """What others are held against, small."""
        self.seen: Pixels | None = None
        """The last one asked about, small."""

    def same(self, planes: Planes) -> bool:
        """Whether less than the threshold's share of the picture has changed."""
        if self._threshold is None:
            return False
        small = cv2.resize(planes.y, GATE, interpolation=cv2.INTER_AREA)
        self.seen = cast(Pixels, small)
        if self.reference is None:
            return False
        changed = np.count_nonzero(cv2.absdiff(self.seen, self.reference) > NOISE)
        return bool(changed < self._threshold * self.seen.size)

    def looked_at(self) -> None:
        """The last picture is looked at: others are held against it from now on."""
        self.reference = self.seen


class LiveGate:
    """The same where frames may be dropped: only what was looked at and recorded is held against.

    And only while nothing that differs from it is on its way, whose record would come in between.
    """

    def __init__(self, threshold: float | None) -> None:
        self._gate = Gate(threshold)
        self._pending: dict[int, Pixels] = {}
        self._newest = -1

    def same(self, planes: Planes) -> bool:
        """Whether the last result may be taken again."""
        return self._gate.same(planes) and not self._pending

    def offered(self, index: int) -> None:
        """The picture that was asked about last is looked at as frame `index`."""
        if self._gate.seen is not None:
            self._pending[index] = self._gate.seen

    def settled(self, index: int, done: bool) -> None:
        """What became of frame `index`."""
        picture = self._pending.pop(index, None)
        if picture is not None and done and index > self._newest:
            self._newest, self._gate.reference = index, picture
