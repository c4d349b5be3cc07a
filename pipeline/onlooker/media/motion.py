"""The motion gate: frames in which hardly anything has changed since a reference frame.

Such a frame is not analysed; it carries the index of its reference frame, whose result its record
repeats.
"""

import cv2
import numpy as np

from onlooker.media import area
from onlooker.media.picture import Pixels, Planes

COMPARED_SIZE = (96, 54)
"""Width and height in pixels at which frames are compared."""
NOISE = 12
"""Brightness changes up to this (0-255) are treated as noise."""


class Gate:
    """The gate of a video, each of whose frames is analysed or repeats a result.

    threshold: share of the pixels, 0 to 1, that must change; None means that every frame is
    analysed.
    """

    def __init__(self, threshold: float | None) -> None:
        self._threshold = threshold
        self._reference: tuple[int, Pixels] | None = None
        self.newest: Pixels | None = None
        """The last image that was compared, at COMPARED_SIZE."""

    def same(self, planes: Planes) -> int | None:
        """Return the reference frame's index if less than the threshold has changed since."""
        if self._threshold is None:
            return None
        image = area.resize(planes.y, *COMPARED_SIZE)
        self.newest = image
        if self._reference is None:
            return None
        index, reference = self._reference
        changed = np.count_nonzero(cv2.absdiff(image, reference) > NOISE)
        return index if changed < self._threshold * image.size else None

    def refer(self, index: int, image: Pixels | None = None) -> None:
        """Make frame `index` the reference; `image` is its own, if it is not the newest."""
        if image is None:
            image = self.newest
        if image is not None:
            self._reference = index, image


class LiveGate:
    """The gate of a camera, whose frames may be dropped on their way.

    Only a frame that was analysed and recorded becomes the reference. A frame may repeat it while
    later ones are still being analysed: with a fast camera there is always one.
    """

    def __init__(self, threshold: float | None) -> None:
        self._gate = Gate(threshold)
        self._pending: dict[int, Pixels] = {}
        """By index: the images of frames that are being analysed."""
        self._reference = -1

    def same(self, planes: Planes) -> int | None:
        """Return the index of the frame whose result may be repeated, or None."""
        return self._gate.same(planes)

    def offered(self, index: int) -> None:
        """Note that the image compared last is analysed as frame `index`."""
        if self._gate.newest is not None:
            self._pending[index] = self._gate.newest

    def settled(self, index: int, done: bool) -> None:
        """Note that frame `index` is no longer on its way; `done` if it was analysed."""
        image = self._pending.pop(index, None)
        if image is not None and done and index > self._reference:
            self._reference = index
            self._gate.refer(index, image)
