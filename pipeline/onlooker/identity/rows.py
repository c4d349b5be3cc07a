"""The vectors of a collection in memory, in the order of their faces' change numbers.

Rows are only ever added behind the others and marked dead in place, so a view that a search took
stays good while others add and delete.
"""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.scan import closest, most_alike

Metric: TypeAlias = Literal["cosine", "euclidean"]

Numbers: TypeAlias = NDArray[np.int64]
Vectors: TypeAlias = NDArray[np.float32]


class View(NamedTuple):
    """Rows as they were at one moment, but for those marked dead since."""

    numbers: Numbers
    """(n,) change numbers of the faces, ascending."""
    vectors: Vectors
    """(n, dim)"""
    live: NDArray[np.uint8]
    """(n,) 0 where the face was deleted."""

    def after(self, number: int) -> "View":
        """The rows of faces with a greater number."""
        return self.at(slice(int(np.searchsorted(self.numbers, number, side="right")), None))

    def only(self, numbers: Numbers) -> "View":
        """The rows of these faces, as far as they are here, in order."""
        wanted = np.unique(numbers)
        rows = np.searchsorted(self.numbers, wanted)
        rows = rows[rows < len(self.numbers)]
        rows = rows[np.isin(self.numbers[rows], wanted)]
        return self.at(rows)

    def at(self, rows: slice | NDArray[np.intp] | NDArray[np.bool]) -> "View":
        """Some of the rows: a slice of them shares their memory, others are copies."""
        return View(self.numbers[rows], self.vectors[rows], self.live[rows])

    def nearest(self, queries: Vectors, k: int, metric: Metric) -> tuple[Numbers, Vectors]:
        """Numbers and values (m, min(k, n)) of the nearest live rows, best first.

        A value is the cosine or the Euclidean distance; behind the last the number is 0.
        """
        k = min(k, len(self.numbers))
        if k == 0:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        if metric == "cosine":
            rows, values = most_alike(self.vectors, self.live, queries, k)
        else:
            rows, values = closest(self.vectors, self.live, queries, k)
            values = np.sqrt(values)
        return np.where(rows < 0, 0, self.numbers[rows]), values


class Rows:
    """Vectors of one length, as many as come."""

    def __init__(self) -> None:
        self.alive = 0
        self._count = 0
        self._view = View(
            np.empty(0, np.int64), np.empty((0, 0), np.float32), np.empty(0, np.uint8)
        )

    @property
    def view(self) -> View:
        """All rows."""
        return self._view.at(slice(self._count))

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        """Put faces behind the others; their numbers are greater than all that are here."""
        first, self._count = self._count, self._count + len(numbers)
        if self._count > len(self._view.numbers):
            self._view = _roomier(self._view.at(slice(first)), 2 * self._count, vectors.shape[1])
        self._view.numbers[first : self._count] = numbers
        self._view.vectors[first : self._count] = vectors
        self._view.live[first : self._count] = 1
        self.alive += len(numbers)

    def delete(self, numbers: Numbers) -> None:
        """Mark faces dead; numbers that are not here do not matter."""
        view = self.view
        dead = np.isin(view.numbers, numbers) & (view.live == 1)
        view.live[dead] = 0
        self.alive -= int(np.count_nonzero(dead))
        if self.alive < self._count // 2:
            self._view = view.at(view.live == 1)
            self._count = self.alive


def _roomier(view: View, space: int, dim: int) -> View:
    """The same rows, with space for more behind them."""
    count = len(view.numbers)
    numbers = np.zeros(space, np.int64)
    vectors = np.zeros((space, dim), np.float32)
    live = np.zeros(space, np.uint8)
    if count:
        numbers[:count], vectors[:count], live[:count] = view
    return View(numbers, vectors, live)
