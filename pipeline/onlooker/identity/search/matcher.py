"""From vectors to people: who in a collection a face is like, and how much, 0 to 100."""

import math
import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.errors import CollectionNotFound
from onlooker.identity.faces import Kind, UserIdentity
from onlooker.identity.search.index import FaceIndex, Found, UserIndex
from onlooker.identity.store import Store
from onlooker.identity.user_table import Likeness
from onlooker.models.card import Calibration, Space
from onlooker.types import Identity

T = TypeVar("T")
R = TypeVar("R")

EQUAL_COSINE = 0.9999
EQUAL_DISTANCE = 0.02
"""Vectors nearer than this are of the same picture. The distance is that cosine's for vectors of
length 1.4, as dlib's are."""
FIRST = 32
"""How many are looked for at first; few searches find more that are like enough."""


def similarity(value: float, calibration: Calibration) -> float:
    """Rekognition's Similarity, 0 to 100, of a cosine or a Euclidean distance.

    The card's logistic curve, 100 / (1 + exp(-slope (value - midpoint))). The same picture is
    exactly 100, as it is in the real service.
    """
    cosine = calibration.metric == "cosine"
    if value >= EQUAL_COSINE if cosine else value <= EQUAL_DISTANCE:
        return 100.0
    # The same curve by its other name, which does not overflow.
    return 50 * (1 + math.tanh(calibration.slope * (value - calibration.midpoint) / 2))


def likeness(space: Space) -> Likeness:
    """How much a face's vector of `space` is like another one, or like a user's: the Similarity."""
    calibration = space.calibration

    def alike(face: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        if calibration.metric == "cosine":
            value = float(face @ other / (np.linalg.norm(face) * np.linalg.norm(other)))
        else:
            value = float(np.linalg.norm(face - other))
        return similarity(value, calibration)

    return alike


class Matcher:
    """Names faces by the collections of a store: vectors (n, dim) of `space` in, identities out.

    It keeps an index of each collection that was asked for, and each search sees every change
    that any process had committed before. Threads may search at the same time.
    """

    def __init__(self, store: Store, space: Space) -> None:
        self._store = store
        self._space = space
        self._lock = threading.Lock()
        self._faces: dict[str, FaceIndex] = {}
        self._users: dict[str, UserIndex] = {}

    def open(self, collection: str, kind: Kind = "faces") -> None:
        """Have an index ready. Raises CollectionNotFound and ModelMismatch, as each search does."""
        if kind == "faces":
            self._index(collection, self._faces, FaceIndex)
        else:
            self._index(collection, self._users, UserIndex)

    def faces(
        self,
        collection: str,
        vectors: NDArray[np.float32],
        threshold: float = 80.0,
        most: int = 4096,
    ) -> list[tuple[Identity, ...]]:
        """Stored faces of at least this Similarity for each vector, best first, `most` of them."""
        index = self._index(collection, self._faces, FaceIndex)
        found = self._like_enough(collection, index.search, vectors, threshold, most)
        return [
            tuple(Identity(similarity=value, face=face) for face, value in each) for each in found
        ]

    def users(
        self,
        collection: str,
        vectors: NDArray[np.float32],
        threshold: float = 80.0,
        most: int = 500,
    ) -> list[tuple[UserIdentity, ...]]:
        """The same for users, by the mean of their faces' vectors."""
        index = self._index(collection, self._users, UserIndex)
        found = self._like_enough(collection, index.search, vectors, threshold, most)
        return [
            tuple(UserIdentity(similarity=value, user=user) for user, value in each)
            for each in found
        ]

    def _index(self, collection: str, known: dict[str, R], make: Callable[..., R]) -> R:
        with self._lock:
            if collection not in known:
                known[collection] = make(
                    self._store, collection, self._space.name, self._space.calibration.metric
                )
            return known[collection]

    def _like_enough(
        self,
        collection: str,
        search: Callable[[NDArray[np.float32], int], list[list[Found[T]]]],
        vectors: NDArray[np.float32],
        threshold: float,
        most: int,
    ) -> list[list[tuple[T, float]]]:
        k = min(most, FIRST)
        while True:
            try:
                found = [self._judged(hits) for hits in search(vectors, k)]
            except CollectionNotFound:
                with self._lock:  # its indexes need no room any more
                    self._faces.pop(collection, None)
                    self._users.pop(collection, None)
                raise
            cut_off = any(len(each) == k and each[-1][1] >= threshold for each in found)
            if k == most or not cut_off:
                return [[one for one in each if one[1] >= threshold] for each in found]
            k = min(most, 8 * k)

    def _judged(self, hits: list[Found[T]]) -> list[tuple[T, float]]:
        return [(hit.what, similarity(hit.value, self._space.calibration)) for hit in hits]
