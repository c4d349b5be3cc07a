"""Exact nearest neighbours: every row is looked at, in one pass for all queries.

Both functions take `vectors` (n, dim) float32, `live` (n,) uint8 with 0 for a row that is to be
passed over, `queries` (m, dim) float32, all contiguous, and return, best first, rows (m, k) int64
and values (m, k) float32. Of equals the lower row comes first. Where fewer than k rows are live
the rest is row -1. The interpreter is free for other threads meanwhile.

Raise ValueError for shapes and types that do not fit each other.
"""

import numpy as np
from numpy.typing import NDArray

def most_alike(
    vectors: NDArray[np.float32],
    live: NDArray[np.uint8],
    queries: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and dot products of the k live vectors with the largest; -inf beside row -1."""

def closest(
    vectors: NDArray[np.float32],
    live: NDArray[np.uint8],
    queries: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and squared Euclidean distances of the k closest live vectors; inf beside row -1."""
