"""A collection as files that other programs read, and back.

An export is two files: `NAME.jsonl`, whose first line is the collection and each other one a face,
in Amazon's words, and `NAME.npy`, NumPy's own form, with a row of float32 for each face in the same
order.
"""

import secrets
import sqlite3
import time
import tokenize
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, TypeAlias, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from onlooker.identity import schema, user_table
from onlooker.identity.errors import CollectionExists, CopyError
from onlooker.identity.faces import MAX_FACES, MAX_TAGS, MAX_USER_FACES, Method, check_name
from onlooker.identity.schema import Row, are_off, by_cosine, row_of
from onlooker.identity.search.index_file import to_disk
from onlooker.identity.store import Store
from onlooker.types import StoredFace

T = TypeVar("T")

AT_ONCE = 2_000
"""Faces that are written to the store at a time."""

UNREADABLE = (ValueError, TypeError, EOFError, OverflowError, SyntaxError, tokenize.TokenError)
"""What NumPy says to headers of all kinds of damage: they are an expression in Python."""

# As the store itself would have them: a file may come from anywhere.
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

    FaceId: Id
    ImageId: Id
    BoundingBox: Ratios
    Confidence: Annotated[float, Meta(ge=0, le=100)]
    ExternalImageId: FaceName | None = None
    UserId: UserName | None = None


def export(store: Store, collection: str, to: Path) -> int:
    """Write a collection into `to` (.jsonl) and the vectors beside it; how many faces.

    Both files are there when they are whole, and not before. CollectionNotFound, CopyError.
    """
    files = (to, _vectors_beside(to))
    for file in files:
        if file.exists():
            raise CopyError(f"{file}: is there already; delete it, or name another file")
    mark = secrets.token_hex(4)
    parts = [file.with_name(f"{file.name}.{mark}.part") for file in files]
    try:
        with store.database.reading() as database:
            row = row_of(database, collection)
            with parts[0].open("xb") as lines, parts[1].open("xb") as vectors:
                _write(database, collection, row, lines, vectors)
        for part in parts:
            to_disk(part)
        _rename(parts, files)
        to_disk(to.parent)
    except OSError as error:
        raise CopyError(f"{to}: {error.strerror}") from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return row.faces


def import_(store: Store, source: Path, name: str | None = None) -> int:
    """Make a collection of an export, under its own name or another one; how many faces.

    Faces keep their ids. The collection is there when all of it is, and not before.
    CollectionExists, InvalidName, CopyError.
    """
    try:
        with source.open("rb") as lines:
            head = _decode(lines.readline(), Head, f"{source}, line 1")
            name = name or head.CollectionId
            check_name("CollectionId", name, r"a-zA-Z0-9_.\-")
            vectors = _mapped(_vectors_beside(source), head.FaceCount)
            hidden = store.database.write(partial(_begin, name=name, head=head))
            try:
                count = _fill(store, hidden, source, head, lines, vectors)
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


def _rename(parts: Sequence[Path], files: Sequence[Path]) -> None:
    """Give files their names, all or none, and never those of files that are there; OSError."""
    taken = []
    try:
        for file in files:
            file.open("xb").close()
            taken.append(file)
        for part, file in zip(parts, files, strict=True):
            part.rename(file)
    except OSError:
        for file in taken:
            file.unlink()
        raise


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
        f"SELECT vector, {schema.STORED} FROM faces WHERE collection = ? ORDER BY number", (row.id,)
    ):
        face = schema.face_of(stored)
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
    hidden = f"{schema.COMING}{schema.next_number(database)}"
    row = schema.make(database, hidden, head.FaceModelVersion, time.time(), head.SearchMethod)
    for user_id in head.Users:
        user_table.create(database, row, user_id)
    database.executemany(
        "INSERT INTO tags (collection, key, value) VALUES (?, ?, ?)",
        [(row.id, key, value) for key, value in head.Tags.items()],
    )
    return hidden


def _mapped(file: Path, faces: int) -> NDArray[np.float32]:
    """The vectors of so many faces; CopyError."""
    try:
        vectors = np.lib.format.open_memmap(file, mode="r")
    except UNREADABLE as error:
        raise CopyError(f"{file}: it is no whole NumPy array ({error}); export it again") from error
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
    vectors: NDArray[np.float32],
) -> int:
    """Add the faces, some thousand at a time, so that others may write in between."""
    cosine = by_cosine(head.FaceModelVersion)
    owned = dict.fromkeys(head.Users, 0)
    count = 0
    while part := list(islice(lines, AT_ONCE)):
        places = [f"{source}, line {number}" for number in range(count + 2, count + 2 + len(part))]
        faces = [_decode(line, Line, place) for line, place in zip(part, places, strict=True)]
        for face, place in zip(faces, places, strict=True):
            _count(owned, face.UserId, place)
        some = np.array(vectors[count : count + len(faces)])
        if len(some) < len(faces):
            raise CopyError(f"{places[len(some)]}: a face more than there are vectors")
        _check_vectors(some, places, cosine)
        store.database.write(partial(_add, hidden=hidden, faces=faces, vectors=some))
        count += len(faces)
    return count


def _count(owned: dict[str, int], user_id: str | None, place: str) -> None:
    """Note one more face of a user; CopyError."""
    if user_id is None:
        return
    if user_id not in owned:
        raise CopyError(f"{place}: the user {user_id} is not among the Users of line 1")
    owned[user_id] += 1
    if owned[user_id] > MAX_USER_FACES:
        raise CopyError(f"{place}: more than {MAX_USER_FACES} faces of the user {user_id}")


def _check_vectors(vectors: NDArray[np.float32], places: Sequence[str], cosine: bool) -> None:
    """CopyError for one that no search could compare."""
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        place = places[int(np.argmin(finite))]
        raise CopyError(f"{place}: its vector is not made of finite numbers")
    if cosine and (off := are_off(vectors)).any():
        row = int(np.argmax(off))
        length = np.linalg.norm(vectors[row])
        raise CopyError(f"{places[row]}: its vector has length {length:.4f} and not 1")


def _add(
    database: sqlite3.Connection, hidden: str, faces: list[Line], vectors: NDArray[np.float32]
) -> None:
    row = row_of(database, hidden)
    for line, vector in zip(faces, vectors, strict=True):
        user = line.UserId and user_table.user_row(database, row, line.UserId).made
        box = line.BoundingBox
        face = StoredFace(
            face_id=line.FaceId,
            image_id=line.ImageId,
            external_image_id=line.ExternalImageId,
            box=(box.Left, box.Top, box.Width, box.Height),
            confidence=line.Confidence,
        )
        schema.put(database, row, face, vector.tobytes(), user or None)


def _finish(database: sqlite3.Connection, hidden: str, name: str, head: Head) -> None:
    _check_free(database, name)
    row = row_of(database, hidden)
    for user_id in head.Users:
        user_table.refresh(database, row, user_table.user_row(database, row, user_id))
    database.execute(
        "UPDATE collections SET name = ?, created = ? WHERE id = ?",
        (name, head.CreationTimestamp, row.id),
    )


def _give_up(database: sqlite3.Connection, hidden: str) -> None:
    row = row_of(database, hidden)
    database.execute(
        "UPDATE collections SET name = ? WHERE id = ?", (f"{schema.GONE}{row.id}", row.id)
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
