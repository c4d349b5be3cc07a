"""The store's changes by number: what a search index reads to be as new as the store.

Every insert and every deletion takes the next change number of the file. Numbers are never used
twice, so the changes after a number are well defined, also for a collection that was deleted and
created again under its old name. A face's number is that of its insert.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.identity import schema
from onlooker.identity.errors import not_found
from onlooker.identity.faces import Kind, Method, Metric, User, Vectors
from onlooker.sql import Transactions
from onlooker.types import StoredFace

MAX_ADDED = 20_000
"""Vectors that are read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes of a collection after some change number. Deletions come before additions."""

    number: int
    """The change number that these lead to."""
    model: str
    metric: Metric
    method: Method
    reset: bool
    """The collection was created after that number; all that was known of its name is obsolete."""
    deleted: NDArray[np.int64]
    """(m,) numbers of the faces or users that were deleted, known to the reader or not."""
    added: NDArray[np.int64]
    """(n,) numbers of the faces or users that were added and are still there, ascending."""
    vectors: Vectors
    """(n, dim) of those; (0, 0) if there are none."""


def last(database: Transactions, collection: str) -> int:
    """Return the number of the collection's last change, in a few microseconds.

    Raises CollectionNotFound if there is no such collection.
    """
    found = database.rows("SELECT change FROM collections WHERE name = ?", (collection,))
    if not found:
        raise not_found(collection)
    return int(found[0][0])


def after(
    database: Transactions,
    collection: str,
    number: int,
    kind: Kind = "faces",
    max_added: int = MAX_ADDED,
) -> Changes:
    """Return the changes after change number `number`, or the first of them.

    If more than `max_added` were added, the answer's `number` is less than `last`, and the rest
    follows it. Raises CollectionNotFound if there is no such collection.
    """
    with database.reading() as reader:
        row = schema.row_of(reader, collection)
        added = reader.execute(
            f"SELECT number, vector FROM {kind} WHERE collection = ? AND number > ? "
            "ORDER BY number LIMIT ?",
            (row.id, number, max_added),
        ).fetchall()
        end = row.change if len(added) < max_added else added[-1][0]
        deleted = reader.execute(
            "SELECT face FROM deletions WHERE collection = ? AND number > ? AND number <= ?",
            (row.id, number, end),
        ).fetchall()
    return Changes(
        number=end,
        model=row.model,
        metric=row.metric,
        method=row.method,
        reset=number < row.born,
        deleted=np.array([face for (face,) in deleted], dtype=np.int64),
        added=np.array([each for each, _ in added], dtype=np.int64),
        vectors=schema.matrix([vector for _, vector in added]),
    )


def faces_at(database: Transactions, numbers: Sequence[int]) -> dict[int, StoredFace]:
    """Return the faces of these numbers, without those that are deleted."""
    found = _at(database, f"number, {schema.STORED}", "faces", numbers)
    return {number: schema.face_of(face) for number, *face in found}


def users_at(database: Transactions, numbers: Sequence[int]) -> dict[int, User]:
    """Return the users whose vectors have these numbers, without those that are deleted."""
    found = _at(database, "number, user_id, faces", "users", numbers)
    return {number: User(user_id=user_id, faces=faces) for number, user_id, faces in found}


def vectors_at(
    database: Transactions, numbers: Sequence[int], kind: Kind = "faces"
) -> dict[int, Vectors]:
    """Return the vectors (dim,) of these numbers, without those that are deleted."""
    found = _at(database, "number, vector", kind, numbers)
    return {number: schema.matrix([blob])[0] for number, blob in found}


def _at(database: Transactions, columns: str, kind: Kind, numbers: Sequence[int]) -> list[Any]:
    """Return the rows of these numbers in any order."""
    found: list[Any] = []
    for marks, some in schema.batches(numbers):
        found += database.rows(f"SELECT {columns} FROM {kind} WHERE number IN ({marks})", some)
    return found
