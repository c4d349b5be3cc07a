"""Upright crops of a fixed size, cut from no more of an image than they show."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Picture, Pixels
from onlooker.models.card import Card

MIN_HALVED_PIXELS = 1.75
"""An image is halved as long as a crop's pixel covers at least this many of its pixels, across."""
MAX_LEAN_PIXELS = 0.25
"""A crop whose sides lean by less, in its own pixels, counts as straight."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square round a face, turned as the face leans."""

    x: float
    y: float
    side: float
    angle: float
    """Radians by which the face leans clockwise."""

    def matrix(self, size: int) -> NDArray[np.float64]:
        """Return (2, 3): the map from the image's pixels to those of a crop `size` wide."""
        scale = size / self.side
        along, across = scale * math.cos(self.angle), scale * math.sin(self.angle)
        return np.array(
            [
                [along, across, size / 2 - along * self.x - across * self.y],
                [-across, along, size / 2 + across * self.x - along * self.y],
            ]
        )


def crop(
    picture: Picture,
    matrix: NDArray[np.float64],
    width: int,
    height: int,
    interpolation: int,
    border: int,
    roughly: bool = False,
) -> Pixels:
    """Return the (height, width, 3) BGR crop to which `matrix` (2, 3) maps the image's pixels.

    `matrix` is in edge coordinates: pixel i covers i to i + 1 on both sides. `interpolation` and
    `border`, which fills the crop beyond the image's edge, are OpenCV's. With `roughly` a crop may
    be off by about one of its own pixels if that makes it faster. Raises ValueError if nothing of
    the image is in the crop, or near it.
    """
    # Interpolation sees a few pixels round a point. If a crop pixel covers more of them, the crop
    # is made larger by a whole number and averaged down to prevent aliases. If it covers many, the
    # image is halved to about twice the crop's size first, which costs far less.
    (a, b, x), (c, d, y) = matrix.tolist()
    area = a * d - b * c
    covered = 1 / math.sqrt(abs(area))
    halvings = max(0, math.floor(math.log2(covered / MIN_HALVED_PIXELS)))
    block = 2**halvings
    over = max(1, round(covered / block))

    # Plain numbers: NumPy takes longer for four corners than the crop itself may.
    corners = [(u - x, v - y) for u in (0, width) for v in (0, height)]
    across = [(d * u - b * v) / area for u, v in corners]
    down = [(a * v - c * u) / area for u, v in corners]
    # Two blocks more than the crop shows, for the interpolation at its edge. Pairs of blocks from
    # an even pixel on, as planes have them, are averaged fastest.
    left, top = (max(0, 2 * math.floor(min(each) / 2) - 2 * block) for each in (across, down))
    right, bottom = (
        start + 2 * block * math.ceil((max(each) - start) / (2 * block) + 1)
        for start, each in ((left, across), (top, down))
    )
    part, (left, top) = picture.region(left, top, right, bottom, halvings)
    x, y = x + a * left + b * top, y + c * left + d * top
    a, b, c, d = a * block, b * block, c * block, d * block
    lean = max(abs(b) * part.shape[0], abs(c) * part.shape[1])
    if roughly and lean < MAX_LEAN_PIXELS and a > 0 < d:
        # Resizing takes a quarter of the time of a warp, but begins and ends at whole pixels.
        size = round(a * part.shape[1]), round(d * part.shape[0])
        left, top = round(-x), round(-y)
        if 0 <= left <= size[0] - width and 0 <= top <= size[1] - height:
            way = interpolation if over == 1 else cv2.INTER_AREA
            resized = cv2.resize(part, size, interpolation=way)
            return np.asarray(resized[top : top + height, left : left + width], np.uint8)
    # OpenCV's pixel i is at i, and not at i + 1/2.
    x, y = x + (a + b) / 2, y + (c + d) / 2
    shifted = np.array([[a, b, x], [c, d, y]]) * over
    shifted[:, 2] -= 0.5
    large = cv2.warpAffine(
        part,
        shifted,
        (width * over, height * over),
        flags=interpolation if over == 1 else cv2.INTER_LINEAR,  # means hide the difference
        borderMode=border,
    )
    if over > 1:
        large = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(large, np.uint8)


def batch(
    pictures: Iterable[Picture],
    matrices: Iterable[NDArray[np.float64]],
    card: Card,
    border: int = cv2.BORDER_CONSTANT,
) -> Pixels:
    """Return one crop of the card's size for each picture and matrix: (n, height, width, 3)."""
    height, width = card.shape
    return np.stack(
        [
            crop(picture, matrix, width, height, cv2.INTER_LINEAR, border)
            for picture, matrix in zip(pictures, matrices, strict=True)
        ]
    )


def padded(image: Pixels, card: Card, width: int | None = None) -> Pixels:
    """Return the image with sides that are multiples of the card's, or `width` pixels wide.

    The padding, on the right and below, is the card's mean, rounded.
    """
    rows, columns = image.shape[:2]
    below = -rows % card.multiple
    right = -columns % card.multiple if width is None else width - columns
    if below or right:
        mean = [round(each) for each in card.mean]
        colour = mean[::-1] if card.colour == "RGB" else mean
        edges = (0, below, 0, right)
        wider = cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=colour)
        image = np.asarray(wider, np.uint8)
    return image
