"""From the probability map of a text detector to rectangles; the body is ext/vision/regions.pyx."""

import numpy as np
from numpy.typing import NDArray

def rectangles(
    probable: NDArray[np.float32],
    least: float,
    certain: float,
    growth: float,
    smallest: float,
    most: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Grown rectangles (n, 4, 2) of the likely regions of a map, and their scores (n,), best first.

    `probable` (h, w) is cut at `least`: what is above it and no more than one pixel apart is one
    region. Around each goes the smallest rectangle, whose score is the map's mean inside. One is
    dropped where a side is below `smallest` pixels or the score below `certain`; the others are
    moved outwards by area * `growth` / perimeter on each side. No more than `most` are returned.

    Corners are in pixels, pixel i of a row covering i to i + 1; they go clockwise, and the first
    side is the one that runs most to the right. Source: Liao et al., "Real-time Scene Text
    Detection with Differentiable Binarization", 2020.
    """
