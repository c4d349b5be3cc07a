"""A collection as files that other programs read, and back.

An export is two files. In `NAME.jsonl` the first line describes the collection and each further
line a face, in Amazon's words. `NAME.npy`, NumPy's own format, has a row of float32 for each face,
in the same order.
"""

import tempfile
import time
import tokenize
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeAlias, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from onlooker import durable_file
from onlooker.durable_file import Occupied
from onlooker.identity import schema, user_table
from onlooker.identity.errors import CollectionExists, CollectionNotFound, CopyError
from onlooker.identity.faces import (
    MAX_FACES,
    MAX_TAGS,
    MAX_USER_FACES,
    Method,
    Metric,
    Vectors,
    are_off,
    check_name,
)
from onlooker.identity.migrations import metric_of
from onlooker.identity.schema import Row, row_of
from onlooker.identity.store import Store
from onlooker.rekognition import shapes
from onlooker.sql import Connection
from onlooker.types import StoredFace

T = TypeVar("T")

CHUNK_FACES = 2_000
"""Faces that are read at a time, and stored in one transaction."""
UNREADABLE = (ValueError, TypeError, EOFError, OverflowError, SyntaxError, tokenize.TokenError)
"""NumPy's errors for damaged headers, which are Python expressions."""

# The store's own rules: the file may come from anywhere.
Id: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
UserName: TypeAlias = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.\-:]{1,128}\Z")]
FaceName: TypeAlias = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.\-:]{1,255}\Z")]


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of an export."""

    CollectionId: str
    FaceModelVersion: str
    CreationTimestamp: Annotated[float, Meta(ge=0, lt=253402300800)]
    """Epoch seconds, up to the year 9999."""
    FaceCount: Annotated[int, Meta(ge=0, le=MAX_FACES)]
    Tags: Annotated[dict[str, str], Meta(max_length=MAX_TAGS)]
    Users: list[UserName]
    SearchMethod: Method = "auto"
    VectorMetric: Metric | None = None
    """How vectors are compared; None in files of older versions, which do not say it."""


class Line(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A further line of an export, which is a face."""

    FaceId: Id
    ImageId: Id
    BoundingBox: shapes.BoundingBox
    Confidence: Annotated[float, Meta(ge=0, le=100)]
    ExternalImageId: FaceName | None = None
    UserId: UserName | None = None


def export(store: Store, collection: str, to: Path) -> int:
    """Write a collection into `to` (.jsonl) and its vectors beside it; return the number of faces.

    Each file appears when it is complete. Raises CollectionNotFound, Occupied if a file exists, and
    CopyError if one cannot be written.
    """
    beside = _vectors_beside(to)
    placed = False
    try:
        for file in (to, beside):
            durable_file.claim(file)
        with durable_file.replacing(to, overwrite=False) as lines_part:
            with (
                durable_file.replacing(beside, overwrite=False) as vectors_part,
                store.database.reading() as database,
            ):
                row = row_of(database, collection)
                with lines_part.open("xb") as lines, vectors_part.open("xb") as vectors:
                    _write(database, collection, row, lines, vectors)
            placed = True
    except BaseException as error:
        if placed:
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, Occupied):
            raise CopyError(f"{to}: {error.strerror}") from error
        raise
    return row.faces


def import_(store: Store, source: Path, name: str | None = None) -> int:
    """Create a collection from an export, under its own name or `name`; return the number of faces.

    Faces keep their ids. The collection appears when it is complete. Raises CollectionExists,
    InvalidName and CopyError.
    """
    beside = _vectors_beside(source)
    try:
        with source.open("rb") as lines:
            head = _decode(lines.readline(), Head, f"{source}, line 1")
            name = name or head.CollectionId
            check_name("CollectionId", name, r"a-zA-Z0-9_.\-")
            vectors = _mapped(beside, head.FaceCount)
            metric = head.VectorMetric or metric_of(
                head.FaceModelVersion, np.array(vectors[:CHUNK_FACES])
            )
            hidden = store.database.write(partial(_begin, name=name, head=head, metric=metric))
            try:
                count = _fill(store, hidden, source, head, lines, vectors, metric)
                if count != head.FaceCount:
                    raise CopyError(f"{source}: it says {head.FaceCount} faces and has {count}")
                store.database.write(partial(_finish, hidden=hidden, name=name, head=head))
            except BaseException:
                store.database.write(partial(_give_up, hidden=hidden))
                while store.database.write(schema.sweep):
                    pass
                raise
    except OSError as error:
        raise CopyError(f"{error.filename}: {error.strerror}") from error
    return count


def copy(
    old: Store, new: Store, names: Sequence[str] | None = None
) -> Iterator[tuple[str, int | None]]:
    """Copy collections into another store; yield each name, and the number of faces copied.

    names: None means all. The number is None for a collection whose name is there already, which is
    left as it is. Each appears when it is complete. Raises CollectionNotFound and CopyError.
    """
    for name in _names(old) if names is None else names:
        old.collection(name)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "collection.jsonl"
            try:
                new.collection(name)
            except CollectionNotFound:
                export(old, name, file)
                yield name, import_(new, file)
            else:
                yield name, None


def _names(store: Store) -> Iterator[str]:
    token = None
    while True:
        page = store.collections(token=token)
        yield from (one.name for one in page.collections)
        if (token := page.token) is None:
            return


def _write(database: Connection, name: str, row: Row, lines: BinaryIO, vectors: BinaryIO) -> None:
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
        VectorMetric=row.metric,
    )
    lines.write(msgspec.json.encode(head) + b"\n")
    (first,) = database.execute(
        "SELECT vector FROM faces WHERE collection = ? LIMIT 1", (row.id,)
    ).fetchone() or (b"",)
    shape = {"descr": "<f4", "fortran_order": False, "shape": (row.faces, len(first) // 4)}
    np.lib.format.write_array_header_2_0(vectors, shape)
    for vector, *stored in _stored(database, row):
        face = schema.face_of(stored)
        left, top, width, height = face.box
        line = Line(
            FaceId=face.face_id,
            ImageId=face.image_id,
            BoundingBox=shapes.BoundingBox(Left=left, Top=top, Width=width, Height=height),
            Confidence=face.confidence,
            ExternalImageId=face.external_image_id,
            UserId=face.user_id,
        )
        lines.write(msgspec.json.encode(line) + b"\n")
        vectors.write(vector)


def _stored(database: Connection, row: Row) -> Iterator[list[Any]]:
    """Yield vector and STORED of all faces, of which few are in memory at a time."""
    after = 0
    while found := database.execute(
        f"SELECT number, vector, {schema.STORED} FROM faces "
        "WHERE collection = ? AND number > ? ORDER BY number LIMIT ?",
        (row.id, after, CHUNK_FACES),
    ).fetchall():
        for _, *stored in found:
            yield stored
        after = found[-1][0]


def _begin(database: Connection, name: str, head: Head, metric: Metric) -> str:
    """Create the collection under a hidden name, and return that."""
    _check_free(database, name)
    hidden = f"{schema.IMPORTED_PREFIX}{schema.next_number(database)}"
    model = head.FaceModelVersion
    row = schema.make(database, hidden, model, metric, time.time(), head.SearchMethod)
    for user_id in head.Users:
        user_table.create(database, row, user_id)
    database.executemany(
        "INSERT INTO tags (collection, key, value) VALUES (?, ?, ?)",
        [(row.id, key, value) for key, value in head.Tags.items()],
    )
    return hidden


def _mapped(file: Path, faces: int) -> Vectors:
    """Map the vectors of this many faces. Raises CopyError."""
    try:
        vectors = np.lib.format.open_memmap(file, mode="r")
    except UNREADABLE as error:
        raise CopyError(
            f"{file}: it is not a complete NumPy array ({error}); export it again"
        ) from error
    if vectors.ndim != 2 or vectors.dtype != np.dtype("<f4"):
        raise CopyError(f"{file}: not float32 of shape (faces, numbers)")
    if len(vectors) != faces:
        raise CopyError(f"{file}: it has {len(vectors)} vectors for {faces} faces")
    return vectors


def _fill(
    store: Store,
    hidden: str,
    source: Path,
    head: Head,
    lines: BinaryIO,
    vectors: Vectors,
    metric: Metric,
) -> int:
    """Add the faces, some at a time, so that others can write in between; return how many."""
    owned = dict.fromkeys(head.Users, 0)
    count = 0
    while part := list(islice(lines, CHUNK_FACES)):
        places = [f"{source}, line {number}" for number in range(count + 2, count + 2 + len(part))]
        faces = [_decode(line, Line, place) for line, place in zip(part, places, strict=True)]
        for face, place in zip(faces, places, strict=True):
            _count(owned, face.UserId, place)
        some = np.array(vectors[count : count + len(faces)])
        if len(some) < len(faces):
            raise CopyError(f"{places[len(some)]}: there are fewer vectors than faces")
        _check_vectors(some, places, metric)
        store.database.write(partial(_add, hidden=hidden, faces=faces, vectors=some))
        count += len(faces)
    return count


def _count(owned: dict[str, int], user_id: str | None, place: str) -> None:
    """Count one more face of a user. Raises CopyError."""
    if user_id is None:
        return
    if user_id not in owned:
        raise CopyError(f"{place}: the user {user_id} is not among the Users of line 1")
    owned[user_id] += 1
    if owned[user_id] > MAX_USER_FACES:
        raise CopyError(f"{place}: more than {MAX_USER_FACES} faces of the user {user_id}")


def _check_vectors(vectors: Vectors, places: Sequence[str], metric: Metric) -> None:
    """Raise CopyError for a vector that no search could compare."""
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        place = places[int(np.argmin(finite))]
        raise CopyError(f"{place}: its vector is not made of finite numbers")
    if metric == "cosine" and (off := are_off(vectors)).any():
        row = int(np.argmax(off))
        length = np.linalg.norm(vectors[row])
        raise CopyError(f"{places[row]}: its vector has length {length:.4f} instead of 1")


def _add(database: Connection, hidden: str, faces: list[Line], vectors: Vectors) -> None:
    row = row_of(database, hidden)
    names = {line.UserId for line in faces if line.UserId is not None}
    users = {name: user_table.user_row(database, row, name).made for name in names}
    added = []
    for line, vector in zip(faces, vectors, strict=True):
        box = line.BoundingBox
        face = StoredFace(
            face_id=line.FaceId,
            image_id=line.ImageId,
            external_image_id=line.ExternalImageId,
            box=(box.Left, box.Top, box.Width, box.Height),
            confidence=line.Confidence,
        )
        added.append((face, schema.stored(vector), users.get(line.UserId or "")))
    schema.put(database, row, added)


def _finish(database: Connection, hidden: str, name: str, head: Head) -> None:
    _check_free(database, name)
    row = row_of(database, hidden)
    for user_id in head.Users:
        user_table.refresh(database, row, user_table.user_row(database, row, user_id))
    database.execute(
        "UPDATE collections SET name = ?, created = ? WHERE id = ?",
        (name, head.CreationTimestamp, row.id),
    )


def _give_up(database: Connection, hidden: str) -> None:
    row = row_of(database, hidden)
    database.execute(
        "UPDATE collections SET name = ? WHERE id = ?", (f"{schema.DELETED_PREFIX}{row.id}", row.id)
    )


def _check_free(database: Connection, name: str) -> None:
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
        raise CopyError(f"{file}: name a file that ends in .jsonl; the vectors are beside it")
    return file.with_suffix(".npy")
