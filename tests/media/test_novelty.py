"""The kernel that finds new blocks, against a slow copy of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.media.novelty import new_blocks

Image = NDArray[np.uint8]


def slowly(image: Image, before: Image, side: int, reach: int, noise: float, share: float) -> int:
    """Return the number of new blocks."""
    now, then = image.astype(int), before.astype(int)
    ways = range(-reach, reach + 1)
    found = 0
    for y in range(reach, now.shape[0] - side - reach + 1, side):
        for x in range(reach, now.shape[1] - side - reach + 1, side):
            block = now[y : y + side, x : x + side]
            bound = int(max(noise, share * block.std()) * side * side)
            found += all(
                abs(block - then[y + b : y + b + side, x + a : x + a + side]).sum() > bound
                for a in ways
                for b in ways
            )
    return found


@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    side=st.integers(1, 6),
    reach=st.integers(0, 3),
    noise=st.sampled_from([0.3, 5.3, 20.3]),
    seed=st.integers(0, 1000),
)
def test_against_the_slow_copy(
    height: int, width: int, side: int, reach: int, noise: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    before = chance.integers(0, 256, (height, width), np.uint8)
    # Parts of the image have moved, and parts are new.
    image = np.roll(before, (int(chance.integers(-3, 4)), int(chance.integers(-3, 4))), (0, 1))
    new = chance.uniform(size=image.shape) < 0.1
    image[new] = chance.integers(0, 256, int(new.sum()))
    expected = slowly(image, before, side, reach, noise, 0.45)
    assert new_blocks(image, before, side, reach, noise, 0.45, 1000) == expected
    assert new_blocks(image, before, side, reach, noise, 0.45, 1) == min(expected, 1)


def test_images_that_cannot_be_compared() -> None:
    image = np.zeros((9, 16), np.uint8)
    with pytest.raises(ValueError, match="one size, not 16 x 9 and 15 x 9"):
        new_blocks(image, np.zeros((9, 15), np.uint8), 4, 1, 1.0, 0.5, 9)
    with pytest.raises(ValueError, match="side 0"):
        new_blocks(image, image, 0, 1, 1.0, 0.5, 9)
    with pytest.raises(ValueError, match="reach -1"):
        new_blocks(image, image, 4, -1, 1.0, 0.5, 9)
