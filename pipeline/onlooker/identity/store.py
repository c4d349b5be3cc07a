"""The store: collections of faces and users in one SQLite file.

A call that returns has committed, to the disk: a face that was added is found by the next search,
from any process. Any number of processes and threads may have the file open; each process opens its
own `Store`. Search indexes (`onlooker.identity.search.index`) are derived from it, by the numbers
of its changes (`onlooker.identity.changes`).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from onlooker import idempotency, page_token
from onlooker.config import paths
from onlooker.identity import index_paths, schema, user_table
from onlooker.identity.database import Database
from onlooker.identity.duplicates import image_id
from onlooker.identity.errors import CollectionExists, FaceNotFound, StoreError, TooMany
from onlooker.identity.faces import (
    FACES_PER_PAGE,
    MAX_TAGS,
    MIN_ASSOCIATION,
    USERS_PER_PAGE,
    Associations,
    CollectionInfo,
    CollectionPage,
    Deletions,
    FacePage,
    Method,
    Metric,
    NewFace,
    User,
    UserPage,
    Vectors,
    check_face,
    check_name,
)
from onlooker.identity.schema import Row, row_of
from onlooker.identity.user_table import Likeness
from onlooker.sql import Connection, Transactions
from onlooker.types import StoredFace

T = TypeVar("T")


def default_path() -> Path:
    """Return the path of the user's own collections, `faces.db` in the user's folder."""
    return paths.data_folder() / "faces.db"


class Store:
    """Collections in the SQLite file at `path`, which is created if there is none.

    With `url`, postgresql://..., they are in that database of PostgreSQL instead.

    Threads may use it together. Raises StoreError if it cannot be opened. All methods raise
    StoreFull, StoreLocked, StoreReadOnly and StoreDamaged, and CollectionNotFound if a collection
    they name does not exist.
    """

    def __init__(self, path: Path, url: str | None = None) -> None:
        self.path = path
        self.url = url
        self.database: Transactions = Database(path) if url is None else _postgres(url)
        try:
            with self.database.reading() as database:
                key, self._secret = database.execute("SELECT store, secret FROM keys").fetchone()
            self._key: str = key.hex()
            self.index_folder = index_paths.folder_of(path)
            if url is not None:
                self.index_folder /= self._key
                found = self.database.rows("SELECT name, model FROM collections", ())
                index_paths.remove_gone(self.index_folder, found)
        except BaseException:
            self.database.close()
            raise

    @property
    def key(self) -> str:
        """The store and its history, to which everything derived from it belongs."""
        return f"{self._key}{self.database.history}"

    def close(self) -> None:
        self.database.close()

    @property
    def place(self) -> str:
        """The file, or the database without its password, for messages."""
        return self.database.place

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Collections

    def make_collection(
        self,
        name: str,
        model: str,
        tags: Mapping[str, str] | None = None,
        method: Method = "auto",
        metric: Metric = "cosine",
    ) -> CollectionInfo:
        """Create an empty collection for vectors of `model`, which are compared by `metric`.

        `method` is how it is searched: see `onlooker.identity.search.index`. Raises
        CollectionExists, InvalidName, and TooMany for too many tags.
        """
        check_name("CollectionId", name, r"a-zA-Z0-9_.\-")
        created = time.time()

        def change(database: Connection) -> CollectionInfo:
            if database.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
                raise CollectionExists(
                    f"The collection id: {name} already exists. Index into it, or delete it first."
                )
            row = schema.make(database, name, model, metric, created, method)
            _tag(database, row, tags or {})
            return _collection(name, row)

        return self.database.write(change)

    def delete_collection(self, name: str) -> None:
        """Delete a collection with its faces, users and tags.

        The name is free at once. A large collection is removed in several transactions, between
        which others write.
        """

        def rename(database: Connection) -> Row:
            row = row_of(database, name)
            database.execute(
                "UPDATE collections SET name = ? WHERE id = ?",
                (f"{schema.DELETED_PREFIX}{row.id}", row.id),
            )
            return row

        model = self.database.write(rename).model
        # There may be others, if processes were killed during this.
        while self.database.write(schema.sweep):
            pass
        index_paths.remove_collection(self.index_folder, name, model)

    def collections(self, limit: int = FACES_PER_PAGE, token: str | None = None) -> CollectionPage:
        """List collections in the order of their creation. Raises InvalidToken."""
        _check_limit(limit)
        scope = ("collections",)
        after = page_token.last(self._secret, scope, token)
        with self.database.reading() as database:
            found = database.execute(
                f"SELECT name, {schema.ROW} FROM collections "
                "WHERE born > ? AND name NOT LIKE '/%' ORDER BY born LIMIT ?",
                (after, limit + 1),
            ).fetchall()
        rows = [(name, Row(*row)) for name, *row in found]
        return CollectionPage(
            collections=[_collection(name, row) for name, row in rows[:limit]],
            token=self._next(scope, [row.born for _, row in rows], limit),
        )

    def collection(self, name: str) -> CollectionInfo:
        """Return one collection."""
        with self.database.reading() as database:
            return _collection(name, row_of(database, name))

    def count_faces(self) -> int:
        """Return the number of faces in all collections."""
        with self.database.reading() as database:
            (count,) = database.execute(
                "SELECT coalesce(sum(faces), 0) FROM collections WHERE name NOT LIKE '/%'"
            ).fetchone()
        return int(count)

    def set_method(self, collection: str, method: Method) -> None:
        """Change how a collection is searched, from the next search on."""

        def change(database: Connection) -> None:
            row = row_of(database, collection)
            schema.next_change(database, row)
            database.execute("UPDATE collections SET method = ? WHERE id = ?", (method, row.id))

        self.database.write(change)

    def tag(self, collection: str, tags: Mapping[str, str]) -> None:
        """Add tags; existing keys get the new values. Raises TooMany."""
        self.database.write(lambda database: _tag(database, row_of(database, collection), tags))

    def untag(self, collection: str, keys: Iterable[str]) -> None:
        """Remove tags; missing keys are ignored."""

        def change(database: Connection) -> None:
            row = row_of(database, collection)
            database.executemany(
                "DELETE FROM tags WHERE collection = ? AND key = ?", [(row.id, key) for key in keys]
            )

        keys = list(keys)
        self.database.write(change)

    def tags(self, collection: str) -> dict[str, str]:
        """Return all tags by key."""
        with self.database.reading() as database:
            row = row_of(database, collection)
            return dict(
                database.execute(
                    "SELECT key, value FROM tags WHERE collection = ? ORDER BY key", (row.id,)
                )
            )

    # Faces

    def add(self, collection: str, faces: Sequence[NewFace]) -> list[StoredFace]:
        """Add faces, all or none, and return them as stored, in the same order.

        The FaceId of a face with an ExternalImageId is derived from the model, the image, that name
        and the box: adding it again stores nothing and returns the stored face, and it is the same
        in all collections of a model. A face without an ExternalImageId gets a new FaceId each
        time. Raises InvalidName and TooMany, and ValueError for a vector that is not finite, not of
        the collection's length, or not of length 1 if the collection compares by cosine.
        """
        for new in faces:
            check_face(new)
        by_picture = {picture: image_id(picture) for picture in {new.picture for new in faces}}
        image_ids = [by_picture[new.picture] for new in faces]

        def change(database: Connection) -> list[StoredFace]:
            row = row_of(database, collection)
            schema.check_room(row, len(faces))
            schema.check_vectors(database, row, faces)
            return schema.insert(database, row, faces, image_ids)

        return self.database.write(change)

    def faces(
        self,
        collection: str,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
        limit: int = FACES_PER_PAGE,
        token: str | None = None,
    ) -> FacePage:
        """List faces in the order they were added: all, of these ids, of a user, or both.

        A face that exists from the first page to the last is listed exactly once, whatever is added
        and deleted meanwhile. Raises UserNotFound and InvalidToken.
        """
        _check_limit(limit)
        with self.database.reading() as database:
            row = row_of(database, collection)
            ids = None if face_ids is None else sorted(set(face_ids))
            scope = ("faces", row.born, ids, user_id)
            after = page_token.last(self._secret, scope, token)
            user = None if user_id is None else user_table.user_row(database, row, user_id).made
            found = schema.page_of_faces(database, row, ids, user, after, limit + 1)
        return FacePage(
            faces=[schema.face_of(face) for _, *face in found[:limit]],
            token=self._next(scope, [number for number, *_ in found], limit),
        )

    def vectors(self, collection: str, face_ids: Sequence[str]) -> Vectors:
        """Return the vectors (n, dim) of these faces. Raises FaceNotFound."""
        with self.database.reading() as database:
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
        return schema.matrix([vector for (vector,) in found])

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> Deletions:
        """Delete faces, except those that do not exist or belong to a user."""

        def change(database: Connection) -> Deletions:
            row = row_of(database, collection)
            deleted, failed = schema.delete(database, row, list(dict.fromkeys(face_ids)))
            return Deletions(deleted=deleted, failed=failed)

        return self.database.write(change)

    # Users. `request` is a ClientRequestToken: a repeated one changes nothing and gets the same
    # answer, and raises RequestMismatch if the parameters differ.

    def create_user(self, collection: str, user_id: str, request: str | None = None) -> None:
        """Create a user without faces. Raises UserExists and InvalidName."""
        check_name("UserId", user_id, r"a-zA-Z0-9_.\-:", 128)
        self._once("CreateUser", request, (collection, user_id), user_table.create, type(None))

    def delete_user(self, collection: str, user_id: str, request: str | None = None) -> None:
        """Delete a user; its faces remain, without a user. Raises UserNotFound."""
        self._once("DeleteUser", request, (collection, user_id), user_table.delete, type(None))

    def users(
        self, collection: str, limit: int = USERS_PER_PAGE, token: str | None = None
    ) -> UserPage:
        """List users in the order of their creation. Raises InvalidToken."""
        _check_limit(limit)
        with self.database.reading() as database:
            row = row_of(database, collection)
            scope = ("users", row.born)
            after = page_token.last(self._secret, scope, token)
            found = user_table.page_of_users(database, row, after, limit + 1)
        return UserPage(
            users=[User(user_id=user.user_id, faces=user.faces) for user in found[:limit]],
            token=self._next(scope, [user.made for user in found], limit),
        )

    def user_vector(self, collection: str, user_id: str) -> Vectors | None:
        """Return the mean (dim,) of the vectors of a user's faces; None if it has no faces.

        Raises UserNotFound.
        """
        with self.database.reading() as database:
            user = user_table.user_row(database, row_of(database, collection), user_id)
            (blob,) = database.execute(
                "SELECT vector FROM users WHERE made = ?", (user.made,)
            ).fetchone()
        return None if blob is None else schema.matrix([blob])[0]

    def associate_alike(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        likeness: Likeness,
        threshold: float = MIN_ASSOCIATION,
        request: str | None = None,
    ) -> Associations:
        """Associate faces with a user, except those less similar than this to its faces.

        `likeness` returns the Similarity, 0 to 100: see `onlooker.identity.search.similarity`. The
        first face of a user is always associated. Raises UserNotFound, and TooMany, with nothing
        changed, if the user would have more than MAX_USER_FACES faces.
        """

        def change(database: Connection, row: Row, *_: object) -> Associations:
            return user_table.associate(database, row, user_id, face_ids, likeness, threshold)

        parameters = (collection, user_id, list(face_ids), threshold)
        return self._once("AssociateFaces", request, parameters, change, Associations)

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], request: str | None = None
    ) -> Associations:
        """Disassociate faces from a user. Raises UserNotFound."""
        parameters = (collection, user_id, list(face_ids))
        return self._once(
            "DisassociateFaces", request, parameters, user_table.disassociate, Associations
        )

    def _once(
        self,
        operation: str,
        request: str | None,
        parameters: tuple[object, ...],
        change: Callable[..., T],
        kind: type[T],
    ) -> T:
        """Carry out `change(database, row, *parameters after the first)` once per request."""
        collection, *rest = parameters

        def write(database: Connection) -> T:
            row = row_of(database, str(collection))
            run = partial(change, database, row, *rest)
            # What was asked of a deleted collection says nothing about a later one of its name.
            scope = f"{operation} {row.born}"
            return idempotency.once(database, scope, request, parameters, run, kind)

        return self.database.write(write)

    def _next(self, scope: tuple[object, ...], numbers: Sequence[int], limit: int) -> str | None:
        """Return the token of the page after the first `limit` entries, if there is one."""
        return (
            page_token.token(self._secret, scope, numbers[limit - 1])
            if len(numbers) > limit
            else None
        )


def _postgres(url: str) -> Transactions:
    # Here: psycopg is an extra.
    try:
        from onlooker.identity.postgres.postgres_database import PostgresDatabase
    except ImportError as error:
        raise StoreError(
            f"[store] url needs PostgreSQL's client ({error}): `pip install 'onlooker[postgres]'`"
        ) from error
    return PostgresDatabase(url)


def _collection(name: str, row: Row) -> CollectionInfo:
    return CollectionInfo(
        name=name,
        model=row.model,
        metric=row.metric,
        faces=row.faces,
        users=row.users,
        created=row.created,
        method=row.method,
    )


def _tag(database: Connection, row: Row, tags: Mapping[str, str]) -> None:
    database.executemany(
        "INSERT INTO tags (collection, key, value) VALUES (?, ?, ?) "
        "ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value",
        [(row.id, key, value) for key, value in tags.items()],
    )
    (count,) = database.execute(
        "SELECT count(*) FROM tags WHERE collection = ?", (row.id,)
    ).fetchone()
    if count > MAX_TAGS:
        raise TooMany(f"a collection has at most {MAX_TAGS} tags; this would make {count}")


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"a page must have at least one entry, not {limit}")
