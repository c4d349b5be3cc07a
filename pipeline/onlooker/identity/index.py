"""What makes search fast, derived from the store and rebuilt from it at will.

Every search first catches up with the store's change number, so a face that any process added is
found by the next search. Vectors are kept in memory and scanned exactly; where there are very
many, Annoy names candidates among the faces of its file, and the exact scan ranks them together
with the faces added since.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from onlooker.identity import forest
from onlooker.identity.collection import FaceStore, Kind, Method, StoreError, User
from onlooker.identity.rows import Metric, Numbers, Rows, Vectors
from onlooker.types import StoredFace

T = TypeVar("T")

ANNOY_FROM = 1_000_000
"""Faces from which `auto` takes Annoy. Measured with `bench/bench_scan.py`: where it finds 95 % of
the ten nearest of 100 000 or 400 000 faces it takes as long as the scan, which finds them all."""
log = logging.getLogger(__name__)


class ModelMismatch(StoreError):
    """The collection's vectors are another model's."""


class Found(NamedTuple, Generic[T]):
    """What was found, and how near it is."""

    what: T
    value: float
    """The cosine, or the Euclidean distance."""


class Index(Generic[T]):
    """Nearest faces or users of a collection for vectors of `model`, compared by `metric`.

    `exact` scans everything, `annoy` keeps a file in the store's folder, `auto` chooses by the
    number of faces. Threads may search at the same time. Raises CollectionNotFound and
    ModelMismatch, at any search too: another process may delete the collection meanwhile.
    """

    def __init__(
        self,
        store: FaceStore,
        collection: str,
        model: str,
        metric: Metric,
        kind: Kind,
        numbered: Callable[[Sequence[int]], dict[int, T]],
    ) -> None:
        self._store = store
        self._collection = collection
        self._model = model
        self._metric: Metric = metric
        self._kind: Kind = kind
        self._numbered = numbered
        self._lock = threading.Lock()
        self._forget()
        self._catch_up()

    def __len__(self) -> int:
        """Faces known by the last search."""
        return self._rows.alive

    def search(self, vectors: Vectors, k: int) -> list[list[Found[T]]]:
        """The k nearest faces of each vector (n, dim), best first; fewer where there are fewer.

        Raises ValueError for vectors of another length, or not of length 1 where the metric is
        the cosine.
        """
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        with self._lock:
            self._catch_up()
            view, trees = self._rows.view, self._trees
        if not len(queries) or not len(view.numbers):
            return [[] for _ in queries]
        if queries.ndim != 2 or queries.shape[1] != view.vectors.shape[1]:
            raise ValueError(
                f"vectors of shape {queries.shape}, but the collection {self._collection} holds "
                f"vectors of {view.vectors.shape[1]} numbers"
            )
        self._check_lengths(queries)
        if trees is None:
            return self._hits(*view.nearest(queries, k, self._metric))
        recent, _ = view.after(trees.number).nearest(queries, k, self._metric)
        hits: list[list[Found[T]]] = []
        for query, new in zip(queries, recent, strict=True):
            few = view.only(np.concatenate([trees.candidates(query, k, view), new]))
            hits += self._hits(*few.nearest(query[None], k, self._metric))
        return hits

    def _forget(self) -> None:
        self._number = -1
        self._method: Method = "auto"
        self._rows = Rows()
        self._trees: forest.Forest | None = None
        self._faces: dict[int, T] = {}

    def _catch_up(self) -> None:
        while self._store.change(self._collection) != self._number:
            changes = self._store.changes(self._collection, self._number, self._kind)
            if changes.model != self._model:
                raise ModelMismatch(
                    f"the collection {self._collection} holds vectors of {changes.model}, which "
                    f"cannot be compared with those of {self._model}: set embedder = "
                    f'"{changes.model}" under [faces], or index the pictures into a new collection'
                )
            if changes.reset:
                self._forget()
            self._method = changes.method
            self._faces.clear()  # whose they are may have changed
            self._rows.delete(changes.deleted)
            if len(changes.added):
                vectors = changes.vectors
                if self._kind == "users" and self._metric == "cosine":
                    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
                self._check_lengths(vectors)
                self._rows.add(changes.added, vectors)
            self._number = changes.number
        if self._method == "annoy" or (self._method == "auto" and len(self) >= ANNOY_FROM):
            self._plant()
        else:
            self._trees = None

    def _plant(self) -> None:
        """See to it that the trees hold most of the faces; without them search is exact."""
        view = self._rows.view
        if len(self) < forest.SMALL or (self._trees and not self._trees.is_stale(view)):
            return
        try:
            self._trees = forest.renew(self._place, view, self._metric) or self._trees
        except OSError as error:
            log.warning("%s: no Annoy file, searching exactly: %s", self._place, error)
            self._method = "exact"

    @property
    def _place(self) -> Path:
        """Of the files derived from the store, without a suffix. Any name fits into a digest."""
        name = f"{self._collection}|{self._model}|{self._kind}".encode()
        return self._store.folder / "index" / hashlib.sha256(name).hexdigest()[:32]

    def _check_lengths(self, vectors: Vectors) -> None:
        if self._metric != "cosine":
            return
        lengths = np.linalg.norm(vectors, axis=1)
        if not (np.abs(lengths - 1) < 1e-3).all():
            worst = lengths[np.argmax(np.abs(lengths - 1))]
            raise ValueError(
                f"a vector has length {worst:.4f}; to be compared by cosine it needs 1"
            )

    def _hits(self, numbers: Numbers, values: Vectors) -> list[list[Found[T]]]:
        missing = set(numbers[numbers > 0].tolist()) - self._faces.keys()
        if missing:
            self._faces.update(self._numbered(sorted(missing)))
        # One that was deleted a moment ago, by another process, is not there any more.
        return [
            [
                Found(self._faces[number], value)
                for number, value in zip(row, nearness, strict=True)
                if number in self._faces
            ]
            for row, nearness in zip(numbers.tolist(), values.tolist(), strict=True)
        ]


class FaceIndex(Index[StoredFace]):
    """Nearest faces."""

    def __init__(
        self, store: FaceStore, collection: str, model: str, metric: Metric = "cosine"
    ) -> None:
        super().__init__(store, collection, model, metric, "faces", store.numbered)


class UserIndex(Index[User]):
    """Nearest users, by the mean of their faces' vectors."""

    def __init__(
        self, store: FaceStore, collection: str, model: str, metric: Metric = "cosine"
    ) -> None:
        super().__init__(store, collection, model, metric, "users", store.numbered_users)
