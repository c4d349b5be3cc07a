"""Signed tokens that a client hands back unchanged: the next page of a list, a position in a log.

A token is opaque, and good for one scope only, such as one list of one store. Whoever made it knows
that nobody changed it.

A page token holds the number of the last entry that was shown. The next page begins behind that
number, whatever was added or deleted meanwhile: what was there all along is shown exactly once.
"""

import base64
import binascii
import hashlib
import hmac
import struct

import msgspec

from onlooker.errors import OnlookerError

SIGNATURE_BYTES = 16

Scope = tuple[object, ...]
"""Names what a token is good for; anything that msgspec can encode."""


class InvalidToken(OnlookerError):
    """A token that was not made here, or for another scope."""


def sign(secret: bytes, scope: Scope, content: bytes) -> str:
    """Return a token that holds `content`, in URL-safe base64."""
    return base64.urlsafe_b64encode(content + _signature(secret, scope, content)).decode()


def verify(secret: bytes, scope: Scope, token: str) -> bytes:
    """Return the content of a token. Raises InvalidToken unless `sign` made it for this scope."""
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        data = b""
    content, signature = data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(secret, scope, content)):
        raise InvalidToken(
            "Invalid Token: it was not made here for this request; ask again without a token"
        )
    return content


def token(secret: bytes, scope: Scope, last: int) -> str:
    """Return the token of the page behind entry `last` of the list that `scope` names."""
    return sign(secret, scope, struct.pack(">q", last))


def last(secret: bytes, scope: Scope, token: str | None) -> int:
    """Return the entry number in a page token; None stands for the first page, number 0.

    Raises InvalidToken unless the token was made for this scope.
    """
    if token is None:
        return 0
    return int(struct.unpack(">q", verify(secret, scope, token))[0])


def _signature(secret: bytes, scope: Scope, content: bytes) -> bytes:
    message = msgspec.msgpack.encode((scope, content))
    return hmac.digest(secret, message, hashlib.sha256)[:SIGNATURE_BYTES]
