"""The search index of a collection, derived from the store and rebuilt from it at any time.

Every search first applies the store's latest changes, so a face that any process added is found by
the next search, and a deleted one is not. The collection's method decides which faces are compared:

* `auto`: from QUANTIZED_MIN_ROWS faces on, vectors quantised to two bits a number preselect some
  hundreds (`onlooker.identity.search.quantized`). All are compared if there are fewer, or if
  vectors are compared by distance.
* `exact`: all are compared.
* `annoy`: Annoy's trees preselect faces of the file, and the others are searched as in `auto`.

The values of what is found are exact with each method. A large collection has a file that all
processes map (`onlooker.identity.search.index_file`), written in the background by a process of its
own (`onlooker.identity.search.index_builder`).
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from onlooker.identity import changes
from onlooker.identity.errors import CollectionNotFound, StoreClosed, StoreError
from onlooker.identity.faces import Kind, Metric, User, Vectors
from onlooker.identity.search import index_file
from onlooker.identity.search.index_builder import Builder, BuildError
from onlooker.identity.search.replica import Replica, check_lengths
from onlooker.identity.search.vectors import Numbers
from onlooker.identity.store import Store
from onlooker.sql import Transactions
from onlooker.types import StoredFace

T = TypeVar("T")

MAX_CACHED_ENTRIES = 10_000
"""Faces or users kept in memory while nothing changes."""
ENTRY_BYTES = 800
"""Approximate memory of one of them."""
EMPTY_INDEX_BYTES = 8_000
"""Approximate memory of an index besides vectors and entries."""
BUILD_RETRY_SECONDS = 60.0
"""Time until a file that could not be written is tried again."""

logger = logging.getLogger(__name__)


class Found(NamedTuple, Generic[T]):
    """A face or user that was found, and how near it is."""

    entry: T
    value: float
    """The cosine, or the Euclidean distance."""


class Index(Generic[T]):
    """The nearest faces or users of a collection for vectors of `model`, compared by `metric`.

    Threads may search at the same time. Raises CollectionNotFound and ModelMismatch; so does each
    search, as another process may have deleted the collection.
    """

    def __init__(
        self,
        store: Store,
        collection: str,
        model: str,
        metric: Metric,
        kind: Kind,
        read: Callable[[Transactions, Sequence[int]], dict[int, T]],
    ) -> None:
        self._read = functools.partial(read, store.database)
        self._lock = threading.Lock()
        self._entries: dict[int, T] = {}
        self._replica = Replica(store, collection, model, metric, kind)
        self._renewal: threading.Thread | None = None
        self._builder: Builder | None = None
        self._next_build = 0.0
        self._closed = False
        with self._lock:
            self._renew_if_stale()

    def __len__(self) -> int:
        """Return the number of vectors as of the last search."""
        return len(self._replica)

    @property
    def replica(self) -> Replica:
        """The vectors that are searched now."""
        return self._replica

    @property
    def nbytes(self) -> int:
        """Approximate memory of this process; mapped files do not count."""
        return EMPTY_INDEX_BYTES + self._replica.nbytes + ENTRY_BYTES * len(self._entries)

    def search(self, vectors: Vectors, k: int) -> list[list[Found[T]]]:
        """Return the k nearest for each vector (n, dim), best first; fewer if there are fewer.

        Raises ValueError for vectors of another length, or not of length 1 if the metric is the
        cosine.
        """
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        with self._lock:
            replica = self._replica
            if replica.catch_up():
                self._entries = {}  # a face's user may have changed
                self._renew_if_stale()
            elif len(self._entries) > MAX_CACHED_ENTRIES:
                self._entries = {}
            views, entries = replica.views(), self._entries
        dim = (views.recent if views.mapped is None else views.mapped).vectors.shape[1]
        if not len(queries) or not dim:
            return [[] for _ in queries]
        if queries.ndim != 2 or queries.shape[1] != dim:
            raise ValueError(
                f"vectors of shape {queries.shape}, but the collection {replica.collection} holds "
                f"vectors of {dim} numbers"
            )
        check_lengths(queries, replica.metric)
        numbers, values = views.nearest(queries, k, replica.metric)
        self._fetch(numbers, entries)
        # Another process may have deleted one since, which is not in the store any more.
        return [
            [
                Found(entries[number], value)
                for number, value in zip(row, nearness, strict=True)
                if number in entries
            ]
            for row, nearness in zip(numbers.tolist(), values.tolist(), strict=True)
        ]

    def wait(self, timeout: float | None = None) -> None:
        """Wait, up to `timeout` seconds, for a file that is being written."""
        if (renewal := self._renewal) is not None:
            renewal.join(timeout)

    def close(self, finish_seconds: float = 0.0) -> None:
        """Wait this long for a file that is being written, then end its builder."""
        if finish_seconds > 0:
            self.wait(finish_seconds)
        with self._lock:
            self._closed = True
            builder = self._builder
        if builder is not None:
            builder.stop()

    def _renew_if_stale(self) -> None:
        """Start the renewal of the file, if one pays. The caller holds the lock."""
        if (
            self._renewal is None
            and not self._closed
            and time.monotonic() >= self._next_build
            and self._replica.is_stale()
        ):
            self._renewal = threading.Thread(target=self._renew, name="index", daemon=True)
            self._renewal.start()

    def _renew(self) -> None:
        """Have the file written, unless another process did, and map the new one."""
        old = self._replica
        key = (old.collection, old.model, old.metric, old.kind)
        try:
            if index_file.read_manifest(old.base) == old.seen:
                builder = Builder(old.store.path, *key, old.store.url)
                with self._lock:
                    self._builder = builder
                    if self._closed:
                        builder.stop()
                builder.run()
            if self._closed:
                return
            new = Replica(old.store, *key)
            with self._lock:
                self._replica, self._entries = new, {}
        except (CollectionNotFound, StoreClosed):
            pass  # no further search will come
        except (StoreError, OSError, BuildError) as error:
            logger.warning("%s: no new index file, searching without: %s", old.collection, error)
            self._next_build = time.monotonic() + BUILD_RETRY_SECONDS
        finally:
            self._renewal = self._builder = None

    def _fetch(self, numbers: Numbers, entries: dict[int, T]) -> None:
        """Add the entries of these numbers to `entries`."""
        wanted = {number for row in numbers.tolist() for number in row}
        if missing := [number for number in wanted if number and number not in entries]:
            entries.update(self._read(missing))


class FaceIndex(Index[StoredFace]):
    """The nearest faces."""

    def __init__(
        self, store: Store, collection: str, model: str, metric: Metric = "cosine"
    ) -> None:
        super().__init__(store, collection, model, metric, "faces", changes.faces_at)


class UserIndex(Index[User]):
    """The nearest users, by the mean of their faces' vectors."""

    def __init__(
        self, store: Store, collection: str, model: str, metric: Metric = "cosine"
    ) -> None:
        super().__init__(store, collection, model, metric, "users", changes.users_at)
