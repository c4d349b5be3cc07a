"""Exact nearest neighbours; pipeline/onlooker/identity/search/exact.pyi describes the functions."""

import numpy as np

from libc.math cimport INFINITY

from nearest cimport insert

cdef extern from "identity/exact.h" nogil:
    enum: BLOCK
    void compare(const float *rows, const float *query, Py_ssize_t count, Py_ssize_t dim,
                 bint distance, float *likeness)


def largest_products(const float[:, ::1] vectors, const unsigned char[::1] live,
               const float[:, ::1] queries, Py_ssize_t k):
    """Return rows and dot products of the k live vectors with the largest ones."""
    return _search(vectors, live, queries, k, False)


def smallest_distances(const float[:, ::1] vectors, const unsigned char[::1] live,
            const float[:, ::1] queries, Py_ssize_t k):
    """Return rows and squared Euclidean distances of the k nearest live vectors."""
    rows, likeness = _search(vectors, live, queries, k, True)
    return rows, 0 - likeness  # 0 for no distance, not -0


cdef _search(const float[:, ::1] vectors, const unsigned char[::1] live,
             const float[:, ::1] queries, Py_ssize_t k, bint distance):
    cdef Py_ssize_t n = vectors.shape[0], dim = vectors.shape[1], m = queries.shape[0]
    if live.shape[0] != n:
        raise ValueError(f"live must have one entry for each of {n} vectors, not {live.shape[0]}")
    if queries.shape[1] != dim:
        raise ValueError(f"queries must be as long as the vectors, {dim}, not {queries.shape[1]}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    rows = np.full((m, k), -1, dtype=np.int64)
    likeness = np.full((m, k), -INFINITY, dtype=np.float32)
    cdef long long[:, ::1] rows_view = rows
    cdef float[:, ::1] likeness_view = likeness
    if n and m and dim:
        with nogil:
            _scan(vectors, live, queries, distance, rows_view, likeness_view)
    return rows, likeness


cdef void _scan(const float[:, ::1] vectors, const unsigned char[::1] live,
                const float[:, ::1] queries, bint distance, long long[:, ::1] rows,
                float[:, ::1] likeness) noexcept nogil:
    """A block of rows stays in the cache while all queries are compared with it."""
    cdef Py_ssize_t n = vectors.shape[0], dim = vectors.shape[1], start = 0, count, query, i
    cdef Py_ssize_t last = rows.shape[1] - 1
    cdef float found[BLOCK]
    while start < n:
        count = min(<Py_ssize_t>BLOCK, n - start)
        for query in range(queries.shape[0]):
            compare(&vectors[start, 0], &queries[query, 0], count, dim, distance, found)
            for i in range(count):
                if found[i] > likeness[query, last] and live[start + i]:
                    insert(&rows[query, 0], &likeness[query, 0], last, start + i, found[i])
        start += count
