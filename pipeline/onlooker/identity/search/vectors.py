"""Vectors of a collection, in the order of their faces' change numbers, and which are nearest.

Rows are only ever added behind the others and marked dead in place, so a view that a search took
stays good while others add and delete.
"""

import functools
import hashlib
import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.search import quantized
from onlooker.identity.search.exact import closest, most_alike

Metric: TypeAlias = Literal["cosine", "euclidean"]

Numbers: TypeAlias = NDArray[np.int64]
Vectors: TypeAlias = NDArray[np.float32]
Codes: TypeAlias = NDArray[np.uint8]

CODES_FROM = 1_000
"""Rows from which codes are faster than comparing every vector (`bench/bench_search.py`)."""
LOOKED_AT = 10
"""Rows that codes choose to be compared exactly: so many for each one wanted, and the root of all.
They have 99 % of the ten nearest of ten thousand as of a million, even where all are strangers."""


class View(NamedTuple):
    """Rows as they were at one moment, but for those marked dead since."""

    numbers: Numbers
    """(n,) change numbers of the faces, ascending."""
    vectors: Vectors
    """(n, dim)"""
    live: NDArray[np.uint8]
    """(n,) 0 where the face was deleted."""
    codes: Codes | None = None
    """Of vectors of length 1: see `onlooker.identity.search.quantized`."""

    def only(self, numbers: Numbers) -> "View":
        """Copies of the rows of these faces, as far as they are here, in order."""
        rows = self.rows(np.unique(numbers))
        return View(self.numbers[rows], self.vectors[rows], self.live[rows])

    def rows(self, numbers: Numbers) -> NDArray[np.intp]:
        """Where these numbers are, for those that are here."""
        rows = np.searchsorted(self.numbers, numbers)
        inside = rows < len(self.numbers)
        rows, numbers = rows[inside], numbers[inside]
        return np.asarray(rows[self.numbers[rows] == numbers])

    def nearest(
        self, queries: Vectors, k: int, metric: Metric, exact: bool = False
    ) -> tuple[Numbers, Vectors]:
        """Numbers and values (m, min(k, n)) of the nearest live rows, best first.

        A value is the cosine or the Euclidean distance; behind the last the number is 0. Unless
        `exact`, codes may choose whom to compare.
        """
        count = len(self.numbers)
        k = min(k, count)
        if k == 0:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        looked_at = LOOKED_AT * k + math.isqrt(count)
        if metric == "euclidean":
            rows, values = closest(self.vectors, self.live, queries, k)
            values = np.sqrt(values)
        elif exact or self.codes is None or count < max(CODES_FROM, 4 * looked_at):
            rows, values = most_alike(self.vectors, self.live, queries, k)
        else:
            rows, values = quantized.most_alike(
                self.vectors, self.codes, self.live, queries, turned(queries), k, looked_at
            )
        return np.where(rows < 0, 0, self.numbers[rows]), values


class Rows:
    """Vectors of one length, as many as come; with codes where they are compared by the cosine."""

    def __init__(self, metric: Metric) -> None:
        self.alive = 0
        self._coded = metric == "cosine" and quantized.fast()
        self._count = 0
        self._space = View(
            np.empty(0, np.int64), np.empty((0, 0), np.float32), np.empty(0, np.uint8)
        )

    def __len__(self) -> int:
        """Rows, dead ones too."""
        return self._count

    @property
    def view(self) -> View:
        """All rows."""
        numbers, vectors, live, codes = self._space
        count = self._count
        return View(numbers[:count], vectors[:count], live[:count], codes)

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        """Put faces behind the others; their numbers are greater than all that are here."""
        first, self._count = self._count, self._count + len(numbers)
        if self._count > len(self._space.numbers):
            self._grow(first, 2 * self._count, vectors.shape[1])
        self._space.numbers[first : self._count] = numbers
        self._space.vectors[first : self._count] = vectors
        self._space.live[first : self._count] = 1
        if self._space.codes is not None:
            quantized.write(self._space.codes, first, turned(vectors))
        self.alive += len(numbers)

    def delete(self, numbers: Numbers) -> None:
        """Mark faces dead; numbers that are not here do not matter."""
        self.alive -= bury(self.view, numbers)
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
            quantized.space(space, dim) if self._coded else None,
        )
        if count:
            self._space.numbers[:count] = old.numbers[:count]
            self._space.vectors[:count] = old.vectors[:count]
            self._space.live[:count] = old.live[:count]
            if old.codes is not None and self._space.codes is not None:
                self._space.codes[: len(old.codes)] = old.codes


def bury(view: View, numbers: Numbers) -> int:
    """Mark faces dead in place; how many of them were alive."""
    rows = view.rows(np.unique(numbers))
    dead = int(np.count_nonzero(view.live[rows]))
    view.live[rows] = 0
    return dead


def turned(vectors: Vectors) -> Vectors:
    """Vectors (n, dim) of length 1 as codes are made from them."""
    return vectors @ _rotation(vectors.shape[1])


@functools.cache
def _rotation(dim: int) -> Vectors:
    """Some rotation of space, always the same one, times the root of its dimensions."""
    # Not of a generator of random numbers: those may change, and codes are kept in files.
    seed = hashlib.shake_256(b"onlooker codes").digest(4 * dim * dim)
    chance = np.frombuffer(seed, "<u4").reshape(dim, dim) / 2.0**31 - 1
    return np.asarray(np.linalg.qr(chance)[0] * np.sqrt(dim), np.float32)
