"""Pictures: what a step sees of one, and how JPEG and PNG become one.

A step asks a picture for a small version of it, or for a region, at full size or halved; it never
learns whether the pixels were BGR all along (`Still`) or lie in a decoder's planes (`Planes`).
"""

import re
from os import PathLike
from pathlib import Path
from typing import Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.errors import OnlookerError
from onlooker.media.planes import pack

Pixels = NDArray[np.uint8]

LARGEST = 50_000_000
"""Most pixels of a picture that is decoded: a file of a few bytes can ask for gigabytes."""
MOST_SCANS = 256
"""Most scans of a progressive JPEG: each costs as much as the whole picture."""
SCANNED = 10 * LARGEST
"""Most pixels of all scans together. Encoders make ten of a picture; a file of a few bytes can ask
for the same 50 megapixels again and again."""
LARGEST_BYTES = 3 * LARGEST
"""Most bytes of a PNG's pixels as they are decoded: 16 bits and transparency take more."""
DISTORTED = 1 / 16
"""Most that one side of a small picture is stretched or squeezed for a rounder size."""

PICTURES = (".jpg", ".jpeg", ".png")
"""How the names of files that can be read end."""
_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


class MediaError(OnlookerError):
    """A picture or video cannot be read; the text is one line that names it and the cause."""


class TooLarge(MediaError):
    """A picture has more than LARGEST pixels."""


class Picture(Protocol):
    """What a step sees of a picture."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...

    def small(self, long_side: int, multiple: int = 1) -> Pixels:
        """The picture with its longer side at most `long_side`, never enlarged: (h, w, 3) BGR.

        A side that is shrunk anyway becomes the nearest multiple of `multiple`, so that a model
        which needs that works on no padding, unless this would distort the picture by more than
        DISTORTED. It may be kept for the next who asks, so it is not to be written to.
        """

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> tuple[Pixels, tuple[int, int]]:
        """The rectangle x1 <= x < x2, y1 <= y < y2, and where it begins in the full picture.

        At full size, or halved so many times by means; the last rows and columns count twice and
        more often where there are not enough of them.
        It is clipped to the picture and may be a pixel wider on each side: the pixels are
        (h, w, 3) BGR, and the x, y of their first one. They may be a view, so they are not to be
        written to. Raises ValueError where nothing of the rectangle lies in the picture.
        """

    def luma(self, x1: int, y1: int, x2: int, y2: int) -> Pixels:
        """How bright the rectangle x1 <= x < x2, y1 <= y < y2 is: (h, w), clipped to the picture.

        Raises ValueError where nothing of it lies in the picture.
        """


class Still:
    """A picture over a BGR array of shape (h, w, 3)."""

    def __init__(self, bgr: Pixels) -> None:
        if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3 or not bgr.size:
            raise ValueError(f"a picture is (h, w, 3) uint8, not {bgr.shape} {bgr.dtype}")
        self.bgr = bgr
        self.height, self.width = bgr.shape[:2]

    def small(self, long_side: int, multiple: int = 1) -> Pixels:
        return _shrink(self.bgr, *_fit(self.width, self.height, long_side, multiple))

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> tuple[Pixels, tuple[int, int]]:
        x1, y1, x2, y2 = _clip(self, x1, y1, x2, y2)
        return _halved(self.bgr[y1:y2, x1:x2], halvings), (x1, y1)

    def luma(self, x1: int, y1: int, x2: int, y2: int) -> Pixels:
        x1, y1, x2, y2 = _clip(self, x1, y1, x2, y2)
        return cast(Pixels, cv2.cvtColor(self.bgr[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY))


class Planes:
    """A picture over I420 planes: y (h, w), u and v (ceil(h / 2), ceil(w / 2)), limited range.

    Colour is made by the BT.601 matrix, as OpenCV does for videos of any size, and only for the
    pixels that are asked for. Rows may be any distance apart.
    """

    def __init__(self, y: Pixels, u: Pixels, v: Pixels) -> None:
        self.height, self.width = y.shape
        half = (self.height + 1) // 2, (self.width + 1) // 2
        if u.shape != half or v.shape != half or not y.size:
            raise ValueError(
                f"planes do not belong together: y {y.shape}, u {u.shape}, v {v.shape}"
            )
        self.y, self.u, self.v = y, u, v
        self._small: dict[tuple[int, int], Pixels] = {}

    def small(self, long_side: int, multiple: int = 1) -> Pixels:
        # Faces and text are mostly looked for at one size.
        size = _fit(self.width, self.height, long_side, multiple)
        if size not in self._small:
            self._small[size] = self._shrunk(*size)
        return self._small[size]

    def _shrunk(self, width: int, height: int) -> Pixels:
        # Shrinking three planes and converting the little that is left costs less than a third of
        # converting the picture and shrinking that.
        half = (width + 1) // 2, (height + 1) // 2
        y = _shrink(self.y, width, height)
        return _bgr(y, _shrink(self.u, *half), _shrink(self.v, *half))

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> tuple[Pixels, tuple[int, int]]:
        x1, y1, x2, y2 = _clip(self, x1, y1, x2, y2)
        x1, y1 = x1 & ~1, y1 & ~1  # a chroma sample belongs to the 2 x 2 pixels from an even one on
        chroma = slice(y1 // 2, (y2 + 1) // 2), slice(x1 // 2, (x2 + 1) // 2)
        parts = self.y[y1:y2, x1:x2], self.u[chroma], self.v[chroma]
        y, u, v = (_halved(part, halvings) for part in parts)
        return _bgr(y, u, v), (x1, y1)

    def luma(self, x1: int, y1: int, x2: int, y2: int) -> Pixels:
        x1, y1, x2, y2 = _clip(self, x1, y1, x2, y2)
        return cast(Pixels, cv2.LUT(self.y[y1:y2, x1:x2], _FULL_RANGE))


_FULL_RANGE = ((np.arange(256) - 16) * (255 / 219)).round().clip(0, 255).astype(np.uint8)
"""Luma of limited range, 16 to 235, in 0 to 255."""


def _bgr(y: Pixels, u: Pixels, v: Pixels) -> Pixels:
    """Planes in colours: (h, w, 3)."""
    height, width = y.shape
    bgr = cast(Pixels, cv2.cvtColor(pack(y, u, v), cv2.COLOR_YUV2BGR_I420))
    return np.ascontiguousarray(bgr[:height, :width])


def read(path: str | PathLike[str]) -> Still:
    """The JPEG or PNG file at `path`. Raises MediaError, which names the path and the cause."""
    try:
        with open(path, "rb") as file:
            head = file.read(len(_PNG))
            # Something that is no picture may be endless: its first bytes say enough.
            data = head + file.read() if head.startswith((_JPEG, _PNG)) else head
    except OSError as error:
        raise MediaError(f"{Path(path)}: {error.strerror}") from error
    return decode(data, str(path))


def decode(data: bytes, name: str = "picture") -> Still:
    """A JPEG or PNG file's bytes as a picture; `name` is what errors call it.

    JPEG is turned upright by its EXIF orientation. 16 bits are rounded to 8, what is transparent
    lies on white, as a browser shows it, and CMYK, grey and palettes become BGR. A file that ends
    early is an error, not half a picture. Raises MediaError; TooLarge above 50 megapixels.
    """
    if not data:
        raise MediaError(f"{name}: the file is empty")
    if data.startswith(_JPEG):
        _check_jpeg(data, name)
        flags = cv2.IMREAD_COLOR
    elif data.startswith(_PNG):
        data = _picture_chunks(data, name)
        flags = cv2.IMREAD_UNCHANGED
    else:
        raise MediaError(f"{name}: neither JPEG nor PNG; it begins with {data[:8]!r}")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise MediaError(f"{name}: damaged ({' '.join(str(error).split())})") from error
    if pixels is None:
        raise MediaError(f"{name}: damaged, its pixels cannot be decoded")
    return Still(_plain(cast(NDArray[np.uint8 | np.uint16], pixels)))


def _check_jpeg(data: bytes, name: str) -> None:
    """Walk the segments: size, number of scans, and whether the end is there."""
    at, scans, most, sized = 2, 0, MOST_SCANS, False
    while marker := _MARKER.search(data, at):
        code, at = data[marker.end() - 1], marker.end()
        if code == 0xD9:  # end of image
            if not sized:
                break
            return
        if code in _FRAME_HEADERS:
            height, width = _number(data, at + 3, 2), _number(data, at + 5, 2)
            _check_size(width, height, name)
            if code in _HUFFMAN and len(data) * 8 < -(-width // 8) * -(-height // 8):
                raise MediaError(
                    f"{name}: a JPEG of {width} x {height} pixels has more than {len(data)} bytes;"
                    " most of it is missing, or it has another size"
                )
            most, sized = min(MOST_SCANS, SCANNED // (width * height)), True
        scans += code == 0xDA
        if scans > most:
            raise MediaError(
                f"{name}: a JPEG of its size and more than {most} scans is not decoded"
            )
        at += max(2, _number(data, at, 2))
    raise MediaError(f"{name}: a JPEG that ends early, after {len(data)} bytes")


_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")
"""A marker that opens a segment, or the end: stuffing, restarts and TEM stand alone in the data."""
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # DHT, JPG, DAC: not frames
_HUFFMAN = frozenset((0xC0, 0xC1, 0xC2))
"""Frames in which a block of 8 x 8 pixels takes a bit or more, however empty it is. Where the bits
are not there the decoder paints grey, of which a file of a few bytes can ask for 50 megapixels."""


def _picture_chunks(data: bytes, name: str) -> bytes:
    """The PNG file without the chunks that are no pixels, once its size is known to be right.

    Colour profiles, text, times, EXIF and animation would not be used, may hold anything and
    unpack to any size, and what libpng has to say of them goes to stderr.
    """
    if data[12:16] != b"IHDR":
        raise MediaError(f"{name}: damaged, a PNG must begin with its size")
    width, height = _number(data, 16, 4), _number(data, 20, 4)
    _check_size(width, height, name)
    if width * height * _depth(data) > LARGEST_BYTES:
        raise TooLarge(
            f"{name}: {width} x {height} pixels of {_depth(data)} bytes are more than "
            f"{LARGEST_BYTES // 1_000_000} million bytes; make it smaller first"
        )
    kept, at = [_PNG], len(_PNG)
    while at < len(data):
        kind = data[at + 4 : at + 8]
        end = at + 12 + _number(data, at, 4)  # length, kind and checksum stand round the content
        if end > len(data):
            break
        if kind in _PICTURE_CHUNKS:
            kept.append(data[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    raise MediaError(f"{name}: a PNG that ends early, after {len(data)} bytes")


def _depth(data: bytes) -> int:
    """Bytes of one pixel of a PNG as OpenCV decodes it: grey, BGR or BGRA, of 8 or 16 bits."""
    bits, kind = _number(data, 24, 1), _number(data, 25, 1)
    # 0 is grey, 2 colour, 3 a palette; 4 and 6 are grey and colour with transparency.
    return (2 if bits == 16 else 1) * {0: 1, 2: 3, 3: 3}.get(kind, 4)


_PICTURE_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))


def _check_size(width: int, height: int, name: str) -> None:
    if not width or not height:
        raise MediaError(f"{name}: damaged, a picture of {width} x {height} pixels")
    if width * height > LARGEST:
        raise TooLarge(
            f"{name}: {width} x {height} pixels are more than {LARGEST // 1_000_000} million;"
            " make it smaller first"
        )


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _plain(pixels: NDArray[np.uint8 | np.uint16]) -> Pixels:
    """(h, w), (h, w, 3) or (h, w, 4) of 8 or 16 bits, as (h, w, 3) of 8 bits."""
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


def _fit(width: int, height: int, long_side: int, multiple: int) -> tuple[int, int]:
    """Width and height of a small picture, as `Picture.small` has them."""
    if long_side < 1:
        raise ValueError(f"a picture cannot be made {long_side} pixels long")
    scale = long_side / max(width, height)
    if scale >= 1:
        return width, height

    def fitted(side: int) -> int:
        exact = side * scale
        rounded = round(exact / multiple) * multiple
        if rounded <= long_side and abs(rounded - exact) <= DISTORTED * exact:
            return rounded
        return max(1, round(exact))

    return fitted(width), fitted(height)


def _shrink(plane: Pixels, width: int, height: int) -> Pixels:
    """A plane, or a BGR picture, at `width` x `height`, which are not larger than it is.

    Bilinear resizing looks at four pixels only, so the plane is halved by means until it is less
    than twice as large: as fast, and small text does not turn into noise.
    """
    rows, columns = plane.shape[:2]
    while rows % 2 == columns % 2 == 0 and rows >= 2 * height and columns >= 2 * width:
        rows, columns = rows // 2, columns // 2
        plane = cast(Pixels, cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA))
    if (columns, rows) == (width, height):
        return plane
    return cast(Pixels, cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))


def _halved(plane: Pixels, times: int) -> Pixels:
    """A plane, or a BGR picture, halved so many times by means."""
    rows, columns = (-side % 2**times for side in plane.shape[:2])
    if rows or columns:
        plane = cast(Pixels, cv2.copyMakeBorder(plane, 0, rows, 0, columns, cv2.BORDER_REPLICATE))
    for _ in range(times):
        rows, columns = plane.shape[:2]
        half = columns // 2, rows // 2
        plane = cast(Pixels, cv2.resize(plane, half, interpolation=cv2.INTER_AREA))
    return plane


def _clip(picture: Picture, x1: int, y1: int, x2: int, y2: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = (
        max(0, x1), max(0, y1), min(picture.width, x2), min(picture.height, y2)
    )  # fmt: skip
    if left >= right or top >= bottom:
        raise ValueError(
            f"nothing of ({x1}, {y1}) to ({x2}, {y2}) lies in {picture.width} x {picture.height}"
        )
    return left, top, right, bottom
