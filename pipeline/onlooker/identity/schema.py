"""Statements on the tables of collections and faces, each inside its caller's transaction.

The tables are defined in `onlooker.identity.migrations`.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from onlooker.identity.duplicates import face_id
from onlooker.identity.errors import TooMany, not_found
from onlooker.identity.faces import (
    MAX_FACES,
    Failure,
    Method,
    Metric,
    NewFace,
    Reason,
    Vectors,
    are_off,
)
from onlooker.sql import Connection
from onlooker.types import StoredFace

T = TypeVar("T")

DELETED_PREFIX, IMPORTED_PREFIX = "/gone/", "/coming/"
"""Prefixes of the names of collections that are deleted, and of those that are not complete yet. No
user's collection can have such a name, and no list shows them."""
IMPORT_SECONDS = 24 * 3600.0
"""Age at which an incomplete collection is removed."""
MAX_PARAMETERS = 500
"""Values in one query."""
SWEEP_FACES = 5_000
"""Faces of a deleted collection that are removed in one transaction."""

STORED = (
    "face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, confidence, "
    "(SELECT user_id FROM users WHERE made = faces.user)"
)
"""Columns of a face, as `face_of` takes them."""
ROW = "id, model, metric, created, born, change, faces, users, method"
"""Columns of a collection, as `Row` takes them."""


class Row(NamedTuple):
    """A row of the table of collections."""

    id: int
    model: str
    metric: Metric
    created: float
    born: int
    """Change number of its creation."""
    change: int
    """Number of its last change."""
    faces: int
    users: int
    method: Method


def stored(vector: Vectors) -> bytes:
    """Return a vector (dim,) as it is stored: float32, little-endian."""
    return np.asarray(vector, dtype="<f4").tobytes()


def row_of(database: Connection, name: str) -> Row:
    """Return the collection called `name`. Raises CollectionNotFound."""
    found = database.execute(f"SELECT {ROW} FROM collections WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise not_found(name)
    return Row(*found)


def make(
    database: Connection,
    name: str,
    model: str,
    metric: Metric,
    created: float,
    method: Method,
) -> Row:
    """Create an empty collection. The caller knows that the name is free."""
    number = next_number(database)
    database.execute(
        "INSERT INTO collections (name, model, metric, created, born, change, method) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (name, model, metric, created, number, number, method),
    )
    return row_of(database, name)


def sweep(database: Connection) -> bool:
    """Remove some faces of a deleted collection, and return whether there may be more."""
    found = database.execute(
        "SELECT id FROM collections WHERE name LIKE ? OR (name LIKE ? AND created < ?) LIMIT 1",
        (f"{DELETED_PREFIX}%", f"{IMPORTED_PREFIX}%", time.time() - IMPORT_SECONDS),
    ).fetchone()
    if found is None:
        return False
    faces = "SELECT number FROM faces WHERE collection = ? LIMIT ?"
    swept = database.execute(f"DELETE FROM faces WHERE number IN ({faces})", (*found, SWEEP_FACES))
    if swept.rowcount < SWEEP_FACES:
        database.execute("DELETE FROM collections WHERE id = ?", found)
    return True


def next_number(database: Connection, count: int = 1) -> int:
    """Return the last of `count` change numbers that were never used."""
    database.execute("UPDATE counter SET change = change + ?", (count,))
    (number,) = database.execute("SELECT change FROM counter").fetchone()
    return int(number)


def next_change(database: Connection, row: Row, faces: int = 0, users: int = 0) -> int:
    """Return the number of a change to this collection, which adds this many faces and users.

    faces: negative for faces that are deleted. Each of several has a number; the last one is
    returned.
    """
    number = next_number(database, max(1, abs(faces)))
    database.execute(
        "UPDATE collections SET change = ?, faces = faces + ?, users = users + ? WHERE id = ?",
        (number, faces, users, row.id),
    )
    return number


def insert(
    database: Connection, row: Row, faces: Sequence[NewFace], image_ids: Sequence[str]
) -> list[StoredFace]:
    """Store faces, except those whose FaceId is stored, and return the stored ones."""
    ids = [
        face_id(new, row.model, image_id) for new, image_id in zip(faces, image_ids, strict=True)
    ]
    there = {face[0]: face_of(face) for face in _stored_at(database, row, ids)}
    added: list[tuple[StoredFace, bytes, int | None]] = []
    for new, name, image_id in zip(faces, ids, image_ids, strict=True):
        if name not in there:
            there[name] = StoredFace(
                face_id=name,
                image_id=image_id,
                external_image_id=new.external_image_id,
                box=new.box,
                confidence=new.confidence,
            )
            added.append((there[name], stored(new.vector), None))
    put(database, row, added)
    return [there[name] for name in ids]


def _stored_at(database: Connection, row: Row, face_ids: Sequence[str]) -> Iterator[Any]:
    """Yield the columns STORED of those faces that are stored."""
    for marks, some in batches(face_ids):
        query = f"SELECT {STORED} FROM faces WHERE collection = ? AND face_id IN ({marks})"
        yield from database.execute(query, (row.id, *some)).fetchall()


def batches(values: Sequence[T]) -> Iterator[tuple[str, Sequence[T]]]:
    """Yield some of the values at a time, and the marks of a statement for them."""
    for start in range(0, len(values), MAX_PARAMETERS):
        some = values[start : start + MAX_PARAMETERS]
        yield ",".join("?" * len(some)), some


def put(
    database: Connection, row: Row, faces: Sequence[tuple[StoredFace, bytes, int | None]]
) -> None:
    """Store faces whose FaceIds are new, each with its vector and the number of its user."""
    if not faces:
        return
    first = next_change(database, row, faces=len(faces)) - len(faces) + 1
    database.executemany(
        'INSERT INTO faces (number, collection, vector, "user", face_id, image_id, '
        "external_image_id, box_left, box_top, box_width, box_height, confidence) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                row.id,
                vector,
                user,
                face.face_id,
                face.image_id,
                face.external_image_id,
                *face.box,
                face.confidence,
            )
            for number, (face, vector, user) in enumerate(faces, first)
        ],
    )


def delete(
    database: Connection, row: Row, face_ids: Sequence[str]
) -> tuple[list[str], list[Failure]]:
    """Delete faces; return the ids of those, and why others cannot be deleted, in order."""
    found: dict[str, tuple[int, str | None]] = {}
    for marks, some in batches(face_ids):
        query = (
            "SELECT face_id, number, (SELECT user_id FROM users WHERE made = faces.user) "
            f"FROM faces WHERE collection = ? AND face_id IN ({marks})"
        )
        rows = database.execute(query, (row.id, *some)).fetchall()
        found |= {name: (number, user_id) for name, number, user_id in rows}
    deleted, failed = [], []
    for name in face_ids:
        if name not in found:
            failed.append(Failure(face_id=name, reason="FACE_NOT_FOUND"))
        elif (user_id := found[name][1]) is not None:
            reason: Reason = "ASSOCIATED_TO_AN_EXISTING_USER"
            failed.append(Failure(face_id=name, reason=reason, user_id=user_id))
        else:
            deleted.append(name)
    numbers = [found[name][0] for name in deleted]
    for marks, gone in batches(numbers):
        database.execute(f"DELETE FROM faces WHERE number IN ({marks})", gone)
    if numbers:
        first = next_change(database, row, faces=-len(numbers)) - len(numbers) + 1
        database.executemany(
            "INSERT INTO deletions (number, collection, face) VALUES (?, ?, ?)",
            [(change, row.id, number) for change, number in enumerate(numbers, first)],
        )
    return deleted, failed


def record_deletion(database: Connection, row: Row, deleted: int, change: int) -> None:
    """Record, as change number `change`, that the vector of number `deleted` was deleted."""
    database.execute(
        "INSERT INTO deletions (number, collection, face) VALUES (?, ?, ?)",
        (change, row.id, deleted),
    )


def check_room(row: Row, faces: int) -> None:
    """Raise TooMany if a collection cannot take this many more faces."""
    if row.faces + faces > MAX_FACES:
        raise TooMany(
            f"a collection holds at most {MAX_FACES} faces, and this one has {row.faces}; index "
            "into another one"
        )


def check_vectors(database: Connection, row: Row, faces: Sequence[NewFace]) -> None:
    """Raise ValueError for vectors that do not fit into a collection.

    Their length is that of the collection's first face, and they are normalised if the collection
    compares by cosine.
    """
    known = database.execute(
        "SELECT vector FROM faces WHERE collection = ? LIMIT 1", (row.id,)
    ).fetchone()
    lengths = {len(vector) // 4 for vector in known or ()} | {new.vector.size for new in faces}
    if len(lengths) > 1:
        raise ValueError(
            f"vectors of lengths {sorted(lengths)} in one collection, which is for {row.model!r}: "
            "they are of different models"
        )
    if row.metric == "cosine" and faces:
        vectors = np.stack([new.vector for new in faces])
        if (off := are_off(vectors)).any():
            length = np.linalg.norm(vectors[np.argmax(off)])
            raise ValueError(
                f"a vector has length {length:.4f}; {row.model!r} compares by cosine, it needs 1"
            )


def face_of(row: Sequence[Any]) -> StoredFace:
    """Return the face of a row of the columns STORED."""
    face_id, image_id, external_image_id, left, top, width, height, confidence, user_id = row
    return StoredFace(
        face_id=face_id,
        image_id=image_id,
        external_image_id=external_image_id,
        box=(left, top, width, height),
        confidence=confidence,
        user_id=user_id,
    )


def page_of_faces(
    database: Connection,
    row: Row,
    face_ids: Sequence[str] | None,
    user: int | None,
    after: int,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Return up to `limit` rows of number and STORED after number `after`, in order."""
    where, values = "collection = ? AND number > ?", [row.id, after]
    if user is not None:
        where += ' AND "user" = ?'
        values.append(user)
    if face_ids is None:
        query = f"SELECT number, {STORED} FROM faces WHERE {where} ORDER BY number LIMIT ?"
        return database.execute(query, (*values, limit)).fetchall()
    found = []
    for marks, some in batches(list(set(face_ids))):
        query = f"SELECT number, {STORED} FROM faces WHERE {where} AND face_id IN ({marks})"
        found += database.execute(query, (*values, *some)).fetchall()
    return sorted(found)[:limit]


def matrix(blobs: Sequence[bytes]) -> Vectors:
    """Return vectors (n, dim) of stored ones; (0, 0) for none."""
    if not blobs:
        return np.empty((0, 0), dtype=np.float32)
    vectors = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1)
    return vectors.astype(np.float32, copy=False)
