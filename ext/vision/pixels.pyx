"""From bytes as OpenCV has them to the normalised floats that networks take.

Signatures and units are in pipeline/onlooker/vision/pixels.pyi.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

import numpy as np


cdef extern from "vision/pixels.h":
    void row_to_planes(
        const unsigned char *row, float *a, float *b, float *c,
        const float *mean, const float *scale, ptrdiff_t width,
    ) noexcept nogil
    void row_to_pixels(
        const unsigned char *row, float *out, int first,
        const float *mean, const float *scale, ptrdiff_t width,
    ) noexcept nogil


def to_planes(
    const unsigned char[:, :, :] picture, float[:, :, ::1] out, mean, scale, bint swap=False
):
    """Fill `out` (3, H, W) with (picture - mean) * scale, and with zeros outside the picture."""
    cdef Py_ssize_t height = picture.shape[0], width = picture.shape[1], y, channel
    check(picture, out.shape[1], out.shape[2], out.shape[0])
    cdef float[::1] means = three(mean, "mean")
    cdef float[::1] scales = three(scale, "scale")
    # Planes are told in the order of the bytes: a swap exchanges the first and the last.
    cdef Py_ssize_t first = 2 if swap else 0
    cdef Py_ssize_t last = 2 - first
    cdef Py_ssize_t rest = (out.shape[2] - width) * sizeof(float)
    if swap:
        means = means[::-1].copy()
        scales = scales[::-1].copy()
    if height == 0 or width == 0:
        np.asarray(out)[...] = 0
        return
    with nogil:
        for y in range(height):
            row_to_planes(
                &picture[y, 0, 0], &out[first, y, 0], &out[1, y, 0], &out[last, y, 0],
                &means[0], &scales[0], width,
            )
            if rest:
                for channel in range(3):
                    memset(&out[channel, y, width], 0, rest)
        if height < out.shape[1]:
            for channel in range(3):
                memset(
                    &out[channel, height, 0], 0,
                    (out.shape[1] - height) * out.shape[2] * sizeof(float),
                )


def to_pixels(
    const unsigned char[:, :, :] picture, float[:, :, ::1] out, mean, scale, bint swap=False
):
    """Fill `out` (H, W, 3) with (picture - mean) * scale, and with zeros outside the picture."""
    cdef Py_ssize_t height = picture.shape[0], width = picture.shape[1], y
    check(picture, out.shape[0], out.shape[1], out.shape[2])
    cdef float[::1] means = three(mean, "mean")
    cdef float[::1] scales = three(scale, "scale")
    cdef int first = 2 if swap else 0
    cdef Py_ssize_t rest = (out.shape[1] - width) * 3 * sizeof(float)
    if height == 0 or width == 0:
        np.asarray(out)[...] = 0
        return
    with nogil:
        for y in range(height):
            row_to_pixels(
                &picture[y, 0, 0], &out[y, 0, 0], first, &means[0], &scales[0], width
            )
            if rest:
                memset(&out[y, width, 0], 0, rest)
        if height < out.shape[0]:
            memset(
                &out[height, 0, 0], 0,
                (out.shape[0] - height) * out.shape[1] * 3 * sizeof(float),
            )


cdef check(const unsigned char[:, :, :] picture, Py_ssize_t height, Py_ssize_t width, channels):
    if picture.shape[2] != 3 or channels != 3:
        raise ValueError("picture and out must have three channels")
    if picture.shape[0] > height or picture.shape[1] > width:
        raise ValueError(
            f"a picture of {picture.shape[1]} x {picture.shape[0]} pixels does not fit into "
            f"{width} x {height}"
        )
    if picture.size and (picture.strides[1] != 3 or picture.strides[2] != 1):
        raise ValueError("the bytes of a row must lie side by side")


cdef float[::1] three(values, name):
    array = np.array(values, np.float32)
    if array.shape != (3,):
        raise ValueError(f"{name} must be three numbers, one for each channel of out")
    return array
