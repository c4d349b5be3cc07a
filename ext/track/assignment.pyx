"""Assignment of rows to columns.

Signatures are in pipeline/onlooker/track/assignment.pyi.
"""

from libc.math cimport INFINITY, isnan
from libc.stdlib cimport free, malloc


def assign(const double[:, ::1] costs, double limit):
    """Return the pairs (row, column) of least total cost; a row or column alone costs nothing."""
    cdef Py_ssize_t rows = costs.shape[0], columns = costs.shape[1], row, column
    for row in range(rows):
        for column in range(columns):
            if isnan(costs[row, column]):
                raise ValueError(f"the cost of row {row} and column {column} is not a number")
    if rows == 0 or columns == 0:
        return []
    # Column 0 is a sentinel; behind the real columns each row has one of its own, at cost `limit`.
    cdef Py_ssize_t width = columns + rows + 1
    cdef Py_ssize_t *owner = <Py_ssize_t *> malloc(width * sizeof(Py_ssize_t))
    cdef Py_ssize_t *before = <Py_ssize_t *> malloc(width * sizeof(Py_ssize_t))
    cdef double *least = <double *> malloc(width * sizeof(double))
    cdef double *price = <double *> malloc(width * sizeof(double))
    cdef double *reduction = <double *> malloc((rows + 1) * sizeof(double))
    cdef unsigned char *visited = <unsigned char *> malloc(width)
    try:
        if not (owner and before and least and price and reduction and visited):
            raise MemoryError
        with nogil:
            _solve(costs, limit, owner, before, least, price, reduction, visited)
        pairs = [
            (owner[column] - 1, column - 1) for column in range(1, columns + 1) if owner[column]
        ]
    finally:
        free(owner)
        free(before)
        free(least)
        free(price)
        free(reduction)
        free(visited)
    return sorted(pairs)


cdef inline double _cost(const double[:, ::1] costs, double limit, Py_ssize_t row,
                         Py_ssize_t column) noexcept nogil:
    """Both count from 1."""
    cdef Py_ssize_t columns = costs.shape[1]
    if column > columns:
        return limit if column - columns == row else INFINITY
    return costs[row - 1, column - 1] if costs[row - 1, column - 1] < limit else INFINITY


cdef void _solve(const double[:, ::1] costs, double limit, Py_ssize_t *owner, Py_ssize_t *before,
                 double *least, double *price, double *reduction,
                 unsigned char *visited) noexcept nogil:
    """Insert the rows one by one, each by a shortest augmenting path; `owner` is the result."""
    cdef Py_ssize_t rows = costs.shape[0], width = costs.shape[1] + rows + 1
    cdef Py_ssize_t row, column, at, nearest, current
    cdef double step, reduced
    for column in range(width):
        owner[column] = 0
        price[column] = 0
    for row in range(rows + 1):
        reduction[row] = 0
    for row in range(1, rows + 1):
        owner[0] = row
        at = 0
        for column in range(width):
            least[column] = INFINITY
            visited[column] = 0
        while True:
            visited[at] = 1
            current = owner[at]
            step = INFINITY
            nearest = 0
            for column in range(1, width):
                if visited[column]:
                    continue
                reduced = _cost(costs, limit, current, column) - reduction[current] - price[column]
                if reduced < least[column]:
                    least[column] = reduced
                    before[column] = at
                if least[column] < step:
                    step = least[column]
                    nearest = column
            for column in range(width):
                if visited[column]:
                    reduction[owner[column]] += step
                    price[column] -= step
                else:
                    least[column] -= step
            at = nearest
            if owner[at] == 0:
                break
        while at:
            nearest = before[at]
            owner[at] = owner[nearest]
            at = nearest
