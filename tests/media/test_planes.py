"""The kernels that pack planes and stretch luma, against slow copies of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.media.planes import pack, stretched


def slowly(*planes: NDArray[np.uint8]) -> list[int]:
    """Return the bytes of I420, in order."""
    found: list[int] = []
    for number, plane in enumerate(planes):
        rows = [list(map(int, row)) for row in plane]
        if number == 0:
            rows = [row + row[-1:] * (len(row) % 2) for row in rows]
            rows += rows[-1:] * (len(rows) % 2)
        found += [value for row in rows for value in row]
    return found


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 3))
def test_planes_are_packed(height: int, width: int, apart: int) -> None:
    chance = np.random.default_rng(height * 10 + width)
    half = (height + 1) // 2, (width + 1) // 2
    # Rows of a decoder's planes are longer than the image.
    y, u, v = (
        chance.integers(0, 256, (rows, columns + apart), np.uint8)[:, :columns]
        for rows, columns in ((height, width), half, half)
    )
    packed = pack(y, u, v)
    assert packed.shape == (half[0] * 3, half[1] * 2)
    assert packed.ravel().tolist() == slowly(y, u, v)


def test_planes_that_do_not_match() -> None:
    y, half, other = (np.zeros(shape, np.uint8) for shape in ((6, 8), (3, 4), (3, 5)))
    with pytest.raises(ValueError, match="the plane must be 4 x 3, not 5 x 3"):
        pack(y, half, other)
    with pytest.raises(ValueError, match="cannot have"):
        pack(y[:0], half[:0], half[:0])
    with pytest.raises(ValueError, match="contiguous"):
        pack(np.zeros((6, 16), np.uint8)[:, ::2], half, half)


@pytest.mark.parametrize("apart", [0, 5])
def test_luma_is_stretched(apart: int) -> None:
    plane = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    wider = np.hstack([plane, np.zeros((3, apart), np.uint8)])
    exactly = ((np.arange(256) - 16) * (255 / 219)).round().clip(0, 255)
    found = stretched(wider[:, :256])
    assert (found == exactly).all()
    assert found.flags.c_contiguous
    assert stretched(wider[:, :0]).shape == (3, 0)
    with pytest.raises(ValueError, match="contiguous"):
        stretched(plane[:, ::2])
