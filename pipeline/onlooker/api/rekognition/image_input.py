"""Pictures as requests bring them: base64 in the body, or an object of a bucket."""

import binascii
from typing import NamedTuple

import msgspec
import pybase64

from onlooker.api.errors import Refusal, bad_picture, invalid, large_picture, no_object, unreadable
from onlooker.api.rekognition.requests import Image
from onlooker.api.rekognition.site import Site
from onlooker.api.validation import said
from onlooker.media.errors import MediaError, TooLarge
from onlooker.media.image import decode
from onlooker.media.picture import Still

MOST_BYTES = 5 * 1024 * 1024
"""Of a picture in the request."""
MOST_OBJECT_BYTES = 15 * 1024 * 1024
"""Of a picture in a bucket."""
TOO_LARGE = (
    f"A picture in a request may have {MOST_BYTES >> 20} MiB, one in a bucket "
    f"{MOST_OBJECT_BYTES >> 20} MiB: make it smaller."
)
SMALLEST_SIDE = 80
"""Pixels that both sides of a picture must have."""
BASE64_OF = {b"/9j/": "a JPEG", b"iVBORw0KGgo": "a PNG"}
"""How base64 of each kind of file begins."""


class Taken(NamedTuple):
    """A picture, and the file it was."""

    data: bytes
    still: Still


def take(image: Image, member: str, site: Site) -> Taken:
    """The picture of a request's member; Refusal for what is none, or not of a size we look at."""
    data = file(image, member, site)
    try:
        still = decode(data, member)
    except TooLarge as error:
        raise large_picture(f"{error}.") from error
    except MediaError as error:
        raise bad_picture(f"{error}.{_hint(data)}") from error
    if min(still.width, still.height) < SMALLEST_SIDE:
        raise invalid(
            f"{member} is {still.width} x {still.height} pixels; both sides must have "
            f"{SMALLEST_SIDE} or more."
        )
    return Taken(data, still)


def file(image: Image, member: str, site: Site) -> bytes:
    """The file's bytes; Refusal where there is not exactly one of Bytes and S3Object."""
    sent = len(image.Bytes) > 4 or bytes(image.Bytes) not in (b"", b"null")
    if sent == (image.S3Object is not None):
        number = "both" if sent else "none"
        raise invalid(f"{member} must have exactly one of Bytes and S3Object; it has {number}.")
    if sent:
        return _decoded(image.Bytes, member, site)
    wanted = image.S3Object
    assert wanted is not None, "one of the two is there"
    if wanted.Bucket is None or wanted.Name is None:
        raise no_object(f"{member}.S3Object must have a Bucket and a Name.")
    return site.objects.read(wanted.Bucket, wanted.Name, wanted.Version, MOST_OBJECT_BYTES)


def _decoded(raw: msgspec.Raw, member: str, site: Site) -> bytes:
    text = memoryview(raw)
    if text[0] != ord('"'):
        raise unreadable(f"{member}.Bytes can not be converted to a Blob: it must be a string.")
    try:
        try:
            data = pybase64.b64decode(text[1:-1], validate=True)
        except binascii.Error:
            # JSON may write a slash with a backslash before it.
            if b"\\" not in bytes(raw):
                raise
            plain: str = msgspec.json.decode(raw)
            data = pybase64.b64decode(plain.encode(), validate=True)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(
            f"{member}.Bytes can not be converted to a Blob: it is not base64 ({error})."
        ) from error
    if not 1 <= len(data) <= MOST_BYTES:
        path = f"{member[0].lower()}{member[1:]}.bytes"
        if data:
            kind, why = f"less than or equal to {MOST_BYTES}", TOO_LARGE
        else:
            kind, why = "greater than or equal to 1", "The picture is empty."
        raise Refusal(
            site.settings.serve.validation_error,
            "1 validation error detected: "
            + said(f"'<{len(data)} bytes>'", path, f"Member must have length {kind}")
            + f". {why}",
        )
    return data


def _hint(data: bytes) -> str:
    """What was probably meant."""
    for start, kind in BASE64_OF.items():
        if data.startswith(start):
            return (
                f" The bytes are themselves base64 of {kind}: give the SDK the file's own bytes, "
                "it encodes them."
            )
    if data.startswith(b"data:"):
        return " The bytes are a data: URL: send the bytes that it encodes."
    return ""
