"""The truth about who is known: collections of faces in one SQLite file.

A call that returns has committed, to the disk: a face that was added is found by the next search,
from any process. Any number of processes and threads may have the file open; each process opens
its own `Store`. What makes search fast (`onlooker.identity.index`) is derived from here.

Every insert and every deletion takes the next change number of the file. Numbers are never used
twice, so "what happened after N?" has one answer, also for a collection that was deleted and made
again under its old name.
"""

import hashlib
import os
import re
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import msgspec
import numpy as np
import platformdirs
from numpy.typing import NDArray

from onlooker.types import Box, StoredFace

SCHEMA_VERSION = 1
APPLICATION = 0x4F6E6C6B  # "Onlk": SQLite's own mark for "this file belongs to that program"
PATIENCE = 10.0
"""Seconds to wait for another writer before giving up."""

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "onlooker/faces")

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

CAUSES = {
    sqlite3.SQLITE_BUSY: f"another process has kept it locked for {PATIENCE:.0f} s; try again when "
    "that process is done",
    sqlite3.SQLITE_READONLY: "it cannot be written; make the file and its folder writable, or name "
    "another folder in ONLOOKER_DATA",
    sqlite3.SQLITE_FULL: "the disk is full, and nothing was changed; free some space and try again",
    sqlite3.SQLITE_NOTADB: "it is not a face store; move that file away, or name another folder in "
    "ONLOOKER_DATA",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put a copy of it back, or move it away and index the "
    "pictures again",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that it is a file in a folder that you "
    "may write to, or name another folder in ONLOOKER_DATA",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write it; check the disk and its free space",
}


class StoreError(Exception):
    """The store cannot do what was asked; the text says why and what to do."""


class InvalidName(StoreError):
    """A name has characters that Amazon's API does not allow there, or too many."""


class CollectionNotFound(StoreError):
    """There is no collection of that name."""


class CollectionExists(StoreError):
    """There is a collection of that name already."""


class FaceNotFound(StoreError):
    """The collection has no face of that FaceId."""


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as it is listed."""

    name: str
    model: str
    """Name of the embedder's card; vectors of two models cannot be compared."""
    faces: int
    created: float
    """Epoch seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFace:
    """A face to be added."""

    picture: bytes
    """The picture file as it was given. Only its digest, the ImageId, is kept."""
    external_image_id: str | None
    box: Box
    """left, top, width, height as ratios of the picture."""
    confidence: float
    """0 to 100."""
    vector: NDArray[np.float32]
    """(dim,) as the embedder gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What happened to a collection after some change number. Deletions come before additions."""

    number: int
    """The collection's change number now."""
    model: str
    reset: bool
    """The collection was made after that number: forget everything known of its name."""
    deleted: NDArray[np.int64]
    """(m,) numbers of faces that are gone; some may never have been seen."""
    added: NDArray[np.int64]
    """(n,) numbers of faces that are there now, ascending."""
    vectors: NDArray[np.float32]
    """(n, dim); (0, 0) where nothing was added."""


class FaceStore(Protocol):
    """What search needs of a store. `Store` is the one in SQLite; another can take its place."""

    @property
    def folder(self) -> Path:
        """Where files derived from the store may be kept."""

    def collection(self, name: str) -> Collection: ...

    def change(self, collection: str) -> int: ...

    def changes(self, collection: str, since: int) -> Changes: ...

    def numbered(self, numbers: Sequence[int]) -> dict[int, StoredFace]: ...


def default_path() -> Path:
    """`faces.db` in `$ONLOOKER_DATA`, or in the user's data directory."""
    folder = os.environ.get("ONLOOKER_DATA")
    return (Path(folder) if folder else platformdirs.user_data_path("onlooker")) / "faces.db"


def image_id(data: bytes) -> str:
    """ImageId of a picture file's bytes: the same bytes have the same id everywhere."""
    return str(uuid.uuid5(NAMESPACE, hashlib.sha256(data).hexdigest()))


class Store:
    """Collections of faces in the SQLite file at `path`, which is made if there is none.

    Raises StoreError, or the one of its kinds that a method names.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()  # one connection: threads take turns
        self._process = os.getpid()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{path.parent}: the folder for the face store cannot be made "
                f"({error.strerror}); name another in ONLOOKER_DATA"
            ) from error
        try:
            self._database = sqlite3.connect(
                path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _explain(path, error) from error
        try:
            self._open()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """Where files derived from the store may be kept."""
        return self.path.parent

    # Collections

    def create_collection(self, name: str, model: str) -> Collection:
        """Make an empty collection for vectors of `model`; CollectionExists, InvalidName."""
        _check_name("CollectionId", name, r"a-zA-Z0-9_.\-")
        created = time.time()
        with self._writing() as database:
            if database.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
                raise CollectionExists(
                    f"The collection id: {name} already exists. Index into it, or delete it first."
                )
            number = _next_number(database)
            database.execute(
                "INSERT INTO collections (name, model, created, born, change) "
                "VALUES (?, ?, ?, ?, ?)",
                (name, model, created, number, number),
            )
        return Collection(name=name, model=model, faces=0, created=created)

    def delete_collection(self, name: str) -> None:
        """Delete a collection and all its faces; CollectionNotFound."""
        with self._writing() as database:
            database.execute("DELETE FROM collections WHERE id = ?", (_row(database, name).id,))

    def collections(self) -> list[Collection]:
        """All collections, by name."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT name, model, created, "
                "(SELECT count(*) FROM faces WHERE collection = collections.id) "
                "FROM collections ORDER BY name"
            ).fetchall()
        return [
            Collection(name=name, model=model, faces=faces, created=created)
            for name, model, created, faces in rows
        ]

    def collection(self, name: str) -> Collection:
        """One collection; CollectionNotFound."""
        with self._reading() as database:
            row = _row(database, name)
            (faces,) = database.execute(
                "SELECT count(*) FROM faces WHERE collection = ?", (row.id,)
            ).fetchone()
        return Collection(name=name, model=row.model, faces=faces, created=row.created)

    # Faces

    def add(self, collection: str, faces: Sequence[NewFace]) -> list[StoredFace]:
        """Add faces, all or none, and return them as stored, in the same order.

        A face with an ExternalImageId has a FaceId made of the model, the picture, that name and
        its place in the picture: adding it again stores nothing and returns what is there, and
        two collections of one model know it by the same id. Without an ExternalImageId every
        adding makes a new face. Raises CollectionNotFound and InvalidName, and ValueError for
        a vector that is not finite or not of the collection's length.
        """
        for new in faces:
            _check_face(new)
        image_ids = {picture: image_id(picture) for picture in {new.picture for new in faces}}
        with self._writing() as database:
            row = _row(database, collection)
            _check_lengths(database, row, faces)
            return [_insert(database, row, new, image_ids[new.picture]) for new in faces]

    def faces(self, collection: str) -> list[StoredFace]:
        """All faces of a collection, in the order they were added; CollectionNotFound."""
        with self._reading() as database:
            rows = database.execute(
                f"SELECT {STORED} FROM faces WHERE collection = ? ORDER BY number",
                (_row(database, collection).id,),
            ).fetchall()
        return [_face(row) for row in rows]

    def vectors(self, collection: str, face_ids: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of these faces; CollectionNotFound, FaceNotFound."""
        with self._reading() as database:
            row = _row(database, collection)
            found = [
                database.execute(
                    "SELECT vector FROM faces WHERE collection = ? AND face_id = ?",
                    (row.id, face_id),
                ).fetchone()
                for face_id in face_ids
            ]
        if None in found:
            missing = face_ids[found.index(None)]
            raise FaceNotFound(f"faceId {missing} was not found in the collection {collection}.")
        return _matrix([vector for (vector,) in found])

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> list[str]:
        """Delete faces and return the ids that were there; CollectionNotFound."""
        with self._writing() as database:
            row = _row(database, collection)
            return [face_id for face_id in face_ids if _delete(database, row, face_id)]

    # What an index asks

    def change(self, collection: str) -> int:
        """Number of the collection's last change; a few microseconds. CollectionNotFound."""
        with self._reading() as database:
            return _row(database, collection).change

    def changes(self, collection: str, since: int) -> Changes:
        """What happened after change number `since`; CollectionNotFound."""
        with self._reading() as database:
            row = _row(database, collection)
            deleted = database.execute(
                "SELECT face FROM deletions WHERE collection = ? AND number > ? ORDER BY number",
                (row.id, since),
            ).fetchall()
            added = database.execute(
                "SELECT number, vector FROM faces WHERE collection = ? AND number > ? "
                "ORDER BY number",
                (row.id, since),
            ).fetchall()
        return Changes(
            number=row.change,
            model=row.model,
            reset=since < row.born,
            deleted=np.array([face for (face,) in deleted], dtype=np.int64),
            added=np.array([number for number, _ in added], dtype=np.int64),
            vectors=_matrix([vector for _, vector in added]),
        )

    def numbered(self, numbers: Sequence[int]) -> dict[int, StoredFace]:
        """The faces of these change numbers; one that is gone is left out."""
        with self._reading() as database:
            rows = [
                database.execute(
                    f"SELECT number, {STORED} FROM faces WHERE number = ?", (number,)
                ).fetchone()
                for number in numbers
            ]
        return {row[0]: _face(row[1:]) for row in rows if row}

    # The file

    def _open(self) -> None:
        with self._reading():
            self._check_owner()
        try:
            self._log_ahead()
            # FULL: a commit is on the disk when it returns.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error
        if self._version() == SCHEMA_VERSION:
            return
        with self._writing() as database:
            if self._version() == 0:  # nobody else made the tables while we waited
                for statement in SCHEMA.split(";\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {APPLICATION}")
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _check_owner(self) -> None:
        (owner,) = self._database.execute("PRAGMA application_id").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and owner != APPLICATION:
            raise StoreError(
                f"{self.path}: it is the database of another program; move that file away, or "
                "name another folder in ONLOOKER_DATA"
            )
        if self._version() > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: it has format {self._version()}, made by a newer Onlooker, and "
                f"this one reads up to {SCHEMA_VERSION}; update Onlooker"
            )

    def _log_ahead(self) -> None:
        """Write-ahead log: readers never wait. For this switch alone SQLite itself does not."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def _version(self) -> int:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._transaction("BEGIN")

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        # IMMEDIATE takes the write lock at once: no reader finds out half-way that it may not.
        return self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._process:
            raise StoreError(
                f"{self.path}: opened in process {self._process} and used in {os.getpid()}, its "
                "child; open a Store in each process"
            )
        with self._lock:
            try:
                self._database.execute(begin)
                yield self._database
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise _explain(self.path, error) from error
            finally:
                self._database.rollback()


class _Row(NamedTuple):
    """A collection as the tables have it."""

    id: int
    model: str
    created: float
    born: int
    change: int


def _row(database: sqlite3.Connection, name: str) -> _Row:
    found = database.execute(
        "SELECT id, model, created, born, change FROM collections WHERE name = ?", (name,)
    ).fetchone()
    if found is None:
        raise CollectionNotFound(
            f"The collection id: {name} does not exist. `onlooker collection list` names those "
            f"there are; `onlooker collection create {name}` makes it."
        )
    return _Row(*found)


def _next_number(database: sqlite3.Connection) -> int:
    database.execute("UPDATE counter SET change = change + 1")
    (number,) = database.execute("SELECT change FROM counter").fetchone()
    return int(number)


def _next_change(database: sqlite3.Connection, row: _Row) -> int:
    number = _next_number(database)
    database.execute("UPDATE collections SET change = ? WHERE id = ?", (number, row.id))
    return number


def _insert(database: sqlite3.Connection, row: _Row, new: NewFace, image_id: str) -> StoredFace:
    face = StoredFace(
        face_id=_face_id(new, row.model, image_id),
        image_id=image_id,
        external_image_id=new.external_image_id,
        box=new.box,
        confidence=new.confidence,
    )
    known = database.execute(
        f"SELECT {STORED} FROM faces WHERE collection = ? AND face_id = ?", (row.id, face.face_id)
    ).fetchone()
    if known:
        return _face(known)
    database.execute(
        f"INSERT INTO faces (number, collection, vector, {STORED}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            _next_change(database, row),
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


def _delete(database: sqlite3.Connection, row: _Row, face_id: str) -> bool:
    found = database.execute(
        "SELECT number FROM faces WHERE collection = ? AND face_id = ?", (row.id, face_id)
    ).fetchone()
    if found is None:
        return False
    (face,) = found
    database.execute("DELETE FROM faces WHERE number = ?", (face,))
    database.execute(
        "INSERT INTO deletions (number, collection, face) VALUES (?, ?, ?)",
        (_next_change(database, row), row.id, face),
    )
    return True


def _face_id(new: NewFace, model: str, image_id: str) -> str:
    if new.external_image_id is None:
        return str(uuid.uuid4())
    # Thousandths of the picture: two faces never share them, rounding errors seldom cross them.
    box = ",".join(str(round(value * 1000)) for value in new.box)
    parts = (model, image_id, new.external_image_id, box)
    return str(uuid.uuid5(NAMESPACE, "|".join(parts)))


def _face(row: tuple[str, str, str | None, float, float, float, float, float]) -> StoredFace:
    face_id, image_id, external_image_id, *box, confidence = row
    left, top, width, height = box
    return StoredFace(
        face_id=face_id,
        image_id=image_id,
        external_image_id=external_image_id,
        box=(left, top, width, height),
        confidence=confidence,
    )


def _matrix(blobs: Sequence[bytes]) -> NDArray[np.float32]:
    """Rows of little-endian float32; (0, 0) where there are none."""
    if not blobs:
        return np.empty((0, 0), dtype=np.float32)
    rows = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1)
    return rows.astype(np.float32, copy=False)


def _check_name(kind: str, name: str, characters: str) -> None:
    if re.fullmatch(f"[{characters}]{{1,255}}", name):
        return
    better = re.sub(f"[^{characters}]", "_", name)[:255]
    advice = f"; {better!r} would do" if better else ""
    raise InvalidName(f"{name!r} cannot be the {kind}: it takes 1 to 255 of [{characters}]{advice}")


def _check_face(new: NewFace) -> None:
    if new.external_image_id is not None:
        _check_name("ExternalImageId", new.external_image_id, r"a-zA-Z0-9_.\-:")
    if new.vector.ndim != 1 or not new.vector.size or not np.isfinite(new.vector).all():
        raise ValueError(
            f"the vector of a face must be finite numbers of shape (dim,), not {new.vector.shape} "
            f"with {np.count_nonzero(~np.isfinite(new.vector))} that are not finite"
        )
    if not np.isfinite((*new.box, new.confidence)).all():
        raise ValueError(f"box {new.box} and confidence {new.confidence} must be finite numbers")


def _check_lengths(database: sqlite3.Connection, row: _Row, faces: Sequence[NewFace]) -> None:
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


def _explain(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells kinds of one cause apart
    return StoreError(
        f"{path}: {error}; {CAUSES.get(code, 'this is unexpected, please report it')}"
    )
