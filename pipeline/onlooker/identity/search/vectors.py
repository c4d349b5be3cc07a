"""The vectors of a collection in memory, ordered by change number, and the nearest of them.

Rows are only appended, and marked as deleted in place, so a view that a search holds stays valid
while other threads add and delete.
"""

import functools
import hashlib
import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.faces import Metric, Vectors
from onlooker.identity.search import quantized
from onlooker.identity.search.exact import largest_products, smallest_distances

Numbers: TypeAlias = NDArray[np.int64]
"""Change numbers of faces or users."""

QUANTIZED_MIN_ROWS = 1_000
"""Rows from which quantised vectors are faster than an exact scan (`bench/bench_search.py`)."""
CANDIDATES_PER_RESULT = 10
"""Rows compared exactly for each result wanted; the square root of all rows is added. With these
the quantised search finds 99 % of the ten nearest among ten thousand and among a million vectors,
also if no two are of one person."""


class View(NamedTuple):
    """The rows as of one moment, except that later deletions show in `live`."""

    numbers: Numbers
    """(n,) change numbers, ascending."""
    vectors: Vectors
    """(n, dim)"""
    live: NDArray[np.uint8]
    """(n,) 0 for a deleted row."""
    codes: NDArray[np.uint8] | None = None
    """Quantised vectors, if they have length 1: see `onlooker.identity.search.quantized`."""

    def only(self, numbers: Numbers) -> "View":
        """Return copies of the rows of these numbers, in order; missing ones are left out."""
        rows = self.rows(np.unique(numbers))
        return View(self.numbers[rows], self.vectors[rows], self.live[rows])

    def rows(self, numbers: Numbers) -> NDArray[np.intp]:
        """Return the positions of these numbers; missing ones are left out."""
        rows = np.searchsorted(self.numbers, numbers)
        inside = rows < len(self.numbers)
        rows, numbers = rows[inside], numbers[inside]
        return np.asarray(rows[self.numbers[rows] == numbers])

    def nearest(
        self, queries: Vectors, k: int, metric: Metric, exact: bool = False
    ) -> tuple[Numbers, Vectors]:
        """Return numbers and values (m, min(k, n)) of the nearest live rows, best first.

        A value is the cosine or the Euclidean distance. If fewer rows are live, the rest has
        number 0. Quantised vectors may preselect the rows to compare, except if `exact`.
        """
        count = len(self.numbers)
        k = min(k, count)
        if k == 0:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        candidates = CANDIDATES_PER_RESULT * k + math.isqrt(count)
        if metric == "euclidean":
            rows, values = smallest_distances(self.vectors, self.live, queries, k)
            values = np.sqrt(values)
        elif exact or self.codes is None or count < max(QUANTIZED_MIN_ROWS, 4 * candidates):
            rows, values = largest_products(self.vectors, self.live, queries, k)
        else:
            rows, values = quantized.largest_products(
                self.vectors, self.codes, self.live, queries, rotated(queries), k, candidates
            )
        return np.where(rows < 0, 0, self.numbers[rows]), values


class VectorTable:
    """A growing table of vectors of one length, quantised too if they are compared by cosine."""

    def __init__(self, metric: Metric) -> None:
        self.alive = 0
        """Rows that are not deleted."""
        self._quantized = metric == "cosine" and quantized.is_supported()
        self._count = 0
        self._space = View(
            np.empty(0, np.int64), np.empty((0, 0), np.float32), np.empty(0, np.uint8)
        )

    def __len__(self) -> int:
        """Return the number of rows, deleted ones included."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Memory that is allocated."""
        return sum(array.nbytes for array in self._space if array is not None)

    @property
    def view(self) -> View:
        """All rows."""
        numbers, vectors, live, codes = self._space
        count = self._count
        return View(numbers[:count], vectors[:count], live[:count], codes)

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        """Append rows. The numbers are ascending and greater than all before."""
        first, self._count = self._count, self._count + len(numbers)
        if self._count > len(self._space.numbers):
            self._grow(first, 2 * self._count, vectors.shape[1])
        self._space.numbers[first : self._count] = numbers
        self._space.vectors[first : self._count] = vectors
        self._space.live[first : self._count] = 1
        if self._space.codes is not None:
            quantized.encode(self._space.codes, first, rotated(vectors))
        self.alive += len(numbers)

    def delete(self, numbers: Numbers) -> None:
        """Mark rows as deleted; unknown numbers are ignored."""
        self.alive -= mark_deleted(self.view, numbers)
        if self.alive < self._count // 2:
            left = self.view
            alive = left.live == 1
            self._count, self.alive = 0, 0
            self._space = View(left.numbers[:0], left.vectors[:0], left.live[:0])
            if alive.any():
                self.add(left.numbers[alive], left.vectors[alive])

    def _grow(self, count: int, space: int, dim: int) -> None:
        old = self._space
        self._space = View(
            np.zeros(space, np.int64),
            np.zeros((space, dim), np.float32),
            np.zeros(space, np.uint8),
            quantized.empty(space, dim) if self._quantized else None,
        )
        if count:
            self._space.numbers[:count] = old.numbers[:count]
            self._space.vectors[:count] = old.vectors[:count]
            self._space.live[:count] = old.live[:count]
            if old.codes is not None and self._space.codes is not None:
                self._space.codes[: len(old.codes)] = old.codes


def mark_deleted(view: View, numbers: Numbers) -> int:
    """Mark rows as deleted in place, and return how many were not deleted before."""
    rows = view.rows(np.unique(numbers))
    count = int(np.count_nonzero(view.live[rows]))
    view.live[rows] = 0
    return count


def rotated(vectors: Vectors) -> Vectors:
    """Return vectors (n, dim) of length 1 in the form that is quantised.

    The rotation makes all components alike; the scale gives them a standard deviation of 1.
    """
    return vectors @ _rotation(vectors.shape[1])


@functools.cache
def _rotation(dim: int) -> Vectors:
    """Return a fixed random rotation (dim, dim), times the square root of `dim`."""
    # Not from a random number generator: those may change, and quantised vectors are kept in files.
    seed = hashlib.shake_256(b"onlooker codes").digest(4 * dim * dim)
    chance = np.frombuffer(seed, "<u4").reshape(dim, dim) / 2.0**31 - 1
    return np.asarray(np.linalg.qr(chance)[0] * np.sqrt(dim), np.float32)
