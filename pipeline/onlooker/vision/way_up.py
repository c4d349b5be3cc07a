"""The way up of a face, by the fast detector, which takes a third of a mesh's time for a crop.

Upside down or on its side, a face gets a lower score than upright, if it is found at all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Picture
from onlooker.vision.crops import Square, crop
from onlooker.vision.face_detectors import Rows, Yunet

SIDE = 128
"""Pixels of a crop's sides."""
CONTEXT = 2.2
"""Side of a crop in long sides of the face's box."""
OTHER_TURNS = (math.pi, math.pi / 2, -math.pi / 2)
"""Turns of a crop, in radians, that are compared with the crop as it is."""
MIN_PROBABILITY = 1e-3
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
    turned: tuple[float, float, float]
    """The same with the crop turned by OTHER_TURNS."""
    points: NDArray[np.float64]
    """(5, 2) in the picture's pixels: eyes, nose and corners of the mouth of the upright face."""
    length: float
    """Its longer side in the picture's pixels."""


class WayUp:
    """YuNet, for crops of faces that were found before."""

    def __init__(self, detector: Yunet) -> None:
        self._detect = detector
        detector.prepare([np.zeros((SIDE, SIDE, 3), np.uint8)])

    def __call__(self, pictures: Sequence[Picture], faces: Sequence[Square]) -> list[Ways]:
        """Return the ways up of faces.

        faces: squares that are as wide as the faces are long, each in the picture of its place.
        """
        turns = (0.0, *OTHER_TURNS)
        matrices = [
            replace(face, side=CONTEXT * face.side, angle=face.angle + turn).matrix(SIDE)
            for face in faces
            for turn in turns
        ]
        crops = [
            crop(
                pictures[n // len(turns)], matrix, SIDE, SIDE, cv2.INTER_LINEAR, cv2.BORDER_REFLECT
            )
            for n, matrix in enumerate(matrices)
        ]
        found = list(map(_in_the_middle, self._detect(crops, MIN_PROBABILITY)))
        return [
            _ways(found[n : n + len(turns)], matrices[n]) for n in range(0, len(found), len(turns))
        ]


def _ways(rows: Sequence[Rows], matrix: NDArray[np.float64]) -> Ways:
    """Return the ways up of a face by its rows; `matrix` maps its picture to the first's crop."""
    upright, *turned = rows
    half, left, right = (float(row[4]) for row in turned)
    back = cv2.invertAffineTransform(matrix)
    return Ways(
        upright=float(upright[4]),
        turned=(half, left, right),
        points=np.asarray(upright[5:].reshape(5, 2) @ back[:, :2].T + back[:, 2], np.float64),
        length=float(max(upright[2:4] - upright[:2]) * math.hypot(*back[0, :2])),
    )


def _in_the_middle(rows: Rows) -> Rows:
    """Return the best row, (15,), of a face of about the right size in the middle, or NOTHING."""
    off = np.hypot(*((rows[:, :2] + rows[:, 2:4]) / 2 - SIDE / 2).T)
    long = (rows[:, 2:4] - rows[:, :2]).max(1, initial=0)
    there = rows[(off < MAX_APART) & (LENGTHS[0] < long) & (long < LENGTHS[1])]
    return there[there[:, 4].argmax()] if len(there) else NOTHING
