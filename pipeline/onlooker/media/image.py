"""JPEG and PNG files from untrusted sources, decoded within limits."""

import re
import zlib
from collections.abc import Iterator
from os import PathLike
from typing import cast

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from onlooker.media.errors import MediaError, TooLarge
from onlooker.media.exif_orientation import Orientation, of_jpeg, turned
from onlooker.media.picture import Pixels, Still
from onlooker.media.url import redacted

MAX_PIXELS = 65_000_000
"""Maximum pixels of an image that is decoded: a file of a few bytes can demand gigabytes.

Phones that are sold as having 50 or 64 megapixels make slightly larger images.
"""
MAX_SCANS = 256
"""Maximum scans of a progressive JPEG: each costs as much as the whole image."""
MAX_SCANNED_PIXELS = 10 * MAX_PIXELS
"""Maximum pixels of all scans together. Encoders make ten scans; a file of a few bytes can demand
the same 65 megapixels again and again."""
MAX_PNG_SIDE = 1_000_000
"""libpng's limit of a side."""
MAX_PNG_BYTES = 3 * MAX_PIXELS
"""Maximum bytes of a PNG's decoded pixels: 16 bits and transparency take more than three each."""

MAX_FILE_BYTES = 256 << 20
"""Maximum bytes of a file: more than an image of MAX_PIXELS can need."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png")
_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


def read(path: str | PathLike[str]) -> Still:
    """Decode the JPEG or PNG file at `path`. Raises MediaError, with the path and the cause."""
    return decode(contents(path), redacted(str(path)))


def contents(path: str | PathLike[str]) -> bytes:
    """Return the bytes of the file at `path`, or the first of them if it is no JPEG or PNG.

    Raises MediaError.
    """
    name = redacted(str(path))
    try:
        with open(path, "rb") as file:
            head = file.read(len(_PNG))
            # Anything but an image may be endless: its first bytes are enough.
            more = MAX_FILE_BYTES if head.startswith((_JPEG, _PNG)) else 0
            data = head + file.read(more)
    except OSError as error:
        raise MediaError(f"{name}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise TooLarge(f"{name}: more than {MAX_FILE_BYTES} bytes; make it smaller first")
    return data


def decode(data: bytes, name: str = "image") -> Still:
    """Decode the bytes of a JPEG or PNG file; error messages call it `name`.

    JPEG is turned upright by its EXIF orientation. 16 bits are rounded to 8, transparency is
    composed over white, as in a browser, and CMYK, grey and palettes become BGR. A truncated file
    is an error, not half an image; a JPEG of which only the end marker is missing is whole, unless
    it is coded arithmetically: then nobody can tell, and it needs the marker.
    Raises MediaError; TooLarge above 65 megapixels.
    """
    if not data:
        raise MediaError(f"{name}: the file is empty")
    if data.startswith(_JPEG):
        return Still(_jpeg(data, name))
    if data.startswith(_PNG):
        return Still(_png(data, name))
    raise MediaError(f"{name}: neither JPEG nor PNG; it begins with {data[:8]!r}")


def _jpeg(data: bytes, name: str) -> Pixels:
    end = _check_jpeg(data, name)
    whole = data if data[end : end + 2] == _END else data[:end] + _END
    try:
        if whole is not data and not _complete(whole):
            raise _early(data, name)
        pixels = cast(Pixels, simplejpeg.decode_jpeg(whole, colorspace="BGR", strict=True))
    except ValueError as error:
        # libjpeg's first complaint. In spite of all others, such as "extraneous bytes", which many
        # cameras leave, browsers show the image.
        if re.search("premature end of data segment|found marker 0xd9 instead of RST", str(error)):
            raise _early(data, name) from error
        pixels = _decoded_anyway(whole, name)
    return turned(pixels, of_jpeg(data) or Orientation.UPRIGHT)


def _early(data: bytes, name: str) -> MediaError:
    return MediaError(f"{name}: the JPEG ends early, after {len(data)} bytes")


def _decoded_anyway(data: bytes, name: str) -> Pixels:
    try:
        return cast(Pixels, simplejpeg.decode_jpeg(data, colorspace="BGR", strict=False))
    except ValueError as error:
        raise MediaError(f"{name}: damaged ({error})") from error


def _png(data: bytes, name: str) -> Pixels:
    data = _pixel_chunks(data, name)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise MediaError(f"{name}: damaged ({' '.join(str(error).split())})") from error
    if pixels is None:
        raise MediaError(f"{name}: damaged, its pixels cannot be decoded")
    return _to_bgr(cast(NDArray[np.uint8 | np.uint16], pixels))


def _check_jpeg(data: bytes, name: str) -> int:
    """Check the size and the scans; return where the JPEG's end marker is, or belongs.

    The coefficients of a progressive JPEG may be incomplete, but each component needs its first.
    """
    scans, max_scans, end = 0, MAX_SCANS, len(data)
    missing, progressive = set[int](), False
    for code, at in _segments(data):
        if code == _END[1] or code in _NO_JPEG:
            end = at - 2
            break
        if code in _FRAME_HEADERS:
            progressive = code in _PROGRESSIVE
            missing = set(
                data[at + 8 : at + 8 + 3 * data[at + 7] : 3] if at + 7 < len(data) else b""
            )
            height, width = _number(data, at + 3, 2), _number(data, at + 5, 2)
            _check_size(width, height, name)
            if code in _HUFFMAN and len(data) * 8 < -(-width // 8) * -(-height // 8):
                raise MediaError(
                    f"{name}: a JPEG of {width} x {height} pixels needs more than {len(data)} "
                    "bytes; most of it is missing, or its size is wrong"
                )
            max_scans = min(MAX_SCANS, MAX_SCANNED_PIXELS // (width * height))
        if code == _SCAN:
            scans += 1
            header = data[at : at + _number(data, at, 2)]
            # What a scan begins with says something in progressive frames only.
            if len(header) >= 6 and (header[-3] == 0 or not progressive):
                missing -= set(header[3:-3:2])
        if scans > max_scans:
            raise MediaError(
                f"{name}: a JPEG of this size may have {max_scans} scans, and it has more; save it "
                "again without progressive encoding"
            )
    if scans and missing:
        raise _early(data, name)
    return end


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the code of each marker of a JPEG, and the place behind it."""
    at = 2
    while marker := _MARKER.search(data, at):
        code, at = data[marker.end() - 1], marker.end()
        yield code, at
        at += max(2, _number(data, at, 2))


def _complete(data: bytes) -> bool:
    """Return whether the scans of a JPEG cover each component with all its coefficients.

    Arithmetic coding leaves zeros at the end out, so that nobody can tell where its bits are cut.
    """
    wanted, covered = -1, set[tuple[int, int]]()
    for code, at in _segments(data):
        if code in _ARITHMETIC:
            return False
        if code in _FRAME_HEADERS:
            wanted = 64 * data[at + 7] if at + 7 < len(data) else -1
        elif code == _SCAN:
            header = data[at : at + _number(data, at, 2)]
            if len(header) < 6 or len(header) != 6 + 2 * header[2]:
                return False
            first, last, precision = header[-3:]
            if precision & 15 == 0:  # no bit is left for a later scan
                covered |= {(one, k) for one in header[3:-3:2] for k in range(first, last + 1)}
    return len(covered) == wanted


_END = b"\xff\xd9"
_SCAN = 0xDA
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")
"""A marker that begins a segment, or the end. Stuffing, restarts and TEM have no segment."""
_NO_JPEG = frozenset((*range(0x02, 0xC0), *range(0xF0, 0xFE)))
"""Markers that no JPEG has: bytes that a camera added behind it."""
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # without DHT, JPG, DAC
_ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_HUFFMAN = frozenset((0xC0, 0xC1, 0xC2))
"""Frames in which each block of 8 x 8 pixels takes at least one bit. If the bits are missing, the
decoder fills in grey, and a file of a few bytes can demand 65 megapixels of it."""


def _pixel_chunks(data: bytes, name: str) -> bytes:
    """Return the PNG file with its pixel chunks only, after checking them, and its size.

    Colour profiles, text, times, EXIF and animation are not used, may contain anything and unpack
    to any size. libpng's complaints go to stderr, which may be a log.
    """
    if data[12:16] != b"IHDR":
        raise MediaError(f"{name}: damaged, it does not begin with its size")
    width, height = _number(data, 16, 4), _number(data, 20, 4)
    _check_size(width, height, name)
    if max(width, height) > MAX_PNG_SIDE:
        raise TooLarge(f"{name}: {width} x {height} pixels; a side of a PNG may have 1 million")
    bits, kind_of_pixels = _number(data, 24, 1), _number(data, 25, 1)
    if (
        _number(data, 8, 4) != 13
        or bits not in _PNG_BITS.get(kind_of_pixels, ())
        or data[26:28] != b"\0\0"
        or _number(data, 28, 1) > 1
    ):
        raise MediaError(f"{name}: damaged, no PNG has such a header")
    if width * height * _depth(data) > MAX_PNG_BYTES:
        raise TooLarge(
            f"{name}: {width} x {height} pixels of {_depth(data)} bytes exceed "
            f"{MAX_PNG_BYTES // 1_000_000} million bytes; make it smaller first"
        )
    kept, at, palette, pixels = [_PNG], len(_PNG), 0, False
    while at < len(data):
        kind = data[at + 4 : at + 8]
        end = at + 12 + _number(data, at, 4)  # length, kind and checksum enclose the content
        if end > len(data):
            break
        if kind in _PIXEL_CHUNKS:
            if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != _number(data, end - 4, 4):
                raise MediaError(f"{name}: damaged, a checksum is wrong")
            size = end - at - 12
            if at == len(_PNG) or _belongs(kind, size, kind_of_pixels, palette, pixels):
                kept.append(data[at:end])
                palette = size // 3 if kind == b"PLTE" else palette
                pixels = pixels or kind == b"IDAT"
        if kind == b"IEND":
            if not pixels:
                raise MediaError(f"{name}: damaged, its pixels or its colours are missing")
            return b"".join(kept)
        at = end
    raise MediaError(f"{name}: the PNG ends early, after {len(data)} bytes")


def _belongs(kind: bytes, size: int, kind_of_pixels: int, palette: int, pixels: bool) -> bool:
    """Return whether a chunk of `size` bytes, not the first one, is used with such pixels.

    palette: the number of colours so far. pixels: whether chunks of pixels were before it.
    """
    if kind == b"PLTE":
        return kind_of_pixels == PALETTE and not palette and size % 3 == 0 and 3 <= size <= 768
    if kind == b"tRNS":
        most = palette if kind_of_pixels == PALETTE else _KEY.get(kind_of_pixels, 0)
        exact = kind_of_pixels == PALETTE or size == most
        return not pixels and exact and 0 < size <= most
    if kind == b"IDAT":
        return kind_of_pixels != PALETTE or palette > 0
    return kind == b"IEND"


def _depth(data: bytes) -> int:
    """Return the bytes per pixel of a PNG as OpenCV decodes it: grey, BGR or BGRA, 8 or 16 bits."""
    bits, kind = _number(data, 24, 1), _number(data, 25, 1)
    # 0 is grey, 2 colour, 3 a palette; 4 and 6 are grey and colour with transparency.
    return (2 if bits == 16 else 1) * {0: 1, 2: 3, 3: 3}.get(kind, 4)


PALETTE = 3
"""The kind of PNG's pixels that are numbers of colours; 0 is grey, 2 colour, +4 transparent."""
_PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_KEY = {0: 2, 2: 6}
"""Bytes of the one transparent colour, by kind of pixels (PNG 3rd edition, 11.3.1.1)."""
_PIXEL_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))


def _check_size(width: int, height: int, name: str) -> None:
    if not width or not height:
        raise MediaError(f"{name}: damaged, an image of {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise TooLarge(
            f"{name}: {width} x {height} pixels exceed {MAX_PIXELS // 1_000_000} million; "
            "make it smaller first"
        )


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _to_bgr(pixels: NDArray[np.uint8 | np.uint16]) -> Pixels:
    """Convert (h, w), (h, w, 3) or (h, w, 4) of 8 or 16 bits to (h, w, 3) of 8 bits."""
    eight = cast(
        Pixels, pixels if pixels.dtype == np.uint8 else cv2.convertScaleAbs(pixels, alpha=1 / 257)
    )
    if eight.ndim == 2:
        return cast(Pixels, cv2.cvtColor(eight, cv2.COLOR_GRAY2BGR))
    if eight.shape[2] == 4:
        alpha = cv2.cvtColor(eight[:, :, 3], cv2.COLOR_GRAY2BGR)
        ink = cv2.multiply(255 - eight[:, :, :3], alpha, scale=1 / 255)
        return cast(Pixels, 255 - ink)
    return eight
