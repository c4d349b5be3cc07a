"""A collection's vectors as one process has them: the mapped ones of a file, and those since."""

import logging
import time
from typing import NamedTuple

import numpy as np

from onlooker.identity import changes
from onlooker.identity.errors import mismatch
from onlooker.identity.faces import Kind, Method
from onlooker.identity.schema import are_off
from onlooker.identity.search import index_file
from onlooker.identity.search.index_file import Snapshot, Trees
from onlooker.identity.search.vectors import Metric, Numbers, Rows, Vectors, View, bury
from onlooker.identity.store import Store

FILE_FROM = 10_000
"""Changes from which a new file pays: so many are read from the store in a tenth of a second."""
STALE = 0.2
"""But not fewer than this part of the rows in the file."""
SAMPLES = 16

logger = logging.getLogger(__name__)


class Views(NamedTuple):
    """All vectors at one moment."""

    mapped: View | None
    recent: View
    trees: Trees | None
    """Over the mapped ones, where they are to be searched by Annoy."""
    exact: bool

    def nearest(self, queries: Vectors, k: int, metric: Metric) -> tuple[Numbers, Vectors]:
        """Numbers and values (m, up to k) of the nearest, best first; 0 behind the last."""
        numbers, values = self.recent.nearest(queries, k, metric, self.exact)
        if self.mapped is None:
            return numbers, values
        if self.trees is None:
            mapped, nearness = self.mapped.nearest(queries, k, metric, self.exact)
        else:
            mapped, nearness = self._by_annoy(self.mapped, self.trees, queries, k, metric)
        if not numbers.shape[1]:
            return mapped, nearness
        # The mapped ones first: their numbers are lower, and of equals the lower one wins.
        numbers = np.concatenate([mapped, numbers], axis=1)
        values = np.concatenate([nearness, values], axis=1)
        order = np.argsort(-values if metric == "cosine" else values, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(numbers, order, 1), np.take_along_axis(values, order, 1)

    @staticmethod
    def _by_annoy(
        view: View, trees: Trees, queries: Vectors, k: int, metric: Metric
    ) -> tuple[Numbers, Vectors]:
        numbers = np.zeros((len(queries), k), np.int64)
        values = np.full((len(queries), k), -np.inf if metric == "cosine" else np.inf, np.float32)
        for row, query in enumerate(queries):
            few = view.only(trees.candidates(query, k, view))
            found, nearness = few.nearest(query[None], k, metric, exact=True)
            numbers[row, : found.shape[1]] = found
            values[row, : found.shape[1]] = nearness
        return numbers, values


class Mirror:
    """Vectors of `model` in a collection, up to the change number of the last `catch_up`.

    Raises CollectionNotFound and ModelMismatch, at any catching up too: another process may delete
    the collection meanwhile.
    """

    def __init__(
        self, store: Store, collection: str, model: str, metric: Metric, kind: Kind
    ) -> None:
        self.store = store
        self.collection = collection
        self.model = model
        self.metric: Metric = metric
        self.kind: Kind = kind
        self.method: Method | None = None
        self.place = index_file.place_of(store.path.parent, collection, model, kind)
        self._number = -1
        self._mapped: Snapshot | None = None
        self._recent = Rows(metric)
        self.seen = index_file.read_manifest(self.place)
        """The manifest that there was, whether what it names could be used or not."""
        self._load()
        self.catch_up()

    def __len__(self) -> int:
        mapped = 0 if self._mapped is None else int(np.count_nonzero(self._mapped.view.live))
        return mapped + self._recent.alive

    @property
    def number(self) -> int:
        """The change number that this is as of."""
        return self._number

    @property
    def is_mapped(self) -> bool:
        """Whether there is a file under this."""
        return self._mapped is not None

    def views(self) -> Views:
        """What there is to search now."""
        mapped = self._mapped
        annoy = mapped.trees if mapped is not None and self.method == "annoy" else None
        return Views(
            mapped=None if mapped is None else mapped.view,
            recent=self._recent.view,
            trees=annoy,
            exact=self.method == "exact",
        )

    def is_stale(self) -> bool:
        """Whether so much has changed since the file was written that a new one pays."""
        if self._mapped is None:
            return len(self._recent) >= FILE_FROM
        if self.method == "annoy" and self._mapped.trees is None:
            return True
        live = self._mapped.view.live
        changed = len(self._recent) + len(live) - int(np.count_nonzero(live))
        return changed >= max(FILE_FROM, STALE * len(live))

    def catch_up(self) -> bool:
        """Take over what was committed since the last time; whether anything was."""
        changed = False
        while (
            self.method is None
            or changes.last(self.store.database, self.collection) != self._number
        ):
            new = changes.after(self.store.database, self.collection, self._number, self.kind)
            if new.model != self.model:
                raise mismatch(self.collection, new.model, self.model)
            if new.reset:
                self._mapped, self._recent = None, Rows(self.metric)
            self.method = new.method
            self._recent.delete(new.deleted)
            if self._mapped is not None:
                bury(self._mapped.view, new.deleted)
            if len(new.added):
                vectors = new.vectors
                if self.kind == "users" and self.metric == "cosine":
                    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
                check_lengths(vectors, self.metric)
                self._recent.add(new.added, vectors)
            self._number = new.number
            changed = True
        return changed

    def _load(self) -> None:
        began = time.perf_counter()
        try:
            found = index_file.load(self.place, self.store.key, self.metric)
        except OSError as error:
            logger.warning("%s: cannot be read, searching without it: %s", self.place, error)
            return
        if found is not None and self._is_ours(found):
            self._mapped, self._number = found, found.manifest.number
            seconds = time.perf_counter() - began
            logger.debug("%s: mapped %d in %.2f s", self.place, found.manifest.count, seconds)

    def _last(self) -> int:
        return changes.last(self.store.database, self.collection)

    def _is_ours(self, found: Snapshot) -> bool:
        """Whether it holds what the store does: an older copy of the store may be back."""
        if found.manifest.number > self._last():
            return False
        numbers = found.view.numbers
        some = [*numbers[:: max(1, len(numbers) // SAMPLES)], *numbers[-SAMPLES:]]
        there = changes.vectors_at(self.store.database, [int(number) for number in some], self.kind)
        rows = found.view.rows(np.array(list(there), np.int64))
        if self.kind == "users":
            return True  # their vectors were brought to length 1
        return all(
            np.array_equal(found.view.vectors[row], vector)
            for row, vector in zip(rows, there.values(), strict=True)
        )


def check_lengths(vectors: Vectors, metric: Metric) -> None:
    """ValueError for a vector that is not of length 1 where it is compared by the cosine."""
    if metric != "cosine":
        return
    off = are_off(vectors)
    if off.any():
        length = np.linalg.norm(vectors[np.argmax(off)])
        raise ValueError(f"a vector has length {length:.4f}; to be compared by cosine it needs 1")
