"""Rectangles from a text detector's probability map; the body is ext/vision/regions.pyx."""

import numpy as np
from numpy.typing import NDArray

def rectangles(
    probable: NDArray[np.float32],
    threshold: float,
    min_score: float,
    unclip_ratio: float,
    min_side: float,
    max_regions: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the rectangles (n, 4, 2) of a map's regions and their scores (n,), best first.

    `probable` (h, w) is cut at `threshold`: pixels above it that are at most one pixel apart are
    one region. Each gets its smallest rectangle, whose score is the map's mean inside. It is
    dropped if a side is below `min_side` pixels or the score below `min_score`; the sides of the
    others are moved outwards by area * `unclip_ratio` / perimeter. At most `max_regions` are
    returned.

    Corners are in pixels, pixel i of a row covering i to i + 1; they go clockwise, and the first
    side is the one that runs most to the right. Source: Liao et al., "Real-time Scene Text
    Detection with Differentiable Binarization", 2020.
    """
