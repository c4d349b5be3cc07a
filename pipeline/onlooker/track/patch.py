"""The pixels of a line of text, and where in a later image they are again.

A patch is the brightness of a line's box, shrunk until the characters are CHARACTER_HEIGHT pixels
high. It is found again up to a shift, and compared character by character, so that another digit is
another line.
"""

import math
from typing import NamedTuple, cast

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from onlooker.media import area
from onlooker.media.picture import Picture, Pixels
from onlooker.types import Box

CHARACTER_HEIGHT = 16
"""Pixels of a patch's characters at most; smaller ones stay as they are."""
MAX_WIDTH = 320
"""Pixels of a patch's width at most."""
MIN_SIDE = 4
"""Pixels; a smaller patch could be anything."""
SAME_IN_PLACE, SAME_MOVED = 0.12, 0.18
"""Two patches are the same if no part of a character's size differs by more brightness, on average,
than this share of the contrast (standard deviation); a shift by parts of a pixel costs some. Of 300
drawn lines in JPEG with noise all are found again by this, and of 300 in which one digit has become
another 8 are taken for the same."""
NOISE = 2.0
"""Brightness, of 255, by which they always may differ."""
MIN_CORRELATION = 0.5
"""Correlation of brightness from which something looks like a patch."""
MIN_CONTRAST = 6.0
"""Standard deviation of a patch that can be found again: an even area is everywhere."""


Shift = tuple[float, float]
"""Pixels to the right and down, of the full image."""


class Patch(msgspec.Struct, frozen=True):
    """Pixels of the box `box`, `width` x `height`, one byte of brightness each."""

    box: Box
    width: int
    height: int
    character: int
    """Height of the characters in pixels of the patch."""
    pixels: bytes

    def image(self) -> Pixels:
        """Return the pixels as (height, width)."""
        return np.frombuffer(self.pixels, np.uint8).reshape(self.height, self.width)


def cut(picture: Picture, box: Box, height: float) -> Patch | None:
    """Return the patch of a box, whose characters are `height` pixels high.

    None if too little of it is inside the image.
    """
    x1, y1, x2, y2 = _inside(box, picture)
    scale = min(1.0, CHARACTER_HEIGHT / max(height, 1.0), MAX_WIDTH / max(x2 - x1, 1))
    width, rows = round((x2 - x1) * scale), round((y2 - y1) * scale)
    if min(width, rows) < MIN_SIDE:
        return None
    image = _resized(picture.luma(x1, y1, x2, y2), width, rows)
    if float(image.std()) < MIN_CONTRAST:
        return None
    character = max(1, round(height * scale))
    return Patch((x1, y1, x2, y2), width, rows, character, image.tobytes())


def find(
    patch: Patch, picture: Picture, last: Shift, expected: Shift, reach: float
) -> Shift | None:
    """Return how far the patch is from where it was cut; None if it is not there.

    It is looked for at `last`, where it was before, then up to `reach` pixels from `expected`.
    """
    # Most lines stay where they are: there is no need to search.
    wanted, here = patch.image(), _placed(patch, last)
    if _inside(here, picture) == here:
        same_place = _resized(picture.luma(*here), patch.width, patch.height)
        if alike(wanted, same_place, patch.character, SAME_IN_PLACE):
            return last
    region, shift, dx, dy, _ = _search(patch, picture, expected, reach)
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    again = cv2.warpAffine(region, matrix, (patch.width, patch.height), flags=flags)
    return shift if alike(wanted, cast(Pixels, again), patch.character, SAME_MOVED) else None


def locate(patch: Patch, picture: Picture, expected: Shift, reach: float) -> Shift | None:
    """Return how far something that looks like the patch is from where that was cut.

    It may look a little different, as a face does that moves. None if there is nothing like it at
    most `reach` pixels from `expected`.
    """
    _, shift, _, _, score = _search(patch, picture, expected, reach)
    return shift if score >= MIN_CORRELATION else None


class _Searched(NamedTuple):
    region: Pixels
    """The pixels around the expected place, at the patch's scale."""
    shift: Shift
    x: float
    y: float
    """The best place in the region."""
    score: float
    """Correlation there, -1 to 1."""


def _search(patch: Patch, picture: Picture, expected: Shift, reach: float) -> _Searched:
    """Return where the patch fits best; at the image's edge, its last pixels are repeated."""
    x1, y1, x2, y2 = patch.box
    x_scale, y_scale = patch.width / (x2 - x1), patch.height / (y2 - y1)
    # The margin around it, in whole pixels of the patch, and about as many of the image.
    right, down = math.ceil(reach * x_scale), math.ceil(reach * y_scale)
    wide, high = round(right / x_scale), round(down / y_scale)
    here = _placed(patch, expected)
    area = (here[0] - wide, here[1] - high, here[2] + wide, here[3] + high)
    region = _resized(_luma(picture, area), patch.width + 2 * right, patch.height + 2 * down)
    scores = cast(
        NDArray[np.float32], cv2.matchTemplate(region, patch.image(), cv2.TM_CCOEFF_NORMED)
    )
    _, score, _, (x, y) = cv2.minMaxLoc(scores)
    dx, dy = x + _vertex(scores[y, :], x), y + _vertex(scores[:, x], y)
    shift = here[0] - x1 + (dx - right) / x_scale, here[1] - y1 + (dy - down) / y_scale
    return _Searched(region, shift, dx, dy, score)


def _luma(picture: Picture, area: tuple[int, int, int, int]) -> Pixels:
    """Return the brightness of an area, which may extend beyond the image."""
    x1, y1, x2, y2 = area
    left, top, right, bottom = _inside(area, picture)
    if left >= right or top >= bottom:
        return np.zeros((y2 - y1, x2 - x1), np.uint8)
    luma = picture.luma(left, top, right, bottom)
    edges = (top - y1, y2 - bottom, left - x1, x2 - right)
    return (
        luma
        if not any(edges)
        else cast(Pixels, cv2.copyMakeBorder(luma, *edges, cv2.BORDER_REPLICATE))
    )


def alike(one: Pixels, other: Pixels, character: int, share: float) -> bool:
    """Return whether two patches are of the same pixels, apart from noise."""
    bound = max(NOISE, share * float(one.std()))
    smooth = [cv2.blur(each, (3, 3)) for each in (one, other)]
    # A change of light is no other text.
    light = float(smooth[1].mean()) - float(smooth[0].mean())
    change = np.abs(smooth[1].astype(np.float32) - smooth[0] - light)
    part = (min(character, one.shape[1]), min(character, one.shape[0]))
    return float(cv2.blur(change, part).max()) <= bound


def _placed(patch: Patch, shift: Shift) -> tuple[int, int, int, int]:
    """Return the box of a patch that has moved, in whole pixels."""
    x1, y1, x2, y2 = patch.box
    left, top = round(x1 + shift[0]), round(y1 + shift[1])
    return left, top, left + round(x2 - x1), top + round(y2 - y1)


def _vertex(scores: NDArray[np.float32], place: int) -> float:
    """Return how far, from -0.5 to 0.5, the peak of a parabola is from its highest sample."""
    if not 0 < place < len(scores) - 1:
        return 0.0
    before, at, after = (float(each) for each in scores[place - 1 : place + 2])
    bend = before - 2 * at + after
    return 0.0 if bend >= 0 else min(max((before - after) / (2 * bend), -0.5), 0.5)


def _inside(box: Box | tuple[int, int, int, int], picture: Picture) -> tuple[int, int, int, int]:
    """Return the part of a box that is inside the picture, in whole pixels."""
    x1, y1, x2, y2 = box
    return (
        max(0, math.floor(x1)),
        max(0, math.floor(y1)),
        min(picture.width, math.ceil(x2)),
        min(picture.height, math.ceil(y2)),
    )


def _resized(luma: Pixels, width: int, height: int) -> Pixels:
    if luma.shape == (height, width):
        return luma
    return area.resize(luma, width, height)
