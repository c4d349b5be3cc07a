"""Nearest neighbours by scalar quantisation: two bits a number, then exact values of the best.

`vectors` are (n, dim) float32 of length 1. `rotated` ones are the same after a rotation, which
makes all their numbers alike, scaled to a standard deviation of 1. Codes are uint8 (blocks, bytes,
32): those of the 32 rows of a block side by side.
"""

import numpy as np
from numpy.typing import NDArray

def is_supported() -> bool:
    """Return whether this processor has the instructions (AVX2) with which quantisation pays."""

def empty(rows: int, dim: int) -> NDArray[np.uint8]:
    """Return the codes of this many rows, all 0."""

def encode(codes: NDArray[np.uint8], first: int, rotated: NDArray[np.float32]) -> None:
    """Quantise `rotated` vectors (n, dim) into the rows of `codes` from `first` on.

    Raises ValueError if they do not fit.
    """

def largest_products(
    vectors: NDArray[np.float32],
    codes: NDArray[np.uint8],
    live: NDArray[np.uint8],
    queries: NDArray[np.float32],
    rotated: NDArray[np.float32],
    k: int,
    candidates: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return rows (m, k) and dot products (m, k) of the k most alike live vectors, best first.

    For each query the `candidates` rows with the most alike codes, and their equals, are compared
    exactly; more of them miss fewer rows. `live` is (n,) uint8 with 0 for a row to skip. Of equal
    rows the lower comes first. If fewer than k rows are found, the rest is row -1 with -inf. The
    GIL is released. Raises ValueError if shapes do not fit, and unless `is_supported()`.
    """
