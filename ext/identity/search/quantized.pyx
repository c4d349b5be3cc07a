"""Nearest neighbours by quantised vectors.

pipeline/onlooker/identity/search/quantized.pyi describes the functions.
"""

import numpy as np

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc

from nearest cimport insert

cdef extern from "identity/quantized.h" nogil:
    enum: ROWS
    enum: PAIR
    enum: TOP
    ctypedef struct Best:
        int32_t *rows
        uint16_t *values
        uint32_t *counts
        Py_ssize_t room, filled, wanted, found
        int32_t level
    bint has_kernel()
    int code_of(float x)
    void tables_of(const float *query, Py_ssize_t width, uint8_t *tables)
    void choose(const uint8_t *codes, const uint8_t *live, Py_ssize_t count, Py_ssize_t width,
                const uint8_t *tables, Best *best)
    void squeeze(Best *best)
    void fetch(const float *row, Py_ssize_t dim)

cdef enum:
    PREFETCHED = 8  # rows on their way from memory while one is compared

cdef extern from "identity/exact.h" nogil:
    void compare(const float *rows, const float *query, Py_ssize_t count, Py_ssize_t dim,
                 bint distance, float *likeness)


def is_supported():
    """Return whether this processor has the instructions of the kernel."""
    return has_kernel()


def empty(Py_ssize_t rows, Py_ssize_t dim):
    """Return the codes of this many rows, all 0."""
    return np.zeros(((rows + ROWS - 1) // ROWS, (dim + 7) // 8 * 2, ROWS), np.uint8)


def encode(uint8_t[:, :, ::1] codes, Py_ssize_t first, const float[:, ::1] rotated):
    """Quantise `rotated` vectors into the rows from `first` on."""
    cdef Py_ssize_t n = rotated.shape[0], dim = rotated.shape[1], row, i, block, lane
    cdef int code
    if codes.shape[1] != (dim + 7) // 8 * 2 or codes.shape[2] != ROWS:
        raise ValueError(f"codes of {codes.shape[1]} x {codes.shape[2]} bytes are not of {dim} numbers")
    if first < 0 or first + n > codes.shape[0] * ROWS:
        raise ValueError(f"rows {first} to {first + n} do not fit into {codes.shape[0] * ROWS}")
    with nogil:
        for row in range(n):
            block, lane = (first + row) // ROWS, (first + row) % ROWS
            for i in range(codes.shape[1]):
                codes[block, i, lane] = 0
            for i in range(dim):
                code = code_of(rotated[row, i])
                codes[block, i >> 2, lane] |= code << (2 * (i & 3))


def largest_products(const float[:, ::1] vectors, const uint8_t[:, :, ::1] codes,
               const unsigned char[::1] live, const float[:, ::1] queries,
               const float[:, ::1] rotated, Py_ssize_t k, Py_ssize_t candidates):
    """Return rows and dot products of the k most alike of the rows with the most alike codes."""
    cdef Py_ssize_t n = vectors.shape[0], dim = vectors.shape[1], m = queries.shape[0]
    cdef Py_ssize_t width = (dim + 7) // 8 * 2, query
    if live.shape[0] != n:
        raise ValueError(f"live must have one entry for each of {n} vectors, not {live.shape[0]}")
    if codes.shape[0] * ROWS < n or codes.shape[1] != width or codes.shape[2] != ROWS:
        raise ValueError(f"codes of {codes.shape[0]} blocks do not fit {n} vectors of {dim}")
    if queries.shape[1] != dim or rotated.shape[0] != m or rotated.shape[1] != dim:
        raise ValueError(f"queries must be as long as the vectors, {dim}, not {queries.shape[1]}")
    if not 1 <= k <= candidates:
        raise ValueError(f"k must be from 1 to {candidates}, not {k}")
    if 2 * width * TOP > 32767:
        raise ValueError(f"vectors of {dim} numbers are too long to be quantised")
    if not has_kernel():
        raise ValueError("this processor has no kernel for quantised vectors (AVX2)")
    rows = np.full((m, k), -1, dtype=np.int64)
    likeness = np.full((m, k), -INFINITY, dtype=np.float32)
    cdef long long[:, ::1] rows_view = rows
    cdef float[:, ::1] likeness_view = likeness
    cdef float *padded = <float *> calloc(4 * width, sizeof(float))
    cdef uint8_t *tables = <uint8_t *> malloc(2 * width * PAIR)
    cdef Best best
    best.wanted, best.room = candidates, 2 * candidates + ROWS
    best.rows = <int32_t *> malloc(best.room * sizeof(int32_t))
    best.values = <uint16_t *> malloc(best.room * sizeof(uint16_t))
    best.counts = <uint32_t *> malloc((2 * width * TOP + 1) * sizeof(uint32_t))
    try:
        if not padded or not tables or not best.rows or not best.values or not best.counts:
            raise MemoryError
        if n and dim:
            with nogil:
                for query in range(m):
                    _search(vectors, codes, live, &queries[query, 0], &rotated[query, 0],
                            padded, tables, &best, &rows_view[query, 0],
                            &likeness_view[query, 0], k)
    finally:
        free(padded)
        free(tables)
        free(best.rows)
        free(best.values)
        free(best.counts)
    return rows, likeness


cdef void _search(const float[:, ::1] vectors, const uint8_t[:, :, ::1] codes,
                  const unsigned char[::1] live, const float *query, const float *rotated,
                  float *padded, uint8_t *tables, Best *best, long long *rows, float *likeness,
                  Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t dim = vectors.shape[1], width = codes.shape[1], i, last = k - 1
    cdef float value
    for i in range(dim):
        padded[i] = rotated[i]
    for i in range(2 * width * TOP + 1):
        best.counts[i] = 0
    best.filled = best.found = 0
    best.level = -1
    tables_of(padded, width, tables)
    choose(&codes[0, 0, 0], &live[0], vectors.shape[0], width, tables, best)
    squeeze(best)
    for i in range(best.filled):
        if i + PREFETCHED < best.filled:
            fetch(&vectors[best.rows[i + PREFETCHED], 0], dim)
        compare(&vectors[best.rows[i], 0], query, 1, dim, False, &value)
        if value > likeness[last]:
            insert(rows, likeness, last, best.rows[i], value)
