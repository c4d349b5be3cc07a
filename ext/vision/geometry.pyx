"""Boxes and alignment: the loops of face detection.

Signatures, units and sources are in pipeline/onlooker/vision/geometry.pyi. Each function checks
shapes once and then loops without the GIL.
"""

cimport numpy as cnp
from libc.math cimport exp, sqrt

import numpy as np

cnp.import_array()


def decode_yunet(
    const float[::1] face,
    const float[::1] thing,
    const float[:, ::1] boxes,
    const float[:, ::1] points,
    int columns,
    int stride,
    float threshold,
):
    """Return boxes, scores and points of the cells of a stride that score at least `threshold`."""
    cdef Py_ssize_t cells = face.shape[0], cell, row, column, i, n = 0
    if thing.shape[0] != cells or boxes.shape[0] != cells or points.shape[0] != cells:
        raise ValueError("face, thing, boxes and points must have one row for each cell")
    if boxes.shape[1] != 4 or points.shape[1] != 10:
        raise ValueError("boxes must be (cells, 4) and points (cells, 10)")
    if columns < 1 or cells % columns:
        raise ValueError(f"{cells} cells do not make rows of {columns}")

    # The square is compared, so that the root is taken only for cells that are kept.
    cdef float square = threshold * threshold
    cdef float x, y, half_width, half_height
    with nogil:
        for cell in range(cells):
            # Both are at most 1, so the first comparison rejects nearly every cell.
            if thing[cell] >= square and unit(face[cell]) * unit(thing[cell]) >= square:
                n += 1
    found = np.empty((n, 15), np.float32)
    cdef float[:, ::1] out = found
    n = 0
    with nogil:
        for cell in range(cells):
            if thing[cell] < square or unit(face[cell]) * unit(thing[cell]) < square:
                continue
            row = cell // columns
            column = cell - row * columns
            x = (column + boxes[cell, 0]) * stride
            y = (row + boxes[cell, 1]) * stride
            half_width = exp(boxes[cell, 2]) * stride / 2
            half_height = exp(boxes[cell, 3]) * stride / 2
            out[n, 0] = x - half_width
            out[n, 1] = y - half_height
            out[n, 2] = x + half_width
            out[n, 3] = y + half_height
            out[n, 4] = sqrt(unit(face[cell]) * unit(thing[cell]))
            for i in range(5):
                out[n, 5 + 2 * i] = (column + points[cell, 2 * i]) * stride
                out[n, 6 + 2 * i] = (row + points[cell, 2 * i + 1]) * stride
            n += 1
    return found


def decode_centerface(
    const float[:, ::1] heat,
    const float[:, :, ::1] sizes,
    const float[:, :, ::1] offsets,
    const float[:, :, ::1] points,
    int stride,
    float threshold,
):
    """Return boxes, scores and points of the cells that score at least `threshold`."""
    cdef Py_ssize_t rows = heat.shape[0], columns = heat.shape[1], row, column, i, n = 0
    if sizes.shape[0] != 2 or offsets.shape[0] != 2 or points.shape[0] != 10:
        raise ValueError("sizes and offsets must have two maps and points ten")
    if (
        sizes.shape[1] != rows or offsets.shape[1] != rows or points.shape[1] != rows
        or sizes.shape[2] != columns or offsets.shape[2] != columns or points.shape[2] != columns
    ):
        raise ValueError(f"sizes, offsets and points must be maps of {rows} x {columns} cells")

    cdef float left, top, width, height
    with nogil:
        for row in range(rows):
            for column in range(columns):
                if heat[row, column] >= threshold:
                    n += 1
    found = np.empty((n, 15), np.float32)
    cdef float[:, ::1] out = found
    n = 0
    with nogil:
        for row in range(rows):
            for column in range(columns):
                if not heat[row, column] >= threshold:
                    continue
                # Of each pair of maps, the vertical one comes first.
                height = exp(sizes[0, row, column]) * stride
                width = exp(sizes[1, row, column]) * stride
                left = (column + offsets[1, row, column] + 0.5) * stride - width / 2
                top = (row + offsets[0, row, column] + 0.5) * stride - height / 2
                out[n, 0] = left
                out[n, 1] = top
                out[n, 2] = left + width
                out[n, 3] = top + height
                out[n, 4] = heat[row, column]
                for i in range(5):
                    out[n, 5 + 2 * i] = left + points[2 * i + 1, row, column] * width
                    out[n, 6 + 2 * i] = top + points[2 * i, row, column] * height
                n += 1
    return found


cdef inline float unit(float value) noexcept nogil:
    """Return `value` clipped to 0 to 1."""
    return 0 if value < 0 else (1 if value > 1 else value)


def suppress(cnp.ndarray boxes not None, cnp.ndarray scores not None, float overlap):
    """Return indexes of the boxes that no better box overlaps by more than `overlap`."""
    cdef const float *box = <const float *> rows(boxes, cnp.NPY_FLOAT32, 4)
    cdef cnp.npy_intp n = boxes.shape[0]
    if cnp.PyArray_NDIM(scores) != 1 or scores.shape[0] != n:
        raise ValueError("boxes must be (n, 4) and scores (n,)")
    # Stable, so that equal scores keep the order of the cells on every machine.
    cdef cnp.ndarray order = (-scores).argsort(kind="stable")
    cdef cnp.ndarray keep = cnp.PyArray_EMPTY(1, &n, cnp.NPY_INTP, 0)
    cdef const cnp.npy_intp *best = <const cnp.npy_intp *> cnp.PyArray_DATA(order)
    cdef cnp.npy_intp *out = <cnp.npy_intp *> cnp.PyArray_DATA(keep)
    cdef cnp.npy_intp i, j, kept = 0
    with nogil:
        for i in range(n):
            for j in range(kept):
                if box_iou(box + 4 * best[i], box + 4 * out[j]) > overlap:
                    break
            else:
                out[kept] = best[i]
                kept += 1
    return keep[:kept]


cdef enum:
    BLOCK = 64


def iou(cnp.ndarray a not None, cnp.ndarray b not None):
    """Return the intersection over union of each box of `a` and of `b`."""
    cdef const float *first = <const float *> rows(a, cnp.NPY_FLOAT32, 4)
    cdef const float *second = <const float *> rows(b, cnp.NPY_FLOAT32, 4)
    cdef cnp.npy_intp[2] size = [a.shape[0], b.shape[0]]
    cdef cnp.ndarray table = cnp.PyArray_EMPTY(2, size, cnp.NPY_FLOAT32, 0)
    cdef float *out = <float *> cnp.PyArray_DATA(table)
    cdef float[BLOCK] left, top, right, bottom, areas
    cdef float width, height, both, joint, own
    cdef const float *box
    cdef Py_ssize_t i, j, start = 0, count
    with nogil:
        # Side by side, so that the compiler compares several boxes at once.
        while start < size[1]:
            count = min(<Py_ssize_t> BLOCK, size[1] - start)
            for j in range(count):
                box = second + 4 * (start + j)
                left[j], top[j], right[j], bottom[j] = box[0], box[1], box[2], box[3]
                areas[j] = area(box)
            for i in range(size[0]):
                box = first + 4 * i
                own = area(box)
                for j in range(count):
                    width = positive(min(box[2], right[j]) - max(box[0], left[j]))
                    height = positive(min(box[3], bottom[j]) - max(box[1], top[j]))
                    both = width * height
                    joint = own + areas[j] - both
                    out[i * size[1] + start + j] = both / (joint if joint > 0 else 1)
            start += BLOCK
    return table


cdef inline float positive(float value) noexcept nogil:
    return value if value > 0 else 0


cdef const void *rows(cnp.ndarray array, int kind, Py_ssize_t columns) except NULL:
    """Return the data of an (n, columns) array of one kind. Raises ValueError for any other.

    A typed memoryview would check the same, in several times the instructions of a small kernel.
    """
    if (
        cnp.PyArray_NDIM(array) != 2 or array.shape[1] != columns
        or cnp.PyArray_TYPE(array) != kind or not cnp.PyArray_IS_C_CONTIGUOUS(array)
    ):
        raise ValueError(
            f"expected (n, {columns}) contiguous {cnp.PyArray_DescrFromType(kind)}, "
            f"not {(<object> array).shape} {array.dtype}"
        )
    return cnp.PyArray_DATA(array)


cdef inline float box_iou(const float *a, const float *b) noexcept nogil:
    cdef float width = min(a[2], b[2]) - max(a[0], b[0])
    cdef float height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0
    cdef float both = width * height
    return both / (area(a) + area(b) - both)


cdef inline float area(const float *a) noexcept nogil:
    return (a[2] - a[0]) * (a[3] - a[1])


def similarity(cnp.ndarray source not None, cnp.ndarray target not None):
    """Return the rotation, scale and shift that best maps `source` to `target`."""
    cdef const double *a = <const double *> rows(source, cnp.NPY_FLOAT64, 2)
    cdef const double *b = <const double *> rows(target, cnp.NPY_FLOAT64, 2)
    cdef Py_ssize_t n = source.shape[0], i
    if target.shape[0] != n or n < 2:
        raise ValueError("source and target must be (n, 2), with n at least 2 and the same")
    cdef double x, y, u, v, spread = 0, along = 0, across = 0
    cdef double mean_x = 0, mean_y = 0, mean_u = 0, mean_v = 0
    with nogil:
        for i in range(0, 2 * n, 2):
            mean_x += a[i] / n
            mean_y += a[i + 1] / n
            mean_u += b[i] / n
            mean_v += b[i + 1] / n
        # As complex numbers, target = factor * source: the least-squares factor is
        # sum(conj(source) * target) / sum(|source|^2).
        for i in range(0, 2 * n, 2):
            x = a[i] - mean_x
            y = a[i + 1] - mean_y
            u = b[i] - mean_u
            v = b[i + 1] - mean_v
            along += x * u + y * v
            across += x * v - y * u
            spread += x * x + y * y
    if spread == 0:
        raise ValueError("all source points are the same: there is nothing to align")
    along /= spread
    across /= spread
    cdef cnp.npy_intp[2] size = [2, 3]
    cdef cnp.ndarray matrix = cnp.PyArray_EMPTY(2, size, cnp.NPY_FLOAT64, 0)
    cdef double *out = <double *> cnp.PyArray_DATA(matrix)
    out[0] = along
    out[1] = -across
    out[2] = mean_u - along * mean_x + across * mean_y
    out[3] = across
    out[4] = along
    out[5] = mean_v - across * mean_x - along * mean_y
    return matrix
