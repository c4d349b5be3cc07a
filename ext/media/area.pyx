"""Planes resized by the means of areas.

Signatures and units are in pipeline/onlooker/media/area.pyi.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memset

import numpy as np


cdef extern from "media/area.h":
    void add_row(
        const unsigned char *row, float weight, Py_ssize_t width, float *sums
    ) noexcept nogil


cdef struct Span:
    # The pixels that a pixel of the result covers. Those between the ends are covered whole.
    int first, last
    float first_share, last_share


def resize(const unsigned char[:, :] plane, int width, int height):
    """Return the plane with `width` x `height` pixels."""
    cdef int rows = <int> plane.shape[0], columns = <int> plane.shape[1], row, x, y
    cdef Span *across = NULL
    cdef float *sums = NULL
    cdef Span down
    if min(rows, columns, width, height) < 1:
        raise ValueError(
            f"{columns} x {rows} pixels cannot be made {width} x {height}: no side can be 0"
        )
    if columns > 1 and plane.strides[1] != 1:
        raise ValueError("the bytes of a row must be contiguous")
    found = np.empty((height, width), np.uint8)
    cdef unsigned char[:, ::1] out = found
    cdef float share = <float> width * height / (<float> rows * columns)
    try:
        across = <Span *> malloc(width * sizeof(Span))
        sums = <float *> malloc(columns * sizeof(float))
        if not (across and sums):
            raise MemoryError
        with nogil:
            for x in range(width):
                across[x] = span(x, columns, width)
            for y in range(height):
                memset(sums, 0, columns * sizeof(float))
                down = span(y, rows, height)
                add_row(&plane[down.first, 0], down.first_share, columns, sums)
                for row in range(down.first + 1, down.last):
                    add_row(&plane[row, 0], 1, columns, sums)
                if down.last > down.first:
                    add_row(&plane[down.last, 0], down.last_share, columns, sums)
                average(sums, across, share, &out[y, 0], width)
    finally:
        free(across)
        free(sums)
    return found


cdef Span span(long place, long count, long targets) noexcept nogil:
    """Return what pixel `place` of `targets` covers of `count`, both in one length."""
    cdef Span found
    cdef long begin = place * count, end = begin + count  # in parts of 1 / targets
    found.first, found.last = <int> (begin // targets), <int> ((end - 1) // targets)
    found.first_share = <float> (min(end, (found.first + 1) * targets) - begin) / targets
    found.last_share = <float> (end - found.last * targets) / targets
    return found


cdef void average(
    const float *sums, const Span *across, float share, unsigned char *out, int width
) noexcept nogil:
    """Set a row of `width` pixels to `share` of the sums that each covers."""
    cdef int x, column
    cdef float total
    for x in range(width):
        total = sums[across[x].first] * across[x].first_share
        for column in range(across[x].first + 1, across[x].last):
            total += sums[column]
        if across[x].last > across[x].first:
            total += sums[across[x].last] * across[x].last_share
        out[x] = <unsigned char> (total * share + <float> 0.5)
