"""Faces that the detector misses because they are on their side or upside down."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Pixels
from onlooker.vision.face_detectors import Rows, distinct

Detect = Callable[[list[Pixels], float], list[Rows]]
"""Returns the faces of each image whose probability is at least the threshold."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation of an image by quarters."""

    code: int
    """OpenCV's code for it."""
    back: tuple[tuple[int, int], tuple[int, int]]
    """From x and y of the rotated image to those of the image as it came, about the middle."""


ROTATIONS = (
    Rotation(cv2.ROTATE_180, ((-1, 0), (0, -1))),
    Rotation(cv2.ROTATE_90_CLOCKWISE, ((0, 1), (-1, 0))),
    Rotation(cv2.ROTATE_90_COUNTERCLOCKWISE, ((0, -1), (1, 0))),
)


def find_turned(detect: Detect, image: Pixels, threshold: float) -> Rows:
    """Return the faces that are upright in one of the rotated images, in pixels of `image`.

    A face between two of them is found in both; the better one stays.
    """
    rotated = [np.asarray(cv2.rotate(image, each.code), np.uint8) for each in ROTATIONS]
    found = [
        _rotated_back(rows, each, given, image)
        for rows, each, given in zip(detect(rotated, threshold), ROTATIONS, rotated, strict=True)
    ]
    rows = np.concatenate(found)
    return distinct(rows[np.argsort(-rows[:, 4], kind="stable")])


def _rotated_back(rows: Rows, rotation: Rotation, rotated: Pixels, image: Pixels) -> Rows:
    """Return rows of the rotated image in pixels of the image as it came."""
    back = np.array(rotation.back, np.float32)
    points = rows[:, [0, 1, 2, 3, *range(5, 15)]].reshape(-1, 7, 2)
    placed = (points - _middle(rotated)) @ back.T + _middle(image)
    corners = placed[:, :2]
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    columns = [boxes, rows[:, 4:5], placed[:, 2:].reshape(-1, 10)]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _middle(image: Pixels) -> NDArray[np.float32]:
    return np.array([image.shape[1] / 2, image.shape[0] / 2], np.float32)
