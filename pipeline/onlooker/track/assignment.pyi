"""Assignment of rows to columns; the body is ext/track/assignment.pyx."""

import numpy as np
from numpy.typing import NDArray

def assign(costs: NDArray[np.float64], limit: float) -> list[tuple[int, int]]:
    """Return the pairs (row, column) that minimise the sum of cost - limit, in the order of rows.

    `costs` is (rows, columns), C-contiguous. Each row and each column is in one pair at most; a
    pair whose cost is `limit` or more is never made. Shortest augmenting paths (Jonker and
    Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
    problems", 1987), O(rows² (rows + columns)). The same costs always give the same pairs. Raises
    ValueError if a cost is not a number.
    """
