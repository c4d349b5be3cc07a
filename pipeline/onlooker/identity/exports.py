"""A collection as files that other programs read, and back.

An export is two files: `NAME.jsonl`, whose first line is the collection and each other one a face,
in Amazon's words, and `NAME.npy`, NumPy's own form, with a row of float32 for each face in the same
order.
"""

import sqlite3
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from onlooker.identity import tables, users
from onlooker.identity.collection import CollectionExists, Method, check_name
from onlooker.identity.copies import CopyError
from onlooker.identity.snapshot import to_disk
from onlooker.identity.store import Store
from onlooker.identity.tables import Row, row_of
from onlooker.types import StoredFace

T = TypeVar("T")

AT_ONCE = 2_000
"""Faces that are written to the store at a time."""


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of an export."""

    CollectionId: str
    FaceModelVersion: str
    CreationTimestamp: float
    FaceCount: int
    Tags: dict[str, str]
    Users: list[str]
    SearchMethod: Method = "auto"


class Ratios(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """BoundingBox of a face."""

    Left: float
    Top: float
    Width: float
    Height: float


class Line(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Every other line of an export."""

    FaceId: str
    ImageId: str
    BoundingBox: Ratios
    Confidence: float
    ExternalImageId: str | None = None
    UserId: str | None = None


def export(store: Store, collection: str, to: Path) -> int:
    """Write a collection into `to` (.jsonl) and the vectors beside it; how many faces.

    CollectionNotFound, CopyError.
    """
    files = (to, _vectors_beside(to))
    for file in files:
        if file.exists():
            raise CopyError(f"{file}: is there already; delete it, or name another file")
    try:
        with store.database.reading() as database:
            row = row_of(database, collection)
            with files[0].open("xb") as lines, files[1].open("xb") as vectors:
                _write(database, collection, row, lines, vectors)
        for file in files:
            to_disk(file)
    except OSError as error:
        for file in files:
            file.unlink(missing_ok=True)
        raise CopyError(f"{to}: {error.strerror}") from error
    return row.faces


def import_(store: Store, source: Path, name: str | None = None) -> int:
    """Make a collection of an export, under its own name or another one; how many faces.

    Faces keep their ids. The collection is there when all of it is, and not before.
    CollectionExists, InvalidName, CopyError.
    """
    beside = _vectors_beside(source)
    try:
        with source.open("rb") as lines:
            head = _decode(lines.readline(), Head, f"{source}, line 1")
            name = name or head.CollectionId
            check_name("CollectionId", name, r"a-zA-Z0-9_.\-")
            vectors = np.load(beside, mmap_mode="r", allow_pickle=False)
            hidden = store.database.write(partial(_begin, name=name, head=head))
            try:
                count = _fill(store, hidden, source, lines, vectors)
                if (count, len(vectors)) != (head.FaceCount, head.FaceCount):
                    raise CopyError(
                        f"{source}: it says {head.FaceCount} faces and has {count}, with "
                        f"{len(vectors)} vectors"
                    )
                store.database.write(partial(_finish, hidden=hidden, name=name, head=head))
            except BaseException:
                store.database.write(partial(_give_up, hidden=hidden))
                while store.database.write(tables.sweep):
                    pass
                raise
    except OSError as error:
        raise CopyError(f"{error.filename}: {error.strerror}") from error
    return count


def _write(
    database: sqlite3.Connection, name: str, row: Row, lines: BinaryIO, vectors: BinaryIO
) -> None:
    tags = database.execute("SELECT key, value FROM tags WHERE collection = ?", (row.id,))
    people = database.execute(
        "SELECT user_id FROM users WHERE collection = ? ORDER BY made", (row.id,)
    )
    head = Head(
        CollectionId=name,
        FaceModelVersion=row.model,
        CreationTimestamp=row.created,
        FaceCount=row.faces,
        Tags=dict(tags),
        Users=[user_id for (user_id,) in people],
        SearchMethod=row.method,
    )
    lines.write(msgspec.json.encode(head) + b"\n")
    (length,) = database.execute(
        "SELECT length(vector) FROM faces WHERE collection = ? LIMIT 1", (row.id,)
    ).fetchone() or (0,)
    shape = {"descr": "<f4", "fortran_order": False, "shape": (row.faces, length // 4)}
    np.lib.format.write_array_header_2_0(vectors, shape)
    for vector, *stored in database.execute(
        f"SELECT vector, {tables.STORED} FROM faces WHERE collection = ? ORDER BY number", (row.id,)
    ):
        face = tables.face_of(stored)
        left, top, width, height = face.box
        line = Line(
            FaceId=face.face_id,
            ImageId=face.image_id,
            BoundingBox=Ratios(Left=left, Top=top, Width=width, Height=height),
            Confidence=face.confidence,
            ExternalImageId=face.external_image_id,
            UserId=face.user_id,
        )
        lines.write(msgspec.json.encode(line) + b"\n")
        vectors.write(vector)


def _begin(database: sqlite3.Connection, name: str, head: Head) -> str:
    """Make the collection that is to be `name`, under one that nobody sees."""
    _check_free(database, name)
    hidden = f"{tables.COMING}{tables.next_number(database)}"
    row = tables.make(database, hidden, head.FaceModelVersion, time.time(), head.SearchMethod)
    for user_id in head.Users:
        users.create(database, row, user_id)
    database.executemany(
        "INSERT INTO tags (collection, key, value) VALUES (?, ?, ?)",
        [(row.id, key, value) for key, value in head.Tags.items()],
    )
    return hidden


def _fill(
    store: Store, hidden: str, source: Path, lines: BinaryIO, vectors: NDArray[np.float32]
) -> int:
    """Add the faces, some thousand at a time, so that others may write in between."""
    if vectors.ndim != 2 or vectors.dtype != np.dtype("<f4"):
        raise CopyError(f"{_vectors_beside(source)}: not float32 of shape (faces, numbers)")
    count = 0
    while part := list(islice(lines, AT_ONCE)):
        faces = [
            _decode(line, Line, f"{source}, line {place}")
            for place, line in enumerate(part, count + 2)
        ]
        some = np.array(vectors[count : count + len(faces)])
        if len(some) < len(faces) or not np.isfinite(some).all():
            raise CopyError(f"{source}, from line {count + 2} on: no finite vectors for all faces")
        store.database.write(partial(_add, hidden=hidden, faces=faces, vectors=some))
        count += len(faces)
    return count


def _add(
    database: sqlite3.Connection, hidden: str, faces: list[Line], vectors: NDArray[np.float32]
) -> None:
    row = row_of(database, hidden)
    for line, vector in zip(faces, vectors, strict=True):
        user = line.UserId and users.user_row(database, row, line.UserId).made
        box = line.BoundingBox
        face = StoredFace(
            face_id=line.FaceId,
            image_id=line.ImageId,
            external_image_id=line.ExternalImageId,
            box=(box.Left, box.Top, box.Width, box.Height),
            confidence=line.Confidence,
        )
        tables.put(database, row, face, vector.tobytes(), user or None)


def _finish(database: sqlite3.Connection, hidden: str, name: str, head: Head) -> None:
    _check_free(database, name)
    row = row_of(database, hidden)
    for user_id in head.Users:
        users.refresh(database, row, users.user_row(database, row, user_id))
    database.execute(
        "UPDATE collections SET name = ?, created = ? WHERE id = ?",
        (name, head.CreationTimestamp, row.id),
    )


def _give_up(database: sqlite3.Connection, hidden: str) -> None:
    row = row_of(database, hidden)
    database.execute(
        "UPDATE collections SET name = ? WHERE id = ?", (f"{tables.GONE}{row.id}", row.id)
    )


def _check_free(database: sqlite3.Connection, name: str) -> None:
    if database.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
        raise CollectionExists(
            f"The collection id: {name} already exists. Delete it first, or import under another "
            "name."
        )


def _decode(line: bytes, kind: type[T], place: str) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CopyError(f"{place}: {error}") from error


def _vectors_beside(file: Path) -> Path:
    if file.suffix != ".jsonl":
        raise CopyError(f"{file}: name a file that ends in .jsonl; the vectors come beside it")
    return file.with_suffix(".npy")
