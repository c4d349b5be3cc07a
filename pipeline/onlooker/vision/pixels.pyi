"""From bytes as OpenCV has them to the normalised floats that networks take.

The body is ext/vision/pixels.pyx. Both functions fill an array that the caller owns, so that the
pictures of a batch are written in place. `picture` is (h, w, 3) uint8, rows of any stride; `out`
is at least as large, and what lies below and to the right of the picture becomes zero. `mean` and
`scale` are three numbers in the order of the channels of `out`; `swap` exchanges the first and the
last channel (BGR to RGB). They raise ValueError where shapes do not fit.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def to_planes(
    picture: NDArray[np.uint8],
    out: NDArray[np.float32],
    mean: Sequence[float],
    scale: Sequence[float],
    swap: bool = False,
) -> None:
    """Fill `out` (3, H, W) with (picture - mean) * scale, and with zeros outside the picture."""

def to_pixels(
    picture: NDArray[np.uint8],
    out: NDArray[np.float32],
    mean: Sequence[float],
    scale: Sequence[float],
    swap: bool = False,
) -> None:
    """Fill `out` (H, W, 3) with (picture - mean) * scale, and with zeros outside the picture."""
