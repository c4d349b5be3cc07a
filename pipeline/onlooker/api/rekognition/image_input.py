"""Images of requests: base64 in the body or an object of a bucket, up to the decoded image."""

import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import pybase64

from onlooker.api.context import Context
from onlooker.api.errors import (
    Refusal,
    bad_image,
    invalid,
    large_image,
    no_object,
    unreadable,
)
from onlooker.api.rekognition.requests import Image, S3Object
from onlooker.api.service import Continue, Result
from onlooker.api.validation import sentence
from onlooker.media.buckets import BucketError, ObjectTooLarge
from onlooker.media.errors import MediaError, TooLarge
from onlooker.media.image import decode
from onlooker.media.picture import Still
from onlooker.vision.analyser import Analyser

MEMBERS = ("Image", "SourceImage", "TargetImage")
"""Members of requests that are images."""
MAX_IMAGE_BYTES = 5 * 1024 * 1024
"""Bytes of an image in a request."""
MAX_OBJECT_BYTES = 15 * 1024 * 1024
"""Bytes of an image in a bucket."""
MIN_SIDE_PIXELS = 80
"""Pixels that both sides of an image must have."""
TOO_LARGE = (
    f"An image in a request may have {MAX_IMAGE_BYTES >> 20} MiB, one in a bucket "
    f"{MAX_OBJECT_BYTES >> 20} MiB: make it smaller."
)
BASE64_OF = {b"/9j/": "a JPEG", b"iVBORw0KGgo": "a PNG"}
"""How base64 of each kind of file begins."""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image, and the file that it was in."""

    data: bytes
    still: Still

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.still.width, self.still.height


Analyse = Callable[[Any, Sequence[DecodedImage], Context, Analyser], Result]
"""Answers a request about images, or does the part of it that needs models."""


def with_images(
    analyse: Analyse, check: Callable[[Any, Context], object] = lambda request, context: None
) -> Callable[[Any, Context], Result]:
    """Return an operation that gives `analyse` a request's decoded images, and the models.

    The models are lent for `analyse` alone: images are fetched and decoded before, and what it
    returns as Continue comes after. `check` refuses what can be refused without the images.
    """

    def run(request: Any, context: Context) -> Result:
        check(request, context)
        sources = {member: _source(image, member) for member, image in images_of(request).items()}
        if any(isinstance(source, S3Object) for source in sources.values()):
            # A slow bucket keeps a thread of its own busy, and none that has models.
            return Continue("buckets", partial(fetch, request, sources, context))
        return analysed(request, sources, {}, context)

    def fetch(request: Any, sources: Mapping[str, Source], context: Context) -> Result:
        objects = {
            member: _fetch(source, member, context)
            for member, source in sources.items()
            if isinstance(source, S3Object)
        }
        held = sum(map(len, objects.values()))
        return Continue("images", partial(analysed, request, sources, objects, context), held)

    def analysed(
        request: Any, sources: Mapping[str, Source], objects: Mapping[str, bytes], context: Context
    ) -> Result:
        images = [
            decoded(
                objects[member]
                if isinstance(source, S3Object)
                else _from_base64(source, member, context),
                member,
            )
            for member, source in sources.items()
        ]
        with context.analysers.lend() as analyser:
            return analyse(request, images, context, analyser)

    return run


def images_of(request: Any) -> dict[str, Image]:
    """Return a request's images by the names of their members."""
    images = {member: getattr(request, member, None) for member in MEMBERS}
    return {member: image for member, image in images.items() if image is not None}


Source = msgspec.Raw | S3Object
"""base64 in its JSON quotes, or the object to fetch."""


def _source(image: Image, member: str) -> Source:
    """Return where an image is. Raises Refusal unless it has one of Bytes and S3Object."""
    sent = len(image.Bytes) > 4 or bytes(image.Bytes) not in (b"", b"null")
    if sent == (image.S3Object is not None):
        number = "both" if sent else "none"
        raise invalid(f"{member} must have exactly one of Bytes and S3Object; it has {number}.")
    if image.S3Object is None:
        return image.Bytes
    if image.S3Object.Bucket is None or image.S3Object.Name is None:
        raise no_object(f"{member}.S3Object must have a Bucket and a Name.")
    return image.S3Object


def _fetch(wanted: S3Object, member: str, context: Context) -> bytes:
    """Return an object's bytes. Raises Refusal if it cannot be read or is too large."""
    assert wanted.Bucket is not None, f"{member} was checked"
    assert wanted.Name is not None, f"{member} was checked"
    try:
        return context.buckets.read(wanted.Bucket, wanted.Name, wanted.Version, MAX_OBJECT_BYTES)
    except ObjectTooLarge as error:
        raise large_image(f"{error}.") from error
    except BucketError as error:
        raise no_object(f"{error}.") from error


def _from_base64(raw: msgspec.Raw, member: str, context: Context) -> bytes:
    """Return the bytes of a file in a request. Raises Refusal."""
    text = memoryview(raw)
    if text[0] != ord('"'):
        raise unreadable(f"{member}.Bytes can not be converted to a Blob: it must be a string.")
    try:
        data = pybase64.b64decode(text[1:-1], validate=True)
    except binascii.Error:
        data = _from_odd_base64(raw, member)
    if not 1 <= len(data) <= MAX_IMAGE_BYTES:
        path = f"{member[0].lower()}{member[1:]}.bytes"
        if data:
            limit, why = f"less than or equal to {MAX_IMAGE_BYTES}", TOO_LARGE
        else:
            limit, why = "greater than or equal to 1", "The image is empty."
        raise Refusal(
            context.settings.serve.validation_error,
            "1 validation error detected: "
            + sentence(f"'<{len(data)} bytes>'", path, f"Member must have length {limit}")
            + f". {why}",
        )
    return data


def _from_odd_base64(raw: msgspec.Raw, member: str) -> bytes:
    """Return the bytes of base64 that JSON has escaped, or that is broken into lines.

    JSON may write a slash with a backslash before it. Many encoders end a line after 64 or 76
    characters (RFC 2045). Raises Refusal if it is not base64 for all that.
    """
    hint = ""
    try:
        plain: str = msgspec.json.decode(raw)
        if plain.startswith("data:"):
            hint = "; of a data: URL, send what follows the comma"
        elif not {"-", "_"}.isdisjoint(plain):
            hint = "; the alphabet for URLs, with - and _, is another one"
        text = plain.encode().translate(None, b" \t\r\n")
        if not hint and len(text) % 4:
            hint = "; without line ends its length must be a multiple of 4, filled up with ="
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, msgspec.DecodeError, UnicodeError) as error:
        raise unreadable(
            f"{member}.Bytes can not be converted to a Blob: it is not base64 ({error}){hint}."
        ) from error


def decoded(data: bytes, member: str) -> DecodedImage:
    """Return a decoded file. Raises Refusal if it is not an image, or not of an allowed size."""
    try:
        still = decode(data, member)
    except TooLarge as error:
        raise large_image(f"{error}.") from error
    except MediaError as error:
        raise bad_image(f"{error}.{_hint(data)}") from error
    if min(still.width, still.height) < MIN_SIDE_PIXELS:
        raise invalid(
            f"{member} is {still.width} x {still.height} pixels; both sides must have "
            f"{MIN_SIDE_PIXELS} or more."
        )
    return DecodedImage(data, still)


def _hint(data: bytes) -> str:
    """Return a guess at what the client did wrong, for the end of an error."""
    for start, kind in BASE64_OF.items():
        if data.startswith(start):
            return (
                f" The bytes are themselves base64 of {kind}: give the SDK the file's own bytes, "
                "it encodes them."
            )
    if data.startswith(b"data:"):
        return " The bytes are a data: URL: send the bytes that it encodes."
    return ""
