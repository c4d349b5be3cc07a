"""Statements on the table of users, each inside its caller's transaction.

A user's vector is the mean of its faces' vectors. It has a change number of its own, and its old
number is recorded as deleted when it changes, as a face's is. So an index of users catches up as an
index of faces does.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from onlooker.identity.errors import TooMany, UserExists, UserNotFound
from onlooker.identity.faces import MAX_USER_FACES, Associations, Failure, User, Vectors
from onlooker.identity.schema import Row, matrix, next_change, record_deletion, stored
from onlooker.sql import Connection

Likeness = Callable[[Vectors, Vectors], float]
"""Returns the Similarity, 0 to 100, of two vectors (dim,), or means of some."""


class UserRow(NamedTuple):
    """A row of the table of users."""

    made: int
    """Change number of its creation."""
    user_id: str
    faces: int
    number: int | None
    """Change number of its vector; None if it has no faces."""


def user_row(database: Connection, row: Row, user_id: str) -> UserRow:
    """Return the user called `user_id`. Raises UserNotFound."""
    found = database.execute(
        "SELECT made, user_id, faces, number FROM users WHERE collection = ? AND user_id = ?",
        (row.id, user_id),
    ).fetchone()
    if found is None:
        raise UserNotFound(f"The user id: {user_id} does not exist in this collection.")
    return UserRow(*found)


def page_of_users(database: Connection, row: Row, after: int, limit: int) -> list[UserRow]:
    """Return up to `limit` users created after change number `after`, in order."""
    found = database.execute(
        "SELECT made, user_id, faces, number FROM users "
        "WHERE collection = ? AND made > ? ORDER BY made LIMIT ?",
        (row.id, after, limit),
    )
    return [UserRow(*user) for user in found]


def create(database: Connection, row: Row, user_id: str) -> None:
    """Create a user without faces. Raises UserExists."""
    known = database.execute(
        "SELECT 1 FROM users WHERE collection = ? AND user_id = ?", (row.id, user_id)
    ).fetchone()
    if known:
        raise UserExists(f"The user id: {user_id} already exists in this collection.")
    made = next_change(database, row, users=1)
    database.execute(
        "INSERT INTO users (made, collection, user_id) VALUES (?, ?, ?)", (made, row.id, user_id)
    )


def delete(database: Connection, row: Row, user_id: str) -> None:
    """Delete a user; its faces remain, without a user. Raises UserNotFound."""
    user = user_row(database, row, user_id)
    database.execute('UPDATE faces SET "user" = NULL WHERE "user" = ?', (user.made,))
    database.execute("DELETE FROM users WHERE made = ?", (user.made,))
    change = next_change(database, row, users=-1)
    if user.number is not None:
        record_deletion(database, row, user.number, change)


def associate(
    database: Connection,
    row: Row,
    user_id: str,
    face_ids: Sequence[str],
    likeness: Likeness,
    threshold: float,
) -> Associations:
    """Associate faces with a user if they are similar to its own. Raises UserNotFound, TooMany."""
    user = user_row(database, row, user_id)
    own = _vectors(database, user)
    associated, failed = [], []
    for face_id in dict.fromkeys(face_ids):
        found = database.execute(
            'SELECT number, vector, "user" FROM faces WHERE collection = ? AND face_id = ?',
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
            database.execute('UPDATE faces SET "user" = ? WHERE number = ?', (user.made, number))
        associated.append(face_id)
    if len(own) > MAX_USER_FACES:
        raise TooMany(
            f"the user {user_id} would have {len(own)} faces, and at most {MAX_USER_FACES} are "
            "possible; disassociate some first"
        )
    return _changed(database, row, user, associated, failed)


def disassociate(
    database: Connection, row: Row, user_id: str, face_ids: Sequence[str]
) -> Associations:
    """Disassociate faces from a user. Raises UserNotFound."""
    user = user_row(database, row, user_id)
    removed, failed = [], []
    for face_id in dict.fromkeys(face_ids):
        found = database.execute(
            'SELECT number, "user" FROM faces WHERE collection = ? AND face_id = ?',
            (row.id, face_id),
        ).fetchone()
        if found is None or found[1] is None:
            failed.append(Failure(face_id=face_id, reason="FACE_NOT_FOUND"))
        elif found[1] != user.made:
            failed.append(_different(database, face_id, found[1]))
        else:
            database.execute('UPDATE faces SET "user" = NULL WHERE number = ?', (found[0],))
            removed.append(face_id)
    return _changed(database, row, user, removed, failed)


def _vectors(database: Connection, user: UserRow) -> Vectors:
    found = database.execute(
        'SELECT vector FROM faces WHERE "user" = ? ORDER BY number', (user.made,)
    ).fetchall()
    return matrix([vector for (vector,) in found])


def _different(database: Connection, face_id: str, owner: int) -> Failure:
    (user_id,) = database.execute("SELECT user_id FROM users WHERE made = ?", (owner,)).fetchone()
    return Failure(face_id=face_id, reason="ASSOCIATED_TO_A_DIFFERENT_USER", user_id=user_id)


def _changed(
    database: Connection,
    row: Row,
    user: UserRow,
    face_ids: list[str],
    failed: list[Failure],
) -> Associations:
    count = refresh(database, row, user)
    status = User(user_id=user.user_id, faces=count).status
    return Associations(faces=face_ids, failed=failed, status=status)


def refresh(database: Connection, row: Row, user: UserRow) -> int:
    """Store the vector and the number of a user's faces after a change; return the number."""
    vectors = _vectors(database, user)
    if len(vectors) != user.faces:
        if user.number is not None:
            record_deletion(database, row, user.number, next_change(database, row))
        number = next_change(database, row) if len(vectors) else None
        mean = stored(vectors.mean(axis=0)) if len(vectors) else None
        database.execute(
            "UPDATE users SET faces = ?, number = ?, vector = ? WHERE made = ?",
            (len(vectors), number, mean, user.made),
        )
    return len(vectors)
