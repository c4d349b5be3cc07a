"""Changes that are made once, however often their request comes.

A client that gets no answer sends its request again, with the same ClientRequestToken. The answer
of the first request is kept in the transaction of its change, and given to those that follow: in
the database's table `requests`, whose columns are operation, token, digest, made and answer.
"""

import hashlib
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from onlooker.errors import OnlookerError
from onlooker.sql import Connection

T = TypeVar("T")

TOKEN_SECONDS = 7 * 24 * 3600.0
"""Seconds that a ClientRequestToken is known."""


class RequestMismatch(OnlookerError):
    """A ClientRequestToken was used before, with other parameters."""


def once(
    database: Connection,
    operation: str,
    token: str | None,
    parameters: tuple[object, ...],
    change: Callable[[], T],
    kind: type[T],
) -> T:
    """Make a change within the open transaction and return its answer, of type `kind`.

    If the same token came before with the same parameters, nothing is changed and the first answer
    is returned. None means no token. Raises RequestMismatch if the parameters were others.
    """
    if token is None:
        return change()
    database.execute("DELETE FROM requests WHERE made < ?", (time.time() - TOKEN_SECONDS,))
    digest = hashlib.sha256(msgspec.msgpack.encode(parameters)).digest()
    known = database.execute(
        "SELECT digest, answer FROM requests WHERE operation = ? AND token = ?", (operation, token)
    ).fetchone()
    if known:
        if known[0] != digest:
            raise RequestMismatch(
                f"The ClientRequestToken: {token} you have supplied is already in use."
            )
        return msgspec.msgpack.decode(known[1], type=kind)
    answer = change()
    database.execute(
        "INSERT INTO requests (operation, token, digest, made, answer) VALUES (?, ?, ?, ?, ?)",
        (operation, token, digest, time.time(), msgspec.msgpack.encode(answer)),
    )
    return answer
