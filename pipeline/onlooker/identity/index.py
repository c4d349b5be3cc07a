"""What makes search fast, derived from the store and rebuilt from it at will.

Every search first catches up with the store's change number, so a face that any process added is
found by the next search. Vectors are kept in memory and scanned exactly; where there are very
many, Annoy names candidates among the faces of its file, and the exact scan ranks them together
with the faces added since.
"""

import logging
import threading
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.forest import Forest, Metric
from onlooker.identity.scan import closest, most_alike
from onlooker.identity.store import FaceStore, StoreError
from onlooker.types import StoredFace

Method = Literal["auto", "exact", "annoy"]

ANNOY_FROM = 500_000
"""Faces from which `auto` takes Annoy. `bench/bench_index.py`: to find nine of the ten nearest it
takes as long as looking at everything up to some hundred thousand faces."""
STALE = 0.2
"""Part of the faces that may be outside Annoy's file before it is made anew."""

log = logging.getLogger(__name__)


class ModelMismatch(StoreError):
    """The collection's vectors are another model's."""


class Hit(NamedTuple):
    """A face that was found, and how near it is."""

    face: StoredFace
    value: float
    """The cosine, or the Euclidean distance."""


class Index:
    """Nearest faces of a collection for vectors of `model`, compared by `metric`.

    `exact` scans everything, `annoy` keeps a file in the store's folder, `auto` chooses by the
    number of faces. Threads may search at the same time. Raises CollectionNotFound and
    ModelMismatch, at any search too: another process may delete the collection meanwhile.
    """

    def __init__(
        self,
        store: FaceStore,
        collection: str,
        model: str,
        metric: Metric = "cosine",
        method: Method = "auto",
    ) -> None:
        self._store = store
        self._collection = collection
        self._model = model
        self._metric: Metric = metric
        self._method = method
        self._lock = threading.Lock()
        self._number = -1
        self._rows = Rows.empty()
        self._forest: Forest | None = None
        self._faces: dict[int, StoredFace] = {}
        self._catch_up()

    def __len__(self) -> int:
        return self._rows.alive

    def search(self, vectors: NDArray[np.float32], k: int) -> list[list[Hit]]:
        """The k nearest faces of each vector (n, dim), best first; fewer where there are fewer.

        Raises ValueError for vectors of another length, or not of length 1 where the metric is
        the cosine.
        """
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        with self._lock:
            self._catch_up()
            rows, forest = self._rows, self._forest
        if not len(queries) or not rows.alive:
            return [[] for _ in queries]
        self._check(queries)
        if forest is None:
            found, values = rows.nearest(queries, k, self._metric)
        else:
            found, values = _near(forest, rows, queries, k, self._metric)
        return self._hits(found, values)
