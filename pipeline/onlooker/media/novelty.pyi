"""Blocks of an image that nothing near them in the image before is like.

The body is ext/media/novelty.pyx.
"""

import numpy as np
from numpy.typing import NDArray

def new_blocks(
    image: NDArray[np.uint8],
    before: NDArray[np.uint8],
    side: int,
    reach: int,
    noise: float,
    share: float,
    max_found: int,
) -> int:
    """Return the number of new blocks of `image`, side x side; counting stops at `max_found`.

    image, before: (h, w), contiguous. A block is new if it differs from every block of `before`
    that is at most `reach` pixels away, across and down, by more brightness on average than
    `noise`, and more than `share` of its own standard deviation. Blocks nearer than `reach` to an
    edge are left out: what they show may have come from outside. Raises ValueError if the sizes
    differ, or if `side` or `reach` is too small.
    """
