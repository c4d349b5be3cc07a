"""Tokens for the next page: opaque, signed, and good for one list only.

A token holds the number of the last thing that was shown. A list goes on behind that number,
whatever was added or deleted meanwhile: what was there all along is shown once.
"""

import base64
import binascii
import hashlib
import hmac
import struct

import msgspec

from onlooker.identity.faces import InvalidToken

SIGNATURE = 16


def token(secret: bytes, scope: tuple[object, ...], last: int) -> str:
    """For what comes behind number `last` of the list that `scope` names."""
    number = struct.pack(">q", last)
    return base64.urlsafe_b64encode(number + _sign(secret, scope, number)).decode()


def last(secret: bytes, scope: tuple[object, ...], token: str | None) -> int:
    """The number in a token, 0 for none; InvalidToken unless it was made for this `scope`."""
    if token is None:
        return 0
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        data = b""
    number, signature = data[:8], data[8:]
    if len(number) < 8 or not hmac.compare_digest(signature, _sign(secret, scope, number)):
        raise InvalidToken(
            "Invalid Token: it is not one that the last page of this very list came with; "
            "ask for the first page again"
        )
    return int(struct.unpack(">q", number)[0])


def _sign(secret: bytes, scope: tuple[object, ...], number: bytes) -> bytes:
    message = msgspec.msgpack.encode((scope, number))
    return hmac.digest(secret, message, hashlib.sha256)[:SIGNATURE]
