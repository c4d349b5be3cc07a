"""Exact nearest neighbours: all rows are compared, in one pass for all queries.

Both functions take `vectors` (n, dim) float32, `live` (n,) uint8 with 0 for a row to skip, and
`queries` (m, dim) float32, all contiguous. They return, best first, rows (m, k) int64 and values
(m, k) float32. Of equal rows the lower comes first. If fewer than k rows are live, the rest is row
-1. The GIL is released. Raises ValueError if shapes and types do not fit each other.
"""

import numpy as np
from numpy.typing import NDArray

def largest_products(
    vectors: NDArray[np.float32],
    live: NDArray[np.uint8],
    queries: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return rows and dot products of the k live vectors with the largest ones; -inf for row -1."""

def smallest_distances(
    vectors: NDArray[np.float32],
    live: NDArray[np.uint8],
    queries: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return rows and squared Euclidean distances of the k nearest live vectors; inf for row -1."""
