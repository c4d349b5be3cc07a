"""A list of the k best rows of a query, best first."""


cdef inline void insert(long long *rows, float *likeness, Py_ssize_t last, long long row,
                        float value) noexcept nogil:
    """Insert a row at its rank, after rows of equal value. The last one is dropped."""
    cdef Py_ssize_t place = last
    while place > 0 and likeness[place - 1] < value:
        likeness[place] = likeness[place - 1]
        rows[place] = rows[place - 1]
        place -= 1
    likeness[place] = value
    rows[place] = row
