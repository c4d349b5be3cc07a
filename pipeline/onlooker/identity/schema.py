"""The tables of the store and the statements on them, each inside its caller's transaction."""

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.errors import TooMany, not_found
from onlooker.identity.faces import MAX_FACES, Failure, Method, NewFace, face_id
from onlooker.models.card import WeightsError, space
from onlooker.types import StoredFace

FIRST = """
CREATE TABLE counter (change INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    created REAL NOT NULL,
    born INTEGER NOT NULL,
    change INTEGER NOT NULL
);
CREATE TABLE faces (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id TEXT NOT NULL,
    image_id TEXT NOT NULL,
    external_image_id TEXT,
    box_left REAL NOT NULL,
    box_top REAL NOT NULL,
    box_width REAL NOT NULL,
    box_height REAL NOT NULL,
    confidence REAL NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (collection, face_id)
);
CREATE INDEX faces_in_order ON faces (collection, number);
CREATE TABLE deletions (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face INTEGER NOT NULL
);
CREATE INDEX deletions_in_order ON deletions (collection, number);
"""
"""`number` of a face or a deletion is its change number; `deletions.face` is that of the face."""

SECOND = """
CREATE TABLE keys (store BLOB NOT NULL, secret BLOB NOT NULL);
INSERT INTO keys VALUES (randomblob(16), randomblob(32));
ALTER TABLE collections ADD COLUMN faces INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN users INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN method TEXT NOT NULL DEFAULT 'auto';
UPDATE collections
    SET faces = (SELECT count(*) FROM faces WHERE faces.collection = collections.id);
CREATE INDEX collections_in_order ON collections (born);
CREATE TABLE tags (
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID;
CREATE TABLE users (
    made INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    faces INTEGER NOT NULL DEFAULT 0,
    number INTEGER UNIQUE,
    vector BLOB,
    UNIQUE (collection, user_id)
);
CREATE INDEX users_made ON users (collection, made);
CREATE INDEX users_in_order ON users (collection, number);
ALTER TABLE faces ADD COLUMN user INTEGER REFERENCES users (made);
CREATE INDEX faces_of_users ON faces (user, number) WHERE user IS NOT NULL;
CREATE TABLE requests (
    operation TEXT NOT NULL,
    token TEXT NOT NULL,
    digest BLOB NOT NULL,
    made REAL NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (operation, token)
) WITHOUT ROWID;
CREATE INDEX requests_by_age ON requests (made);
"""
"""`users.made` is the change number of the user, `users.number` that of the mean of its faces'
vectors, which is NULL where there are none; `deletions.face` may be one of the latter."""

MIGRATIONS = (FIRST, SECOND)
"""From each format of the file to the next one, the empty file's being 0."""

GONE, COMING = "/gone/", "/coming/"
"""How names begin of collections that are deleted, and of those that are not whole yet: no
collection can be called so, and no list shows them."""
GIVEN_UP = 24 * 3600.0
"""Seconds after which one that never became whole is swept away."""
AT_ONCE = 5_000
"""Faces of a deleted collection that are taken out before others may write again."""

STORED = (
    "face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, confidence, "
    "(SELECT user_id FROM users WHERE made = faces.user)"
)


ROW = "id, model, created, born, change, faces, users, method"


class Row(NamedTuple):
    """A collection as the tables have it."""

    id: int
    model: str
    created: float
    born: int
    change: int
    faces: int
    users: int
    method: Method


def row_of(database: sqlite3.Connection, name: str) -> Row:
    """The collection called `name`; CollectionNotFound."""
    found = database.execute(f"SELECT {ROW} FROM collections WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise not_found(name)
    return Row(*found)


def make(
    database: sqlite3.Connection, name: str, model: str, created: float, method: Method
) -> Row:
    """Make an empty collection of a name that is free."""
    number = next_number(database)
    database.execute(
        "INSERT INTO collections (name, model, created, born, change, method) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (name, model, created, number, number, method),
    )
    return row_of(database, name)


def sweep(database: sqlite3.Connection) -> bool:
    """Take some faces out of a collection that is no more; whether there is more to do."""
    found = database.execute(
        "SELECT id FROM collections WHERE name LIKE ? OR (name LIKE ? AND created < ?) LIMIT 1",
        (f"{GONE}%", f"{COMING}%", time.time() - GIVEN_UP),
    ).fetchone()
    if found is None:
        return False
    faces = "SELECT number FROM faces WHERE collection = ? LIMIT ?"
    swept = database.execute(f"DELETE FROM faces WHERE number IN ({faces})", (*found, AT_ONCE))
    if swept.rowcount < AT_ONCE:
        database.execute("DELETE FROM collections WHERE id = ?", found)
    return True


def next_number(database: sqlite3.Connection) -> int:
    """A change number that nothing has had."""
    database.execute("UPDATE counter SET change = change + 1")
    (number,) = database.execute("SELECT change FROM counter").fetchone()
    return int(number)


def next_change(database: sqlite3.Connection, row: Row, faces: int = 0, users: int = 0) -> int:
    """The number of a change to this collection that makes so many more of them."""
    number = next_number(database)
    database.execute(
        "UPDATE collections SET change = ?, faces = faces + ?, users = users + ? WHERE id = ?",
        (number, faces, users, row.id),
    )
    return number


def insert(database: sqlite3.Connection, row: Row, new: NewFace, image_id: str) -> StoredFace:
    """Store a face, or find it there, and return it."""
    face = StoredFace(
        face_id=face_id(new, row.model, image_id),
        image_id=image_id,
        external_image_id=new.external_image_id,
        box=new.box,
        confidence=new.confidence,
    )
    known = database.execute(
        f"SELECT {STORED} FROM faces WHERE collection = ? AND face_id = ?", (row.id, face.face_id)
    ).fetchone()
    if known:
        return face_of(known)
    put(database, row, face, np.asarray(new.vector, dtype="<f4").tobytes())
    return face


def put(
    database: sqlite3.Connection,
    row: Row,
    face: StoredFace,
    vector: bytes,
    user: int | None = None,
) -> None:
    """Store a face that is not there."""
    database.execute(
        "INSERT INTO faces (number, collection, vector, user, face_id, image_id, "
        "external_image_id, box_left, box_top, box_width, box_height, confidence) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            next_change(database, row, faces=1),
            row.id,
            vector,
            user,
            face.face_id,
            face.image_id,
            face.external_image_id,
            *face.box,
            face.confidence,
        ),
    )


def delete(database: sqlite3.Connection, row: Row, face_id: str) -> Failure | None:
    """Delete a face, or say why not."""
    found = database.execute(
        "SELECT number, (SELECT user_id FROM users WHERE made = faces.user) FROM faces "
        "WHERE collection = ? AND face_id = ?",
        (row.id, face_id),
    ).fetchone()
    if found is None:
        return Failure(face_id=face_id, reason="FACE_NOT_FOUND")
    face, user_id = found
    if user_id is not None:
        return Failure(face_id=face_id, reason="ASSOCIATED_TO_AN_EXISTING_USER", user_id=user_id)
    database.execute("DELETE FROM faces WHERE number = ?", (face,))
    bury(database, row, face, next_change(database, row, faces=-1))
    return None


def bury(database: sqlite3.Connection, row: Row, gone: int, change: int) -> None:
    """Note for those who have the vector of number `gone` that it is no more."""
    database.execute(
        "INSERT INTO deletions (number, collection, face) VALUES (?, ?, ?)", (change, row.id, gone)
    )


def check_room(row: Row, faces: int) -> None:
    """TooMany where a collection cannot take so many more faces."""
    if row.faces + faces > MAX_FACES:
        raise TooMany(
            f"a collection holds at most {MAX_FACES} faces, and this one has {row.faces}; index "
            "into another one"
        )


def check_lengths(database: sqlite3.Connection, row: Row, faces: Sequence[NewFace]) -> None:
    """One collection, one length: the first face ever added sets it.

    ValueError for another, and for vectors not of length 1 where the model compares by cosine.
    """
    known = database.execute(
        "SELECT length(vector) / 4 FROM faces WHERE collection = ? LIMIT 1", (row.id,)
    ).fetchone()
    lengths = {*(known or ()), *(new.vector.size for new in faces)}
    if len(lengths) > 1:
        raise ValueError(
            f"vectors of lengths {sorted(lengths)} in one collection, which is for {row.model!r}: "
            "they are of different models"
        )

    vectors = np.stack([new.vector for new in faces]) if faces else np.empty((0, 1), np.float32)
    if by_cosine(row.model) and (off := are_off(vectors)).any():
        length = np.linalg.norm(vectors[np.argmax(off)])
        raise ValueError(
            f"a vector has length {length:.4f}; {row.model!r} compares by cosine, it needs 1"
        )


def by_cosine(model: str) -> bool:
    """Whether vectors of a model are compared by the cosine, as far as anybody here knows."""
    try:
        return space(model).calibration.metric == "cosine"
    except WeightsError:
        return False


def are_off(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n,) which vectors (n, dim) are not of length 1."""
    return np.asarray(np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) >= 2e-3)


def face_of(row: Sequence[Any]) -> StoredFace:
    """A row of the columns STORED."""
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
    database: sqlite3.Connection,
    row: Row,
    face_ids: Sequence[str] | None,
    user: int | None,
    after: int,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Up to `limit` rows of number and STORED behind number `after`, in order."""
    where, values = "collection = ? AND number > ?", [row.id, after]
    if user is not None:
        where += " AND user = ?"
        values.append(user)
    if face_ids is None:
        query = f"SELECT number, {STORED} FROM faces WHERE {where} ORDER BY number LIMIT ?"
        return database.execute(query, (*values, limit)).fetchall()
    found = []
    for wanted in set(face_ids):
        query = f"SELECT number, {STORED} FROM faces WHERE {where} AND face_id = ?"
        found += database.execute(query, (*values, wanted)).fetchall()
    return sorted(found)[:limit]


def matrix(blobs: Sequence[bytes]) -> NDArray[np.float32]:
    """Rows of little-endian float32; (0, 0) where there are none."""
    if not blobs:
        return np.empty((0, 0), dtype=np.float32)
    rows = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1)
    return rows.astype(np.float32, copy=False)
