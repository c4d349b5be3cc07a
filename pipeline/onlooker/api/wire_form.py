"""The forms of bodies on the wire: JSON, and CBOR for the clients that prefer it.

Both carry the same members. A blob is base64 in JSON and bytes in CBOR; a time is epoch seconds in
JSON, and in CBOR epoch milliseconds with the tag of times, as Amazon's SDK for Java has it.

Source: RFC 8949; https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cbor2
import msgspec

from onlooker.api import validation
from onlooker.api.errors import Refusal, unreadable

CBOR_CONTENT_TYPE = "application/x-amz-cbor-1.1"
TIME_TAG = 1
"""CBOR's tag of a time since 1970."""
TIMES = frozenset({"ApproximateArrivalTimestamp", "StreamCreationTimestamp"})
"""Members of responses that are times."""
MAX_DEPTH = 32
"""Structures within each other that a body in CBOR may have."""


@dataclass(frozen=True, slots=True)
class WireForm:
    """A way to write bodies."""

    name: str
    decode: Callable[[type[msgspec.Struct], bytes | bytearray, str], msgspec.Struct]
    """Returns the request in a body. Raises Refusal if it is not of this form, or if a member's
    type differs; the last parameter is the error's name if it is null where it must not be."""
    encode: Callable[[Any], bytes]
    """Returns the body of a response or of an error."""


@lru_cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(kind)


def _decode_json(
    kind: type[msgspec.Struct], body: bytes | bytearray, limit_error: str
) -> msgspec.Struct:
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise _mistyped(str(error), limit_error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable(f"The body can not be converted to JSON: {error}.") from error


def _decode_cbor(
    kind: type[msgspec.Struct], body: bytes | bytearray, limit_error: str
) -> msgspec.Struct:
    try:
        found = cbor2.loads(
            bytes(body),
            semantic_decoders={TIME_TAG: _seconds},
            max_depth=MAX_DEPTH,
            strict_hashable_types=True,
        )
    except (cbor2.CBORError, RecursionError, OverflowError, ValueError) as error:
        raise unreadable(f"The body can not be converted to CBOR: {error}.") from error
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise _mistyped(str(error), limit_error) from error


def _seconds(milliseconds: Any, _: bool) -> float:
    if not isinstance(milliseconds, int | float):
        raise ValueError(f"{milliseconds!r} is no time")
    return milliseconds / 1000


def _encode_cbor(value: Any) -> bytes:
    return cbor2.dumps(_with_times(msgspec.to_builtins(value, builtin_types=(bytes,))))


def _with_times(value: Any) -> Any:
    """Return a structure whose times are as CBOR has them."""
    if isinstance(value, dict):
        return {
            name: cbor2.CBORTag(TIME_TAG, round(member * 1000))
            if name in TIMES
            else _with_times(member)
            for name, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [_with_times(member) for member in value]
    return value


JSON = WireForm("json", _decode_json, msgspec.json.encode)
CBOR = WireForm("cbor", _decode_cbor, _encode_cbor)

_MISTYPED = re.compile(r"Expected `(.+)`, got `(.+?)`(?: - at `\$\.?(.*)`)?")


def _mistyped(complaint: str, limit_error: str) -> Refusal:
    """Return msgspec's complaint about a value's type in Amazon's words, "can not" among them."""
    found = _MISTYPED.fullmatch(complaint)
    if found is None:
        return unreadable(f"The body can not be converted to a request: {complaint}.")
    wanted, got, path = found.groups()
    place = ".".join(part[:1].lower() + part[1:] for part in (path or "").split("."))
    if got == "null" and place:
        return Refusal(
            limit_error,
            "1 validation error detected: "
            + validation.sentence("null", place, "Member must not be null"),
        )
    where = f" at '{place}'" if place else ""
    return unreadable(f"{got} can not be converted to {wanted.removesuffix(' | null')}{where}.")
