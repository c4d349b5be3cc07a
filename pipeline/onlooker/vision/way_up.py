"""The way up of a face, by the fast detector, which costs a tenth of a mesh.

Upside down or on its side, a face gets a lower score than upright, if it is found at all.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Picture
from onlooker.vision.crops import crop
from onlooker.vision.face_detectors import Rows, Yunet

SIDE = 128
"""Pixels of a crop's sides."""
CONTEXT = 2.2
"""Side of a crop in long sides of the face's box."""
MIN_PROBABILITY = 1e-3
MAX_APART = 20
"""Pixels from the middle of the crop to that of the face."""
LENGTHS = (30, 110)
"""Minimum and maximum length in pixels of the face that is asked about; it should be 58."""


class WayUp:
    """YuNet, for crops of faces that were found before."""

    def __init__(self, detector: Yunet) -> None:
        self._detect = detector
        detector.prepare([np.zeros((SIDE, SIDE, 3), np.uint8)])

    def __call__(
        self, pictures: Sequence[Picture], matrices: Sequence[NDArray[np.float64]]
    ) -> list[float]:
        """Return the probability that there is an upright face in the middle of each crop.

        matrices: (2, 3) each, from the picture's pixels to those of a crop of SIDE pixels.
        """
        crops = [
            crop(picture, matrix, SIDE, SIDE, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
            for picture, matrix in zip(pictures, matrices, strict=True)
        ]
        return [_in_the_middle(rows) for rows in self._detect(crops, MIN_PROBABILITY)]


def _in_the_middle(rows: Rows) -> float:
    """Return the highest score of a face of about the right size in the middle; 0 if none is."""
    off = np.hypot(*((rows[:, :2] + rows[:, 2:4]) / 2 - SIDE / 2).T)
    long = (rows[:, 2:4] - rows[:, :2]).max(1, initial=0)
    there = (off < MAX_APART) & (LENGTHS[0] < long) & (long < LENGTHS[1])
    return float(rows[there, 4].max(initial=0))
