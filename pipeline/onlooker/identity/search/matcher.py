"""From vectors to people: the faces and users of a collection that match, with their Similarity."""

import math
from collections.abc import Callable
from typing import TypeAlias, TypeVar, cast

import numpy as np

from onlooker.identity.errors import CollectionNotFound
from onlooker.identity.faces import (
    FACES_PER_PAGE,
    KINDS,
    MIN_SIMILARITY,
    USERS_PER_PAGE,
    Kind,
    UserIdentity,
    Vectors,
)
from onlooker.identity.search.index import FaceIndex, Found, UserIndex
from onlooker.identity.search.index_cache import MAX_BYTES, IndexCache
from onlooker.identity.store import Store
from onlooker.identity.user_table import Likeness
from onlooker.models.card import Calibration, Space
from onlooker.types import Identity

T = TypeVar("T")
AnyIndex: TypeAlias = FaceIndex | UserIndex

EQUAL_COSINE = 0.9999
EQUAL_DISTANCE = 0.02
"""Vectors at least this near are of the same image. The distance corresponds to the cosine for
vectors of length 1.4, as dlib's are."""
FIRST_RESULTS = 32
"""Results of the first search; few searches have more above the threshold."""


def similarity(value: float, calibration: Calibration) -> float:
    """Return Rekognition's Similarity, 0 to 100, of a cosine or a Euclidean distance.

    It is the card's logistic curve, 100 / (1 + exp(-slope (value - midpoint))), and exactly 100 for
    the same image, as in the real service.
    """
    cosine = calibration.metric == "cosine"
    if value >= EQUAL_COSINE if cosine else value <= EQUAL_DISTANCE:
        return 100.0
    # The same curve in a form that does not overflow.
    return 50 * (1 + math.tanh(calibration.slope * (value - calibration.midpoint) / 2))


def likeness(space: Space) -> Likeness:
    """Return the function from two vectors (dim,) of `space`, or means of some, to Similarity."""
    calibration = space.calibration

    def similarity_of(one: Vectors, other: Vectors) -> float:
        if calibration.metric == "cosine":
            value = float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
        else:
            value = float(np.linalg.norm(one - other))
        return similarity(value, calibration)

    return similarity_of


def similarities(vector: Vectors, others: Vectors, space: Space) -> list[float]:
    """Return the Similarity of a face's vector (dim,) of `space` to each of others (n, dim)."""
    calibration = space.calibration
    if calibration.metric == "cosine":
        values = others @ vector
    else:
        values = np.linalg.norm(others - vector, axis=1)
    return [similarity(value, calibration) for value in values.tolist()]


class Matcher:
    """Search in the collections of a store for vectors (n, dim) of `space`.

    It keeps an index of each collection that was searched lately, up to `max_bytes`. Each search
    includes every change that any process committed before it began. Threads may search at the same
    time.
    """

    def __init__(self, store: Store, space: Space, *, max_bytes: int = MAX_BYTES) -> None:
        self._store = store
        self._space = space
        self._indexes: IndexCache[tuple[str, Kind], AnyIndex] = IndexCache(
            self._build, max_bytes=max_bytes
        )

    def close(self, finish_seconds: float = 0.0) -> None:
        """End all background work, after up to this many seconds for index files in progress."""
        self._indexes.close(finish_seconds)

    def prepare(self, collection: str, kind: Kind = "faces") -> None:
        """Build the index. Raises CollectionNotFound and ModelMismatch, as each search does."""
        self._indexes.get((collection, kind))

    def faces(
        self,
        collection: str,
        vectors: Vectors,
        threshold: float = MIN_SIMILARITY,
        max_faces: int = FACES_PER_PAGE,
    ) -> list[tuple[Identity, ...]]:
        """Return for each vector the faces of at least this Similarity, best first."""
        index = cast(FaceIndex, self._indexes.get((collection, "faces")))
        found = self._matches(collection, index.search, vectors, threshold, max_faces)
        return [
            tuple(Identity(similarity=value, face=face) for face, value in each) for each in found
        ]

    def users(
        self,
        collection: str,
        vectors: Vectors,
        threshold: float = MIN_SIMILARITY,
        max_users: int = USERS_PER_PAGE,
    ) -> list[tuple[UserIdentity, ...]]:
        """Return the same for users, by the mean of their faces' vectors."""
        index = cast(UserIndex, self._indexes.get((collection, "users")))
        found = self._matches(collection, index.search, vectors, threshold, max_users)
        return [
            tuple(UserIdentity(similarity=value, user=user) for user, value in each)
            for each in found
        ]

    def _build(self, key: tuple[str, Kind]) -> AnyIndex:
        collection, kind = key
        make = FaceIndex if kind == "faces" else UserIndex
        return make(self._store, collection, self._space.name, self._space.calibration.metric)

    def _matches(
        self,
        collection: str,
        search: Callable[[Vectors, int], list[list[Found[T]]]],
        vectors: Vectors,
        threshold: float,
        limit: int,
    ) -> list[list[tuple[T, float]]]:
        k = min(limit, FIRST_RESULTS)
        while True:
            try:
                found = [self._rated(results) for results in search(vectors, k)]
            except CollectionNotFound:
                for kind in KINDS:
                    self._indexes.drop((collection, kind))
                raise
            cut_off = any(len(each) == k and each[-1][1] >= threshold for each in found)
            if k == limit or not cut_off:
                return [[one for one in each if one[1] >= threshold] for each in found]
            k = min(limit, 8 * k)

    def _rated(self, results: list[Found[T]]) -> list[tuple[T, float]]:
        return [(one.entry, similarity(one.value, self._space.calibration)) for one in results]
