"""People of a collection: statements on the tables, each inside its caller's transaction.

A user's vector is the mean of its faces' vectors. It has a change number of its own and is buried
under it when it changes, as a face is, so an index of users keeps up as one of faces does.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.errors import TooMany, UserExists, UserNotFound
from onlooker.identity.faces import MAX_USER_FACES, Associations, Failure, User
from onlooker.identity.schema import Row, bury, matrix, next_change

Vector = NDArray[np.float32]
Likeness = Callable[[Vector, Vector], float]
"""Similarity, 0 to 100, of a face's vector and a user's."""


class UserRow(NamedTuple):
    """A user as the tables have it."""

    made: int
    user_id: str
    faces: int
    number: int | None


def user_row(database: sqlite3.Connection, row: Row, user_id: str) -> UserRow:
    """The user called `user_id`; UserNotFound."""
    found = database.execute(
        "SELECT made, user_id, faces, number FROM users WHERE collection = ? AND user_id = ?",
        (row.id, user_id),
    ).fetchone()
    if found is None:
        raise UserNotFound(f"The user id: {user_id} does not exist in this collection.")
    return UserRow(*found)


def page_of_users(database: sqlite3.Connection, row: Row, after: int, limit: int) -> list[UserRow]:
    """Up to `limit` users made after change number `after`, in order."""
    found = database.execute(
        "SELECT made, user_id, faces, number FROM users "
        "WHERE collection = ? AND made > ? ORDER BY made LIMIT ?",
        (row.id, after, limit),
    )
    return [UserRow(*user) for user in found]


def create(database: sqlite3.Connection, row: Row, user_id: str) -> None:
    """UserExists."""
    known = database.execute(
        "SELECT 1 FROM users WHERE collection = ? AND user_id = ?", (row.id, user_id)
    ).fetchone()
    if known:
        raise UserExists(f"The user id: {user_id} already exists in this collection.")
    made = next_change(database, row, users=1)
    database.execute(
        "INSERT INTO users (made, collection, user_id) VALUES (?, ?, ?)", (made, row.id, user_id)
    )


def delete(database: sqlite3.Connection, row: Row, user_id: str) -> None:
    """Delete a user; its faces stay, and are nobody's. UserNotFound."""
    user = user_row(database, row, user_id)
    database.execute("UPDATE faces SET user = NULL WHERE user = ?", (user.made,))
    database.execute("DELETE FROM users WHERE made = ?", (user.made,))
    change = next_change(database, row, users=-1)
    if user.number is not None:
        bury(database, row, user.number, change)


def associate(
    database: sqlite3.Connection,
    row: Row,
    user_id: str,
    face_ids: Sequence[str],
    likeness: Likeness,
    threshold: float,
) -> Associations:
    """Give faces to a user, if they are like those that it has; UserNotFound, TooMany."""
    user = user_row(database, row, user_id)
    own = _vectors(database, user)
    given, failed = [], []
    for face_id in dict.fromkeys(face_ids):
        found = database.execute(
            "SELECT number, vector, user FROM faces WHERE collection = ? AND face_id = ?",
            (row.id, face_id),
        ).fetchone()
        if found is None:
            failed.append(Failure(face_id=face_id, reason="FACE_NOT_FOUND"))
            continue
        number, blob, owner = found
        if owner not in (None, user.made):
            failed.append(_different(database, face_id, owner))
            continue
        if owner is None:
            vector = matrix([blob])[0]
            alike = likeness(vector, own.mean(axis=0)) if len(own) else 100.0
            if alike < threshold:
                reason = Failure(
                    face_id=face_id,
                    reason="LOW_MATCH_CONFIDENCE",
                    user_id=user_id,
                    confidence=alike,
                )
                failed.append(reason)
                continue
            own = np.concatenate([own, vector[None]]) if len(own) else vector[None]
            database.execute("UPDATE faces SET user = ? WHERE number = ?", (user.made, number))
        given.append(face_id)
    if len(own) > MAX_USER_FACES:
        raise TooMany(
            f"the user {user_id} would have {len(own)} faces, and {MAX_USER_FACES} is the "
            "most; disassociate some first"
        )
    return _changed(database, row, user, given, failed)


def disassociate(
    database: sqlite3.Connection, row: Row, user_id: str, face_ids: Sequence[str]
) -> Associations:
    """Take faces away from a user; UserNotFound."""
    user = user_row(database, row, user_id)
    taken, failed = [], []
    for face_id in dict.fromkeys(face_ids):
        found = database.execute(
            "SELECT number, user FROM faces WHERE collection = ? AND face_id = ?",
            (row.id, face_id),
        ).fetchone()
        if found is None or found[1] is None:
            failed.append(Failure(face_id=face_id, reason="FACE_NOT_FOUND"))
        elif found[1] != user.made:
            failed.append(_different(database, face_id, found[1]))
        else:
            database.execute("UPDATE faces SET user = NULL WHERE number = ?", (found[0],))
            taken.append(face_id)
    return _changed(database, row, user, taken, failed)


def _vectors(database: sqlite3.Connection, user: UserRow) -> Vector:
    found = database.execute(
        "SELECT vector FROM faces WHERE user = ? ORDER BY number", (user.made,)
    ).fetchall()
    return matrix([vector for (vector,) in found])


def _different(database: sqlite3.Connection, face_id: str, owner: int) -> Failure:
    (user_id,) = database.execute("SELECT user_id FROM users WHERE made = ?", (owner,)).fetchone()
    return Failure(face_id=face_id, reason="ASSOCIATED_TO_A_DIFFERENT_USER", user_id=user_id)


def _changed(
    database: sqlite3.Connection,
    row: Row,
    user: UserRow,
    face_ids: list[str],
    failed: list[Failure],
) -> Associations:
    count = refresh(database, row, user)
    status = User(user_id=user.user_id, faces=count).status
    return Associations(faces=face_ids, failed=failed, status=status)


def refresh(database: sqlite3.Connection, row: Row, user: UserRow) -> int:
    """Note the vector and the number of a user's faces after they changed; how many it has."""
    vectors = _vectors(database, user)
    if len(vectors) != user.faces:
        if user.number is not None:
            bury(database, row, user.number, next_change(database, row))
        number = next_change(database, row) if len(vectors) else None
        mean = vectors.mean(axis=0).astype("<f4").tobytes() if len(vectors) else None
        database.execute(
            "UPDATE users SET faces = ?, number = ?, vector = ? WHERE made = ?",
            (len(vectors), number, mean, user.made),
        )
    return len(vectors)
