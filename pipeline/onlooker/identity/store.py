"""The truth about who is known: collections of faces in one SQLite file.

A call that returns has committed, to the disk: a face that was added is found by the next search,
from any process. Any number of processes and threads may have the file open; each process opens
its own `Store`. What makes search fast (`onlooker.identity.index`) is derived from here.

Every insert and every deletion takes the next change number of the file. Numbers are never used
twice, so "what happened after N?" has one answer, also for a collection that was deleted and made
again under its old name.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import platformdirs
from numpy.typing import NDArray

from onlooker.identity.collection import (
    Changes,
    Collection,
    CollectionExists,
    CollectionNotFound,
    FaceNotFound,
    FaceStore,
    InvalidName,
    NewFace,
    StoreError,
    check_face,
    check_name,
    image_id,
)
from onlooker.identity.tables import (
    SCHEMA,
    STORED,
    check_lengths,
    delete,
    face_of,
    insert,
    matrix,
    next_number,
    row_of,
)
from onlooker.types import StoredFace

__all__ = [
    "Changes",
    "Collection",
    "CollectionExists",
    "CollectionNotFound",
    "FaceNotFound",
    "FaceStore",
    "InvalidName",
    "NewFace",
    "Store",
    "StoreError",
    "default_path",
    "image_id",
]

SCHEMA_VERSION = 1
APPLICATION = 0x4F6E6C6B  # "Onlk": SQLite's own mark for "this file belongs to that program"
PATIENCE = 10.0
"""Seconds to wait for another writer before giving up."""

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


def default_path() -> Path:
    """`faces.db` in `$ONLOOKER_DATA`, or in the user's data directory."""
    folder = os.environ.get("ONLOOKER_DATA")
    return (Path(folder) if folder else platformdirs.user_data_path("onlooker")) / "faces.db"


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
        check_name("CollectionId", name, r"a-zA-Z0-9_.\-")
        created = time.time()
        with self._writing() as database:
            if database.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
                raise CollectionExists(
                    f"The collection id: {name} already exists. Index into it, or delete it first."
                )
            number = next_number(database)
            database.execute(
                "INSERT INTO collections (name, model, created, born, change) "
                "VALUES (?, ?, ?, ?, ?)",
                (name, model, created, number, number),
            )
        return Collection(name=name, model=model, faces=0, created=created)

    def delete_collection(self, name: str) -> None:
        """Delete a collection and all its faces; CollectionNotFound."""
        with self._writing() as database:
            database.execute("DELETE FROM collections WHERE id = ?", (row_of(database, name).id,))

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
            row = row_of(database, name)
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
            check_face(new)
        image_ids = {picture: image_id(picture) for picture in {new.picture for new in faces}}
        with self._writing() as database:
            row = row_of(database, collection)
            check_lengths(database, row, faces)
            return [insert(database, row, new, image_ids[new.picture]) for new in faces]

    def faces(self, collection: str) -> list[StoredFace]:
        """All faces of a collection, in the order they were added; CollectionNotFound."""
        with self._reading() as database:
            rows = database.execute(
                f"SELECT {STORED} FROM faces WHERE collection = ? ORDER BY number",
                (row_of(database, collection).id,),
            ).fetchall()
        return [face_of(row) for row in rows]

    def vectors(self, collection: str, face_ids: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of these faces; CollectionNotFound, FaceNotFound."""
        with self._reading() as database:
            row = row_of(database, collection)
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
        return matrix([vector for (vector,) in found])

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> list[str]:
        """Delete faces and return the ids that were there; CollectionNotFound."""
        with self._writing() as database:
            row = row_of(database, collection)
            return [face_id for face_id in face_ids if delete(database, row, face_id)]

    # What an index asks

    def change(self, collection: str) -> int:
        """Number of the collection's last change; a few microseconds. CollectionNotFound."""
        with self._reading() as database:
            return row_of(database, collection).change

    def changes(self, collection: str, since: int) -> Changes:
        """What happened after change number `since`; CollectionNotFound."""
        with self._reading() as database:
            row = row_of(database, collection)
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
            vectors=matrix([vector for _, vector in added]),
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
        return {row[0]: face_of(row[1:]) for row in rows if row}

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


def _explain(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells kinds of one cause apart
    return StoreError(
        f"{path}: {error}; {CAUSES.get(code, 'this is unexpected, please report it')}"
    )
