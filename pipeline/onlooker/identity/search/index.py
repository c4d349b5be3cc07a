"""What makes search fast, derived from the store and rebuilt from it at will.

Every search first catches up with the store's change number, so a face that any process added is
found by the next search, and one that was deleted is not. Who is compared with whom is up to the
collection's method:

* `auto`: from CODES_FROM faces on, codes of two bits a number choose some hundreds, which are
  compared exactly (`onlooker.identity.search.quantized`). Fewer, or vectors that are compared by
  distance, are all compared.
* `exact`: all are compared.
* `annoy`: Annoy's trees choose among the faces in the file, and the others are searched as above.

What the values say is exact with each of them. Large collections have a file that all processes
map (`onlooker.identity.search.index_file`); it is written anew in the background by another
process.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from onlooker.identity import changes
from onlooker.identity.database import Database
from onlooker.identity.errors import CollectionNotFound, StoreClosed, StoreError
from onlooker.identity.faces import Kind, User
from onlooker.identity.search import index_builder, index_file
from onlooker.identity.search.replica import Mirror, check_lengths
from onlooker.identity.search.vectors import Metric, Numbers, Vectors
from onlooker.identity.store import Store
from onlooker.types import StoredFace

T = TypeVar("T")

REMEMBERED = 10_000
"""Faces whose names are kept for the next search while nothing changes."""
AGAIN = 60.0
"""Seconds until a file that could not be written is tried again."""

logger = logging.getLogger(__name__)


class Found(NamedTuple, Generic[T]):
    """What was found, and how near it is."""

    what: T
    value: float
    """The cosine, or the Euclidean distance."""


class Index(Generic[T]):
    """Nearest faces or users of a collection for vectors of `model`, compared by `metric`.

    Threads may search at the same time. Raises CollectionNotFound and ModelMismatch, at any search
    too: another process may delete the collection meanwhile.
    """

    def __init__(
        self,
        store: Store,
        collection: str,
        model: str,
        metric: Metric,
        kind: Kind,
        read: Callable[[Database, Sequence[int]], dict[int, T]],
    ) -> None:
        self._read = functools.partial(read, store.database)
        self._lock = threading.Lock()
        self._known: dict[int, T] = {}
        self._mirror = Mirror(store, collection, model, metric, kind)
        self._renewal: threading.Thread | None = None
        self._not_before = 0.0
        self._tend()

    def __len__(self) -> int:
        """Faces known by the last search."""
        return len(self._mirror)

    def search(self, vectors: Vectors, k: int) -> list[list[Found[T]]]:
        """The k nearest faces of each vector (n, dim), best first; fewer where there are fewer.

        Raises ValueError for vectors of another length, or not of length 1 where the metric is
        the cosine.
        """
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        with self._lock:
            mirror = self._mirror
            if mirror.catch_up():
                self._known = {}  # whose they are may have changed
                self._tend()
            elif len(self._known) > REMEMBERED:
                self._known = {}
            views, known = mirror.views(), self._known
        dim = (views.recent if views.mapped is None else views.mapped).vectors.shape[1]
        if not len(queries) or not dim:
            return [[] for _ in queries]
        if queries.ndim != 2 or queries.shape[1] != dim:
            raise ValueError(
                f"vectors of shape {queries.shape}, but the collection {mirror.collection} holds "
                f"vectors of {dim} numbers"
            )
        check_lengths(queries, mirror.metric)
        numbers, values = views.nearest(queries, k, mirror.metric)
        self._name(numbers, known)
        # One that was deleted a moment ago, by another process, is not there any more.
        return [
            [
                Found(known[number], value)
                for number, value in zip(row, nearness, strict=True)
                if number in known
            ]
            for row, nearness in zip(numbers.tolist(), values.tolist(), strict=True)
        ]

    def wait(self) -> None:
        """Until the file is as new as it was going to be; nobody has to."""
        if (renewal := self._renewal) is not None:
            renewal.join()

    def _tend(self) -> None:
        """See to it that a file holds most of the vectors."""
        if (
            self._renewal is None
            and self._mirror.is_stale()
            and time.monotonic() >= self._not_before
        ):
            self._renewal = threading.Thread(target=self._renew, name="index", daemon=True)
            self._renewal.start()

    def _renew(self) -> None:
        """Have the file written if nobody did, and begin to search the new one."""
        old = self._mirror
        asked = (old.collection, old.model, old.metric, old.kind)
        try:
            if index_file.read_manifest(old.place) == old.seen:
                index_builder.in_another_process(old.store.path, *asked)
            new = Mirror(old.store, *asked)
            with self._lock:
                self._mirror, self._known = new, {}
        except (CollectionNotFound, StoreClosed):
            pass  # nobody will search any more
        except (StoreError, OSError, index_builder.BuildError) as error:
            logger.warning("%s: no new index file, searching without: %s", old.collection, error)
            self._not_before = time.monotonic() + AGAIN
        finally:
            self._renewal = None

    def _name(self, numbers: Numbers, known: dict[int, T]) -> None:
        """Add to `known` who these are."""
        wanted = {number for row in numbers.tolist() for number in row}
        if missing := [number for number in wanted if number and number not in known]:
            known.update(self._read(missing))


class FaceIndex(Index[StoredFace]):
    """Nearest faces."""

    def __init__(
        self, store: Store, collection: str, model: str, metric: Metric = "cosine"
    ) -> None:
        super().__init__(store, collection, model, metric, "faces", changes.faces_at)


class UserIndex(Index[User]):
    """Nearest users, by the mean of their faces' vectors."""

    def __init__(
        self, store: Store, collection: str, model: str, metric: Metric = "cosine"
    ) -> None:
        super().__init__(store, collection, model, metric, "users", changes.users_at)
