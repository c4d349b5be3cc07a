"""Planes of a decoder.

Signatures and units are in pipeline/onlooker/media/planes.pyi.
"""

from libc.string cimport memcpy

import numpy as np


cdef extern from "media/planes.h":
    void stretch(const unsigned char *row, Py_ssize_t width, unsigned char *out) noexcept nogil


def stretched(const unsigned char[:, :] plane):
    """Return the luma in full range."""
    cdef Py_ssize_t height = plane.shape[0], width = plane.shape[1], row
    check(plane, height, width)
    found = np.empty((height, width), np.uint8)
    cdef unsigned char[:, ::1] out = found
    if width:
        with nogil:
            for row in range(height):
                stretch(&plane[row, 0], width, &out[row, 0])
    return found


def pack(const unsigned char[:, :] y, const unsigned char[:, :] u, const unsigned char[:, :] v):
    """Return three planes as one I420 array with even sides."""
    cdef Py_ssize_t height = y.shape[0], width = y.shape[1], row
    cdef Py_ssize_t rows = height + height % 2, columns = width + width % 2
    cdef Py_ssize_t half = columns // 2
    if height == 0 or width == 0:
        raise ValueError(f"an image cannot have {width} x {height} pixels")
    check(y, height, width)
    check(u, rows // 2, half)
    check(v, rows // 2, half)
    packed = np.empty((rows // 2 * 3, columns), np.uint8)
    cdef unsigned char[:, ::1] whole = packed
    cdef unsigned char *out = &whole[0, 0]
    with nogil:
        for row in range(rows):
            memcpy(out, &y[min(row, height - 1), 0], width)
            if columns > width:
                out[width] = out[width - 1]
            out += columns
        for row in range(rows // 2):
            memcpy(out, &u[row, 0], half)
            out += half
        for row in range(rows // 2):
            memcpy(out, &v[row, 0], half)
            out += half
    return packed


cdef check(const unsigned char[:, :] plane, Py_ssize_t height, Py_ssize_t width):
    if plane.shape[0] != height or plane.shape[1] != width:
        raise ValueError(
            f"the plane must be {width} x {height}, not {plane.shape[1]} x {plane.shape[0]}"
        )
    if width > 1 and plane.strides[1] != 1:
        raise ValueError("the bytes of a row must be contiguous")
