"""The way up of a face, by the fast detector, which takes a third of a mesh's time for a crop.

Upside down or on its side, a face gets a lower score than upright, if it is found at all.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Picture, Pixels
from onlooker.vision.crops import Square, crop
from onlooker.vision.face_detectors import Rows, Yunet

SIDE = 128
"""Pixels of a crop's sides. Beyond the image's edge the last pixels are repeated: in a reflection,
half a face at the edge looks like a whole one at a wrong turn."""
CONTEXT = 2.2
"""Side of a crop in long sides of the face's box."""
OTHER_TURNS = (math.pi, math.pi / 2, -math.pi / 2)
"""Turns of a crop, in radians, that are compared with the crop as it is."""
ROTATIONS = (cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_90_CLOCKWISE)
"""OpenCV's codes for them: a crop that is turned by a quarter has the same pixels."""
MIN_PROBABILITY = 0.05
"""Anything below counts as 0."""
MAX_APART = 20
"""Pixels from the middle of the crop to that of the face."""
LENGTHS = (30, 110)
"""Minimum and maximum length in pixels of the face that is asked about; it should be 58."""
NOTHING = np.zeros(15, np.float32)


@dataclass(frozen=True, slots=True)
class Ways:
    """The answers of the detector about one face."""

    upright: float
    """Probability that there is an upright face in the middle of the crop."""
    points: NDArray[np.float64]
    """(5, 2) in the picture's pixels: eyes, nose and corners of the mouth of the upright face."""
    length: float
    """Its longer side in the picture's pixels."""
    turned: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """As `upright`, with the crop turned by OTHER_TURNS; zeros if it was not turned."""


Enough: TypeAlias = Callable[[int, Ways], bool]
"""(number of a face, its ways up with `turned` of zeros) → whether its crop need not be turned."""


class WayUp:
    """YuNet, for crops of faces that were found before."""

    def __init__(self, detector: Yunet) -> None:
        self._detect = detector
        detector.prepare([np.zeros((SIDE, SIDE, 3), np.uint8)])

    def __call__(
        self, pictures: Sequence[Picture], faces: Sequence[Square], enough: Enough
    ) -> list[Ways]:
        """Return the ways up of faces; crops are turned for those whose first one is not enough.

        faces: squares that are as wide as the faces are long, each in the picture of its place.
        """
        matrices = [replace(face, side=CONTEXT * face.side).matrix(SIDE) for face in faces]
        crops = [
            crop(picture, matrix, SIDE, SIDE, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
            for picture, matrix in zip(pictures, matrices, strict=True)
        ]
        ways = list(map(_ways, self._in_the_middle(crops), matrices))
        open_ = [n for n, each in enumerate(ways) if not enough(n, each)]
        found = self._in_the_middle(
            [np.asarray(cv2.rotate(crops[n], code), np.uint8) for n in open_ for code in ROTATIONS]
        )
        for place, n in enumerate(open_):
            half, left, right = (float(row[4]) for row in found[3 * place : 3 * place + 3])
            ways[n] = replace(ways[n], turned=(half, left, right))
        return ways

    def _in_the_middle(self, crops: list[Pixels]) -> list[Rows]:
        """Return the best row of each crop."""
        return list(map(_in_the_middle, self._detect(crops, MIN_PROBABILITY)))


def _ways(row: Rows, matrix: NDArray[np.float64]) -> Ways:
    """Return the ways up of a face by its row; `matrix` maps its picture to the row's crop."""
    back = cv2.invertAffineTransform(matrix)
    return Ways(
        upright=float(row[4]),
        points=np.asarray(row[5:].reshape(5, 2) @ back[:, :2].T + back[:, 2], np.float64),
        length=float(max(row[2:4] - row[:2]) * math.hypot(*back[0, :2])),
    )


def _in_the_middle(rows: Rows) -> Rows:
    """Return the best row, (15,), of a face of about the right size in the middle, or NOTHING."""
    off = np.hypot(*((rows[:, :2] + rows[:, 2:4]) / 2 - SIDE / 2).T)
    long = (rows[:, 2:4] - rows[:, :2]).max(1, initial=0)
    there = rows[(off < MAX_APART) & (LENGTHS[0] < long) & (long < LENGTHS[1])]
    return there[there[:, 4].argmax()] if len(there) else NOTHING
