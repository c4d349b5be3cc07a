"""From vectors to people: who in a collection a face is like, and how much, 0 to 100."""

import math

import numpy as np
from numpy.typing import NDArray

from onlooker.card import Calibration, Space
from onlooker.identity.index import Hit, Index, Method
from onlooker.identity.store import FaceStore
from onlooker.types import Identity

EQUAL_COSINE = 0.9999
EQUAL_DISTANCE = 0.02
"""Vectors nearer than this are of the same picture. The distance is that cosine's for vectors of
length 1.4, as dlib's are."""


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


class Matcher:
    """Names faces: vectors (n, dim) of `space` in, identities out.

    `threshold` is the least Similarity, `max_faces` the most identities of one face. Raises
    CollectionNotFound, and ModelMismatch for a collection that another embedder's vectors are in.
    """

    def __init__(
        self,
        store: FaceStore,
        collection: str,
        space: Space,
        threshold: float = 80.0,
        max_faces: int = 5,
        method: Method = "auto",
    ) -> None:
        self._calibration = space.calibration
        self._index = Index(store, collection, space.name, space.calibration.metric, method)
        self._threshold = threshold
        self._max_faces = max_faces

    def __call__(self, vectors: NDArray[np.float32]) -> list[tuple[Identity, ...]]:
        """Identities of each vector, best first; empty where nobody is like enough."""
        found = self._index.search(vectors, self._max_faces)
        return [tuple(self._identities(hits)) for hits in found]

    def _identities(self, hits: list[Hit]) -> list[Identity]:
        identities = [
            Identity(similarity=similarity(hit.value, self._calibration), face=hit.face)
            for hit in hits
        ]
        return [one for one in identities if one.similarity >= self._threshold]
