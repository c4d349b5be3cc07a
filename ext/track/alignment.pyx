"""Alignment of strings.

Signatures are in pipeline/onlooker/track/alignment.pyi.
"""

from libc.stdlib cimport free, malloc


def align(str one, str other):
    """Return the pairs of places of the alignment with the fewest edits; -1 for a gap."""
    cdef Py_ssize_t rows = len(one), columns = len(other), width = columns + 1, row, column
    cdef int best
    cdef int *edits = <int *> malloc((rows + 1) * width * sizeof(int))
    if not edits:
        raise MemoryError
    try:
        for column in range(width):
            edits[column] = <int> column
        for row in range(1, rows + 1):
            edits[row * width] = <int> row
            for column in range(1, width):
                best = edits[(row - 1) * width + column - 1] + (one[row - 1] != other[column - 1])
                best = min(best, edits[(row - 1) * width + column] + 1)
                edits[row * width + column] = min(best, edits[row * width + column - 1] + 1)
        pairs = []
        row, column = rows, columns
        while row or column:
            best = edits[row * width + column]
            if row and column and best == (
                edits[(row - 1) * width + column - 1] + (one[row - 1] != other[column - 1])
            ):
                row -= 1
                column -= 1
                pairs.append((row, column))
            elif row and best == edits[(row - 1) * width + column] + 1:
                row -= 1
                pairs.append((row, -1))
            else:
                column -= 1
                pairs.append((-1, column))
        pairs.reverse()
        return pairs
    finally:
        free(edits)
