"""Upright crops of a fixed size, cut from just the part of a picture that they show."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.card import Card
from onlooker.media.image import Picture, Pixels
from onlooker.vision import pixels


def crop(
    picture: Picture,
    matrix: NDArray[np.float64],
    width: int,
    height: int,
    interpolation: int,
    border: int,
) -> Pixels:
    """The (height, width, 3) BGR crop to which `matrix` (2, 3) takes the picture's pixels.

    `matrix` is in edge coordinates: pixel i covers i to i + 1 on both sides. `interpolation` and
    `border`, what to put where the picture ends, are OpenCV's. Raises ValueError where nothing of
    the picture is in the crop, or near it.
    """
    # Interpolation sees a few pixels round a point. Where a crop pixel covers more of them, the
    # crop is made larger by a whole number and averaged down, or it would be full of aliases; and
    # where it covers many, they are averaged to half of that before, which costs far less.
    (a, b), (c, d) = matrix[:, :2].tolist()
    covered = 1 / math.sqrt(abs(a * d - b * c))
    block = max(1, round(covered) // 2)
    over = max(1, round(covered / block))

    back = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ back.T
    # Two blocks more than the crop shows, for the interpolation at its edge. Whole blocks from an
    # even pixel on, as planes have them, are averaged fastest.
    left, top = (2 * math.floor(v / 2) - 2 * block for v in corners.min(0))
    right, bottom = (
        start + block * math.ceil((v - start) / block + 2)
        for start, v in zip((left, top), corners.max(0), strict=True)
    )
    part, (x, y) = picture.region(left, top, right, bottom)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ (x, y)
    if block > 1:
        rows, columns = (max(1, round(side / block)) for side in part.shape[:2])
        shifted[:, :2] *= part.shape[1] / columns, part.shape[0] / rows
        part = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    shifted[:, 2] += shifted[:, :2] @ (0.5, 0.5)
    shifted *= over
    shifted[:, 2] -= 0.5
    large = cv2.warpAffine(
        part,
        shifted,
        (width * over, height * over),
        flags=interpolation,
        borderMode=border,
    )
    if over > 1:
        large = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(large, np.uint8)


def fill(
    out: NDArray[np.float32],
    picture: Picture,
    matrix: NDArray[np.float64],
    card: Card,
    border: int = cv2.BORDER_CONSTANT,
) -> None:
    """Put the crop that `matrix` shows into `out`, one picture of a batch, as the card's model
    takes it: (3, side, side) or (side, side, 3)."""
    planes = card.layout == "NCHW"
    side = out.shape[1]
    seen = crop(picture, matrix, side, side, interpolation=cv2.INTER_LINEAR, border=border)
    normalise = pixels.to_planes if planes else pixels.to_pixels
    normalise(seen, out, card.mean, card.scale, swap=card.colour == "RGB")


def batch(card: Card, count: int) -> NDArray[np.float32]:
    """An empty batch of `count` pictures for the card's model, whose size is fixed."""
    shape = (3, *card.shape) if card.layout == "NCHW" else (*card.shape, 3)
    return np.empty((count, *shape), np.float32)
