"""The tables of the store and the statements on them, each inside its caller's transaction."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.collection import CollectionNotFound, NewFace, face_id
from onlooker.types import StoredFace

SCHEMA = """
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

STORED = (
    "face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, confidence"
)


class Row(NamedTuple):
    """A collection as the tables have it."""

    id: int
    model: str
    created: float
    born: int
    change: int


def row_of(database: sqlite3.Connection, name: str) -> Row:
    """The collection called `name`; CollectionNotFound."""
    found = database.execute(
        "SELECT id, model, created, born, change FROM collections WHERE name = ?", (name,)
    ).fetchone()
    if found is None:
        raise CollectionNotFound(
            f"The collection id: {name} does not exist. `onlooker collection list` names those "
            f"there are; `onlooker collection create {name}` makes it."
        )
    return Row(*found)


def next_number(database: sqlite3.Connection) -> int:
    """A change number that nothing has had."""
    database.execute("UPDATE counter SET change = change + 1")
    (number,) = database.execute("SELECT change FROM counter").fetchone()
    return int(number)


def next_change(database: sqlite3.Connection, row: Row) -> int:
    """The number of a change to this collection."""
    number = next_number(database)
    database.execute("UPDATE collections SET change = ? WHERE id = ?", (number, row.id))
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
    database.execute(
        f"INSERT INTO faces (number, collection, vector, {STORED}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            next_change(database, row),
            row.id,
            np.asarray(new.vector, dtype="<f4").tobytes(),
            face.face_id,
            face.image_id,
            face.external_image_id,
            *face.box,
            face.confidence,
        ),
    )
    return face


def delete(database: sqlite3.Connection, row: Row, face_id: str) -> bool:
    """Delete a face; whether it was there."""
    found = database.execute(
        "SELECT number FROM faces WHERE collection = ? AND face_id = ?", (row.id, face_id)
    ).fetchone()
    if found is None:
        return False
    (face,) = found
    database.execute("DELETE FROM faces WHERE number = ?", (face,))
    database.execute(
        "INSERT INTO deletions (number, collection, face) VALUES (?, ?, ?)",
        (next_change(database, row), row.id, face),
    )
    return True


def check_lengths(database: sqlite3.Connection, row: Row, faces: Sequence[NewFace]) -> None:
    """One collection, one length: the first face ever added sets it."""
    known = database.execute(
        "SELECT length(vector) / 4 FROM faces WHERE collection = ? LIMIT 1", (row.id,)
    ).fetchone()
    lengths = {*(known or ()), *(new.vector.size for new in faces)}
    if len(lengths) > 1:
        raise ValueError(
            f"vectors of lengths {sorted(lengths)} in one collection, which is for {row.model!r}: "
            "they are of different models"
        )


def face_of(row: tuple[str, str, str | None, float, float, float, float, float]) -> StoredFace:
    """A row of the columns STORED."""
    face_id, image_id, external_image_id, *box, confidence = row
    left, top, width, height = box
    return StoredFace(
        face_id=face_id,
        image_id=image_id,
        external_image_id=external_image_id,
        box=(left, top, width, height),
        confidence=confidence,
    )


def matrix(blobs: Sequence[bytes]) -> NDArray[np.float32]:
    """Rows of little-endian float32; (0, 0) where there are none."""
    if not blobs:
        return np.empty((0, 0), dtype=np.float32)
    rows = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1)
    return rows.astype(np.float32, copy=False)
