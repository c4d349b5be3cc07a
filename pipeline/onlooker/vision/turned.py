"""Faces that the detector misses because they are on their side, aslant or upside down."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Picture, Pixels
from onlooker.vision.crops import Square, crop
from onlooker.vision.face_detectors import Rows, distinct

Detect = Callable[[list[Pixels], float], list[Rows]]
"""Returns the faces of each image whose probability is at least the threshold."""

QUARTERS = (4, 2, 6)
"""Rotations of a whole image, in eighths of a turn clockwise. What leans by up to 60 degrees is
found without."""
BETWEEN = (3, 5)
"""Those for faces that are half upside down, which are hard to see in quarters."""
TURNS = (*QUARTERS, *BETWEEN)
"""Those of a part of an image."""
PART_SIDE = 96
"""Pixels of the sides of a rotated part."""
PART_CONTEXT = 1.8
"""Its side in long sides of the box that it shows: a face is 53 pixels long in it."""


class View(NamedTuple):
    """An image, or a part of one, rotated."""

    pixels: Pixels
    matrix: NDArray[np.float64]
    """(2, 3): the map from the image's pixels to these, in edge coordinates."""
    eighths: int
    """Eighths of a turn by which it is rotated clockwise."""


def find_turned(
    detect: Detect, views: Iterable[View], threshold: float
) -> tuple[Rows, NDArray[np.int_]]:
    """Return the faces that are upright in one of the views, and by how many eighths it is rotated.

    Rows are in pixels of the image, best first. A face may be found in several views; the best one
    stays.
    """
    pixels, matrices, eighths = zip(*views, strict=True)
    found = detect(list(pixels), threshold)
    rows = np.concatenate(list(map(rotate_back, found, matrices)))
    turns = np.repeat(eighths, list(map(len, found)))
    best = np.argsort(-rows[:, 4], kind="stable")
    kept = best[distinct(rows[best])]
    return rows[kept], turns[kept]


def rotate(image: Pixels, eighths: int) -> View:
    """Return the whole image rotated, in a larger black one."""
    height, width = image.shape[:2]
    angle = eighths * math.pi / 4
    # Quarters are exact, so that pixels stay as they are.
    along, across = (round(each, 12) for each in (math.cos(angle), math.sin(angle)))
    size = (
        math.ceil(abs(along) * width + abs(across) * height),
        math.ceil(abs(across) * width + abs(along) * height),
    )
    matrix = np.array([[along, -across, 0], [across, along, 0]])
    matrix[:, 2] = np.array(size) / 2 - matrix[:, :2] @ (width / 2, height / 2)
    # OpenCV's pixel i is at i, and not at i + 1/2.
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
    return View(np.asarray(cv2.warpAffine(image, shifted, size), np.uint8), matrix, eighths)


def rotate_part(picture: Picture, box: Sequence[float], eighths: int) -> View:
    """Return the surroundings of a box, rotated about its middle."""
    x1, y1, x2, y2 = box
    side = PART_CONTEXT * max(x2 - x1, y2 - y1)
    square = Square((x1 + x2) / 2, (y1 + y2) / 2, side, -eighths * math.pi / 4)
    matrix = square.matrix(PART_SIDE)
    shown = crop(picture, matrix, PART_SIDE, PART_SIDE, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    return View(shown, matrix, eighths)


def rotate_back(rows: Rows, matrix: NDArray[np.float64]) -> Rows:
    """Return rows of a view in pixels of the image.

    A face counts as an ellipse, which fills its box before and after.
    """
    back = cv2.invertAffineTransform(matrix)
    middles = (rows[:, :2] + rows[:, 2:4]) / 2
    points = np.concatenate([middles, rows[:, 5:]], axis=1).reshape(-1, 6, 2)
    placed = points @ back[:, :2].T + back[:, 2]
    halves = np.sqrt(((rows[:, 2:4] - rows[:, :2]) / 2) ** 2 @ back[:, :2].T ** 2)
    columns = [
        placed[:, 0] - halves,
        placed[:, 0] + halves,
        rows[:, 4:5],
        placed[:, 1:].reshape(-1, 10),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)
