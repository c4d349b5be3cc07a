"""Search for the nearest vectors of a collection by PostgreSQL itself.

Small collections are compared as a whole. From MIN_INDEXED vectors on a collection gets an index of
pgvector (HNSW, over vectors of half precision), which is built in the background while others read
and write. It preselects candidates, which are ranked by their exact values. The index is part of
every change's transaction: a face is found by the next search, on every machine.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

import numpy as np
import psycopg

from onlooker.identity import schema
from onlooker.identity.errors import CollectionNotFound, ModelMismatch, StoreError, mismatch
from onlooker.identity.faces import Kind, Metric, User, Vectors
from onlooker.identity.postgres.postgres_connection import CANDIDATES, PostgresConnection
from onlooker.identity.postgres.postgres_database import PostgresDatabase
from onlooker.identity.postgres.postgres_tables import SCHEMA
from onlooker.identity.schema import Row, row_of
from onlooker.identity.search.index import Found
from onlooker.identity.search.replica import check_lengths
from onlooker.sql import Connection
from onlooker.types import StoredFace

T = TypeVar("T")

MIN_INDEXED = 10_000
"""Vectors from which an index pays: a scan of these takes some ten milliseconds."""
MAX_INDEXED_RESULTS = CANDIDATES // 2
"""Results up to which the index is asked, which has twice as many candidates; for more a scan is
surer."""
RETRY_SECONDS = 60.0
"""Time until an index that could not be built is tried again."""
NBYTES = 2_000
"""Approximate memory of this process for a collection."""
BUILD_MEMORY = "1GB"
"""The server's memory for building an index."""
OPERATORS: dict[tuple[Kind, Metric], tuple[str, str]] = {
    ("faces", "cosine"): ("<#>", "halfvec_ip_ops"),
    ("faces", "euclidean"): ("<->", "halfvec_l2_ops"),
    ("users", "cosine"): ("<=>", "halfvec_cosine_ops"),
    ("users", "euclidean"): ("<->", "halfvec_l2_ops"),
}
"""pgvector's operator and its class of indexes. The mean of a user's faces is not of length 1."""
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(?)"
"""Whether an index is complete; no row if there is none."""

logger = logging.getLogger(__name__)


class PostgresIndex(Generic[T]):
    """The nearest faces or users of a collection for vectors of `model`, compared by `metric`.

    Threads may search at the same time. Raises CollectionNotFound and ModelMismatch, as each search
    does.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        collection: str,
        model: str,
        metric: Metric,
        kind: Kind,
        columns: str,
        entry: Callable[[Any], T],
    ) -> None:
        self._database = database
        self._collection = collection
        self._model = model
        self._metric: Metric = metric
        self._kind: Kind = kind
        self._columns = columns
        self._entry = entry
        self._operator, self._operators = OPERATORS[kind, metric]
        self._lock = threading.Lock()
        self._building: threading.Thread | None = None
        self._connection: PostgresConnection | None = None
        self._next_build = 0.0
        self._closed = False
        with database.reading() as reader:
            self._row(reader)

    @property
    def nbytes(self) -> int:
        """Approximate memory of this process."""
        return NBYTES

    def search(self, vectors: Vectors, k: int) -> list[list[Found[T]]]:
        """Return the k nearest for each vector (n, dim), best first; fewer if there are fewer.

        Raises ValueError for vectors of another length, or not of length 1 if the metric is the
        cosine.
        """
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        with self._database.reading() as reader:
            row, dim, indexed = self._row(reader)
            if not len(queries) or not dim:
                return [[] for _ in queries]
            if queries.ndim != 2 or queries.shape[1] != dim:
                raise ValueError(
                    f"vectors of shape {queries.shape}, but the collection {self._collection} "
                    f"holds vectors of {dim} numbers"
                )
            check_lengths(queries, self._metric)
            by_index = indexed and row.method != "exact" and k <= MAX_INDEXED_RESULTS
            statement = self._statement(row, dim, k, by_index)
            found = [
                reader.execute(statement, (schema.stored(query),)).fetchall() for query in queries
            ]
        count = row.faces if self._kind == "faces" else row.users
        if not indexed and row.method != "exact" and count >= MIN_INDEXED:
            self._build_if_due(row.id, dim)
        return [[Found(self._entry(entry), self._value(d)) for d, *entry in each] for each in found]

    def wait(self, timeout: float | None = None) -> None:
        """Wait, up to `timeout` seconds, for an index that is being built."""
        if (building := self._building) is not None:
            building.join(timeout)

    def close(self, finish_seconds: float = 0.0) -> None:
        """Wait this long for an index that is being built, then cancel that."""
        if finish_seconds > 0:
            self.wait(finish_seconds)
        with self._lock:
            self._closed = True
            if self._connection is not None:
                with suppress(psycopg.Error):
                    self._connection.psycopg.cancel_safe()
        self.wait()

    def _row(self, reader: Connection) -> tuple[Row, int, bool]:
        """Return the collection, the length of its vectors, and whether there is an index."""
        row = row_of(reader, self._collection)
        if row.model != self._model:
            raise mismatch(self._collection, row.model, self._model)
        if row.metric != self._metric:
            raise ModelMismatch(
                f"vectors in the collection {self._collection} are compared by {row.metric}, and "
                f"now {self._model} is to be compared by {self._metric}: index the images into a "
                "new collection"
            )
        (dim, indexed, _) = reader.execute(
            f"SELECT (SELECT vector_dims(vector) FROM {self._kind} "
            "WHERE collection = ? AND vector IS NOT NULL LIMIT 1), "
            f"({VALID}), "
            # The statistics may be too old to show that the index pays.
            "set_config('enable_sort', 'off', true)",
            (row.id, f"{SCHEMA}.{self._name(row.id)}"),
        ).fetchone()
        return row, dim or 0, bool(indexed)

    def _name(self, collection: int) -> str:
        return f"{self._kind}_nearest_{collection}"

    def _statement(self, row: Row, dim: int, k: int, by_index: bool) -> str:
        """Return the query for the k nearest of `?`. Numbers are part of it, so that the plan
        fits them."""
        chosen = f"collection = {row.id} AND vector IS NOT NULL"
        if by_index:
            # OFFSET 0: these rows are found first.
            nearest = f"vector::halfvec({dim}) {self._operator} $1::vector({dim})::halfvec({dim})"
            chosen = (
                f"number IN (SELECT number FROM {self._kind} WHERE collection = {row.id} "
                f"ORDER BY {nearest} LIMIT {max(MAX_INDEXED_RESULTS, 2 * k)} OFFSET 0)"
            )
        return (
            f"SELECT vector {self._operator} $1 AS distance, {self._columns} FROM {self._kind} "
            f"WHERE {chosen} ORDER BY distance, number LIMIT {k}"
        )

    def _value(self, distance: float) -> float:
        """Return the cosine, or the Euclidean distance, of what pgvector's operator says."""
        return {"<#>": -distance, "<=>": 1 - distance, "<->": distance}[self._operator]

    # The index

    def _build_if_due(self, collection: int, dim: int) -> None:
        with self._lock:
            if self._building is None and not self._closed and time.monotonic() >= self._next_build:
                self._building = threading.Thread(
                    target=self._build, args=(collection, dim), name="index", daemon=True
                )
                self._building.start()

    def _build(self, collection: int, dim: int) -> None:
        """Build the index, unless another process does."""
        name = self._name(collection)
        self._next_build = time.monotonic() + RETRY_SECONDS
        try:
            connection = self._database.connect()
            try:
                with self._lock:
                    self._connection = connection
                    if self._closed:
                        return
                self._create(connection, name, collection, dim)
            finally:
                with self._lock:
                    self._connection = None
                connection.close()
            if not self._database.rows("SELECT 1 FROM collections WHERE id = ?", (collection,)):
                self._database.remove_indexes(self._collection, self._model)
        except (psycopg.Error, StoreError) as error:
            if not self._closed and not isinstance(error, CollectionNotFound):
                logger.warning(
                    "no vector index, searching without collection=%s error=%s",
                    self._collection,
                    error,
                )
        finally:
            self._building = None

    def _create(self, connection: PostgresConnection, name: str, collection: int, dim: int) -> None:
        [(ours,)] = connection.execute(
            "SELECT pg_try_advisory_lock(hashtext(?))", (name,)
        ).fetchall()
        if not ours:
            return
        if connection.execute(VALID, (f"{SCHEMA}.{name}",)).fetchone() == (True,):
            return  # another process has built it since the search
        connection.execute("SET lock_timeout = 0")  # it waits for transactions that are open
        connection.execute(f"SET maintenance_work_mem = '{BUILD_MEMORY}'")
        # The remainder of one that was not completed.
        connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{name}")
        connection.execute(
            f"CREATE INDEX CONCURRENTLY {name} ON {self._kind} "
            f"USING hnsw ((vector::halfvec({dim})) {self._operators}) "
            f"WHERE collection = {collection}"
        )
        connection.execute(f"ANALYZE {self._kind}")


def face_index(
    database: PostgresDatabase, collection: str, model: str, metric: Metric
) -> PostgresIndex[StoredFace]:
    """Return the index of a collection's faces."""
    return PostgresIndex(
        database, collection, model, metric, "faces", schema.STORED, schema.face_of
    )


def user_index(
    database: PostgresDatabase, collection: str, model: str, metric: Metric
) -> PostgresIndex[User]:
    """Return the index of a collection's users."""

    def entry(row: Any) -> User:
        return User(user_id=row[0], faces=row[1])

    return PostgresIndex(database, collection, model, metric, "users", "user_id, faces", entry)
