"""Nearest neighbours by short codes: two bits a number, and the exact value of the best of them.

`vectors` are (n, dim) float32 of length 1; `turned` ones are the same turned in space by a
rotation, so that all their numbers are alike, and stretched so that these have deviation 1. Codes
are uint8 (blocks, bytes, 32): the 32 rows of a block side by side.
"""

import numpy as np
from numpy.typing import NDArray

def fast() -> bool:
    """Whether this processor has the instructions (AVX2) that codes pay with."""

def space(rows: int, dim: int) -> NDArray[np.uint8]:
    """Codes of so many rows, all 0."""

def write(codes: NDArray[np.uint8], first: int, turned: NDArray[np.float32]) -> None:
    """Put the codes of `turned` vectors (n, dim) into the rows from `first` on.

    Raises ValueError where they do not fit.
    """

def most_alike(
    vectors: NDArray[np.float32],
    codes: NDArray[np.uint8],
    live: NDArray[np.uint8],
    queries: NDArray[np.float32],
    turned: NDArray[np.float32],
    k: int,
    looked_at: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows (m, k) and dot products (m, k) of the k most alike live vectors, best first.

    Codes choose `looked_at` rows for each query (and few more, of equals), which are compared
    exactly. The longer that list, the surer it is that nobody is missed. `live` is (n,) uint8 with
    0 for a row that is to be passed over. Of equals the lower row comes first; where there are
    fewer than k the rest is row -1 with -inf. The interpreter is free for other threads
    meanwhile. Raises ValueError for shapes that do not fit each other, and without `fast()`.
    """
