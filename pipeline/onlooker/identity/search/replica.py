"""This process's copy of a collection's vectors: those of a mapped file, and newer ones."""

import logging
import time
from typing import NamedTuple

import numpy as np

from onlooker.identity import changes, index_paths
from onlooker.identity.errors import ModelMismatch, mismatch
from onlooker.identity.faces import Kind, Method, Metric, Vectors, are_off
from onlooker.identity.search import index_file
from onlooker.identity.search.index_file import IndexFile, Trees
from onlooker.identity.search.vectors import Numbers, VectorTable, View, mark_deleted
from onlooker.identity.store import Store

MIN_FILE_CHANGES = 10_000
"""Changes from which a new file pays: reading these from the store takes a tenth of a second."""
MIN_FILE_CHANGED = 0.2
"""At least this share of the rows in the file must have changed, too."""
SAMPLES = 16
"""Vectors of a file that are compared with the store's before the file is used."""

logger = logging.getLogger(__name__)


class Views(NamedTuple):
    """All vectors of a collection at one moment."""

    mapped: View | None
    recent: View
    trees: Trees | None
    """Annoy over the mapped vectors, if it is to choose among them."""
    exact: bool

    def nearest(self, queries: Vectors, k: int, metric: Metric) -> tuple[Numbers, Vectors]:
        """Return numbers and values (m, up to k) of the nearest, best first; the rest is 0."""
        numbers, values = self.recent.nearest(queries, k, metric, self.exact)
        if self.mapped is None:
            return numbers, values
        if self.trees is None:
            mapped, nearness = self.mapped.nearest(queries, k, metric, self.exact)
        else:
            mapped, nearness = self._by_annoy(self.mapped, self.trees, queries, k, metric)
        if not numbers.shape[1]:
            return mapped, nearness
        # The mapped ones come first: their numbers are lower, and a lower number wins a tie.
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
        wanted = min(k, int(np.count_nonzero(view.live)))
        for row, query in enumerate(queries):
            few = view.only(trees.candidates(query, k, view))
            if np.count_nonzero(few.live) < wanted:  # most of what Annoy visits may be deleted
                few = view
            found, nearness = few.nearest(query[None], k, metric, exact=True)
            numbers[row, : found.shape[1]] = found
            values[row, : found.shape[1]] = nearness
        return numbers, values


class Replica:
    """The vectors of a collection, as of the change number of the last `catch_up`.

    Not for several threads at once, except what `views` returned. Raises CollectionNotFound, and
    ModelMismatch if the collection's vectors are not of `model`. `catch_up` raises both too:
    another process may delete the collection, and create it for another model.
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
        self.base = index_paths.base_path(store.index_folder, collection, model, kind)
        self._number = -1
        self.key = store.key
        """The store's, with the history to which the change number belongs."""
        self._mapped: IndexFile | None = None
        self._recent = VectorTable(metric)
        self.seen = index_file.read_manifest(self.base)
        """The manifest that was there, whether its files could be used or not."""
        self._load()
        self.catch_up()

    def __len__(self) -> int:
        """Return the number of vectors."""
        mapped = 0 if self._mapped is None else int(np.count_nonzero(self._mapped.view.live))
        return mapped + self._recent.alive

    @property
    def number(self) -> int:
        """The change number up to which this is complete."""
        return self._number

    @property
    def is_mapped(self) -> bool:
        """Whether a file is in use."""
        return self._mapped is not None

    @property
    def nbytes(self) -> int:
        """This process's own memory; mapped files, which processes share, do not count."""
        mapped = 0 if self._mapped is None else self._mapped.view.live.nbytes
        return mapped + self._recent.nbytes

    def views(self) -> Views:
        """Return what a search needs, valid while others catch up."""
        mapped = self._mapped
        annoy = mapped.trees if mapped is not None and self.method == "annoy" else None
        return Views(
            mapped=None if mapped is None else mapped.view,
            recent=self._recent.view,
            trees=annoy,
            exact=self.method == "exact",
        )

    def is_stale(self) -> bool:
        """Return whether so much has changed since the file was written that a new one pays."""
        if self._mapped is None:
            return len(self._recent) >= MIN_FILE_CHANGES
        if self.method == "annoy" and self._mapped.trees is None:
            return True
        live = self._mapped.view.live
        changed = len(self._recent) + len(live) - int(np.count_nonzero(live))
        return changed >= max(MIN_FILE_CHANGES, MIN_FILE_CHANGED * len(live))

    def catch_up(self) -> bool:
        """Apply all that was committed since the last time, and return whether anything was."""
        changed = False
        while self._is_behind():
            new = changes.after(self.store.database, self.collection, self._number, self.kind)
            if new.model != self.model:
                raise mismatch(self.collection, new.model, self.model)
            if new.metric != self.metric:
                raise ModelMismatch(
                    f"vectors in the collection {self.collection} are compared by {new.metric}, "
                    f"and now {self.model} is to be compared by {self.metric}: index the images "
                    "into a new collection"
                )
            if new.reset:
                self._mapped, self._recent = None, VectorTable(self.metric)
            self.method = new.method
            self._recent.delete(new.deleted)
            if self._mapped is not None:
                mark_deleted(self._mapped.view, new.deleted)
            if len(new.added):
                vectors = new.vectors
                if self.kind == "users" and self.metric == "cosine":
                    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
                check_lengths(vectors, self.metric)
                self._recent.add(new.added, vectors)
            self._number = new.number
            changed = True
        return changed

    def _is_behind(self) -> bool:
        last = self._last()
        if self.key != self.store.key:
            self.key, self._number = self.store.key, -1  # changes may be lost, and others made
        return self.method is None or last != self._number

    def _last(self) -> int:
        return changes.last(self.store.database, self.collection)

    def _load(self) -> None:
        """Map the file, if there is a good one."""
        began = time.perf_counter()
        try:
            found = index_file.load(self.base, self.key, self.metric)
        except OSError as error:
            logger.warning("%s: cannot be read, searching without it: %s", self.base, error)
            return
        if found is not None and self._agrees(found):
            self._mapped, self._number = found, found.manifest.number
            seconds = time.perf_counter() - began
            logger.debug("%s: mapped %d in %.2f s", self.base, found.manifest.count, seconds)

    def _agrees(self, found: IndexFile) -> bool:
        """Return whether a file's vectors are the store's: an older copy of it may be back."""
        if found.manifest.number > self._last():
            return False
        if self.kind == "users":
            return True  # the file has them scaled to length 1
        numbers = found.view.numbers
        some = [*numbers[:: max(1, len(numbers) // SAMPLES)], *numbers[-SAMPLES:]]
        stored = changes.vectors_at(
            self.store.database, [int(number) for number in some], self.kind
        )
        rows = found.view.rows(np.array(list(stored), np.int64))
        return all(
            np.array_equal(found.view.vectors[row], vector)
            for row, vector in zip(rows, stored.values(), strict=True)
        )


def check_lengths(vectors: Vectors, metric: Metric) -> None:
    """Raise ValueError for a vector that is not of length 1 if it is compared by cosine."""
    if metric != "cosine":
        return
    off = are_off(vectors)
    if off.any():
        length = np.linalg.norm(vectors[np.argmax(off)])
        raise ValueError(f"a vector has length {length:.4f}; to be compared by cosine it needs 1")
