"""Access to an image for the steps: a small version, a region, or the luma of a region.

A step does not learn whether the pixels were BGR from the start (`Still`) or are a decoder's planes
(`Planes`).
"""

from typing import Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.planes import pack, stretched

Pixels = NDArray[np.uint8]

MAX_DISTORTION = 1 / 16
"""Maximum share by which a side of a small image is stretched or squeezed for a rounder size."""


class Picture(Protocol):
    """The access that a step has to an image."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...

    def small(self, long_side: int, multiple: int = 1) -> Pixels:
        """Return the image with its longer side at most `long_side`, never enlarged: (h, w, 3) BGR.

        A side that shrinks becomes the nearest multiple of `multiple`, so that a model which needs
        that works on no padding, unless this would distort the image by more than MAX_DISTORTION.
        The result may be cached for the next caller: do not write to it.
        """

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> tuple[Pixels, tuple[int, int]]:
        """Return the rectangle x1 <= x < x2, y1 <= y < y2, and the x, y of its first pixel.

        The rectangle is clipped to the image and may be a pixel wider on each side. The pixels are
        (h, w, 3) BGR, at full size or halved `halvings` times by means; missing rows and columns
        are filled by repeating the last one. They may be a view: do not write to them. Raises
        ValueError if the rectangle is outside the image.
        """

    def luma(self, x1: int, y1: int, x2: int, y2: int, step: int = 1) -> Pixels:
        """Return the brightness of the rectangle x1 <= x < x2, y1 <= y < y2: (h, w), clipped.

        step: only every so many rows and columns are returned. Raises ValueError if the rectangle
        is outside the image.
        """


class Still:
    """An image over a BGR array of shape (h, w, 3)."""

    def __init__(self, bgr: Pixels) -> None:
        if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3 or not bgr.size:
            raise ValueError(f"an image is (h, w, 3) uint8, not {bgr.shape} {bgr.dtype}")
        self.bgr = bgr
        self.height, self.width = bgr.shape[:2]

    def small(self, long_side: int, multiple: int = 1) -> Pixels:
        return _shrink(self.bgr, *_fit(self.width, self.height, long_side, multiple))

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> tuple[Pixels, tuple[int, int]]:
        x1, y1, x2, y2 = _clip(self, x1, y1, x2, y2)
        return _halve(self.bgr[y1:y2, x1:x2], halvings), (x1, y1)

    def luma(self, x1: int, y1: int, x2: int, y2: int, step: int = 1) -> Pixels:
        x1, y1, x2, y2 = _clip(self, x1, y1, x2, y2)
        part = np.ascontiguousarray(self.bgr[y1:y2:step, x1:x2:step])
        return cast(Pixels, cv2.cvtColor(part, cv2.COLOR_BGR2GRAY))


class Planes:
    """An image over I420 planes: y (h, w), u and v (ceil(h / 2), ceil(w / 2)), limited range.

    Colour is made by the BT.601 matrix, as OpenCV does for videos of any size, and only for the
    pixels that are asked for. Rows may be any distance apart.
    """

    def __init__(self, y: Pixels, u: Pixels, v: Pixels) -> None:
        self.height, self.width = y.shape
        half = (self.height + 1) // 2, (self.width + 1) // 2
        if u.shape != half or v.shape != half or not y.size:
            raise ValueError(f"the planes do not match: y {y.shape}, u {u.shape}, v {v.shape}")
        self.y, self.u, self.v = y, u, v
        self._small: dict[tuple[int, int], Pixels] = {}

    @classmethod
    def of(cls, picture: Picture) -> "Planes":
        """Return the planes of a picture, converted by the BT.601 matrix."""
        bgr, _ = picture.region(0, 0, picture.width, picture.height)
        height, width = bgr.shape[:2]
        i420 = to_i420(bgr)
        rows, columns = i420.shape[0] // 3 * 2, i420.shape[1]
        chroma: Pixels = i420[rows:].reshape(2, rows // 2, columns // 2)
        return cls(i420[:height, :width], chroma[0], chroma[1])

    def small(self, long_side: int, multiple: int = 1) -> Pixels:
        # Faces and text are mostly detected at one size.
        size = _fit(self.width, self.height, long_side, multiple)
        if size not in self._small:
            self._small[size] = self._shrunk(*size)
        return self._small[size]

    def _shrunk(self, width: int, height: int) -> Pixels:
        # To shrink three planes and convert the little that is left costs less than a third of
        # converting the image and shrinking that.
        half = (width + 1) // 2, (height + 1) // 2
        y = _shrink(self.y, width, height)
        return _bgr(y, _shrink(self.u, *half), _shrink(self.v, *half))

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> tuple[Pixels, tuple[int, int]]:
        x1, y1, x2, y2 = _clip(self, x1, y1, x2, y2)
        x1, y1 = x1 & ~1, y1 & ~1  # a chroma sample covers 2 x 2 pixels, from an even one on
        chroma = slice(y1 // 2, (y2 + 1) // 2), slice(x1 // 2, (x2 + 1) // 2)
        parts = self.y[y1:y2, x1:x2], self.u[chroma], self.v[chroma]
        y, u, v = (_halve(part, halvings) for part in parts)
        return _bgr(y, u, v), (x1, y1)

    def luma(self, x1: int, y1: int, x2: int, y2: int, step: int = 1) -> Pixels:
        x1, y1, x2, y2 = _clip(self, x1, y1, x2, y2)
        part = self.y[y1:y2:step, x1:x2:step]
        return stretched(part if step == 1 else np.ascontiguousarray(part))


def usual() -> Still:
    """Return a black image of the size of most videos, 1280 x 720, for what must be prepared."""
    return Still(np.zeros((720, 1280, 3), np.uint8))


def to_i420(bgr: Pixels) -> Pixels:
    """Return a BGR image (h, w, 3) as I420 (3 * rows / 2, columns), limited range, BT.601.

    OpenCV converts even sizes only: an odd side is extended by repeating its last pixels.
    """
    height, width = bgr.shape[:2]
    even = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8)


def _bgr(y: Pixels, u: Pixels, v: Pixels) -> Pixels:
    height, width = y.shape
    bgr = cast(Pixels, cv2.cvtColor(pack(y, u, v), cv2.COLOR_YUV2BGR_I420))
    return np.ascontiguousarray(bgr[:height, :width])


def _fit(width: int, height: int, long_side: int, multiple: int) -> tuple[int, int]:
    """Return the width and height of a small image, as `Picture.small` specifies them."""
    if long_side < 1:
        raise ValueError(f"an image cannot be made {long_side} pixels long")
    scale = long_side / max(width, height)
    if scale >= 1:
        return width, height

    def fitted(side: int) -> int:
        exact = side * scale
        rounded = round(exact / multiple) * multiple
        if rounded <= long_side and abs(rounded - exact) <= MAX_DISTORTION * exact:
            return rounded
        return max(1, round(exact))

    return fitted(width), fitted(height)


def _shrink(plane: Pixels, width: int, height: int) -> Pixels:
    """Resize a plane, or a BGR image, to `width` x `height`, which must not be larger than it is.

    Bilinear resizing uses four pixels only, so the plane is first halved by means until it is less
    than twice as large: as fast, and small text does not turn into noise.
    """
    rows, columns = plane.shape[:2]
    while rows % 2 == columns % 2 == 0 and rows >= 2 * height and columns >= 2 * width:
        rows, columns = rows // 2, columns // 2
        plane = cast(Pixels, cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA))
    if (columns, rows) == (width, height):
        return plane
    return cast(Pixels, cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))


def _halve(plane: Pixels, times: int) -> Pixels:
    """Halve a plane, or a BGR image, `times` times by means."""
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
            f"({x1}, {y1}) to ({x2}, {y2}) is outside the {picture.width} x {picture.height} image"
        )
    return left, top, right, bottom
