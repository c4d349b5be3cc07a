"""The eight orientations in which an image may be stored, as EXIF numbers them, and their undoing.

A JPEG states its orientation in EXIF, a video in a display matrix.
"""

from enum import IntEnum
from typing import Literal, cast

import cv2

from onlooker.media.picture import Pixels


class Orientation(IntEnum):
    """The change that makes the stored pixels upright, with the numbers of EXIF 2.3 (0x0112)."""

    UPRIGHT = 1
    MIRROR = 2
    ROTATE_180 = 3
    FLIP = 4
    """Upside down, as in a pond."""
    TRANSPOSE = 5
    ROTATE_90 = 6
    """Clockwise."""
    TRANSVERSE = 7
    ROTATE_270 = 8

    @property
    def swaps(self) -> bool:
        """Whether width and height are exchanged."""
        return self >= Orientation.TRANSPOSE


def turned(pixels: Pixels, orientation: Orientation) -> Pixels:
    """Return stored pixels, (h, w) or (h, w, 3), upright: a copy unless they are already."""
    match orientation:
        case Orientation.UPRIGHT:
            return pixels
        case Orientation.MIRROR:
            changed = cv2.flip(pixels, 1)
        case Orientation.FLIP:
            changed = cv2.flip(pixels, 0)
        case Orientation.TRANSPOSE:
            changed = cv2.transpose(pixels)
        case Orientation.TRANSVERSE:
            changed = cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180)
        case Orientation.ROTATE_90:
            changed = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case Orientation.ROTATE_180:
            changed = cv2.rotate(pixels, cv2.ROTATE_180)
        case Orientation.ROTATE_270:
            changed = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return cast(Pixels, changed)


def of_matrix(matrix: tuple[int, ...]) -> Orientation:
    """Return the orientation of a display matrix: nine numbers a b u, c d v, x y w.

    A pixel (x, y) is shown at (a x + c y, b x + d y) (ISO/IEC 14496-12, 6.2.2). An angle between
    quarter turns is rounded to the nearest.
    """
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        upright, flipped = (Orientation.UPRIGHT, Orientation.FLIP)
        mirrored, rotated = (Orientation.MIRROR, Orientation.ROTATE_180)
        return (rotated if d < 0 else mirrored) if a < 0 else (flipped if d < 0 else upright)
    if c < 0:
        return Orientation.TRANSVERSE if b < 0 else Orientation.ROTATE_90
    return Orientation.ROTATE_270 if b < 0 else Orientation.TRANSPOSE


def of_jpeg(data: bytes) -> Orientation | None:
    """Return the orientation that a JPEG's EXIF states; None if it states none.

    A number that is no orientation is UPRIGHT. Damaged EXIF states none.
    """
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        kind, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == 0xFF:  # a fill byte before the marker
            at += 1
            continue
        if kind == 0xDA:  # the pixels begin
            return None
        if kind == 0xE1 and data[at + 4 : at + 9] == b"Exif\0":
            return _of_tiff(data[at + 10 : at + 2 + size])
        at += 2 + max(2, size)
    return None


def _of_tiff(tiff: bytes) -> Orientation | None:
    """Return the orientation in the first directory of a TIFF block (TIFF 6.0, 2)."""
    orders: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
    order = orders.get(tiff[:2])
    if order is None:
        return None

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)

    directory = number(4, 4)
    for entry in range(number(directory, 2)):
        at = directory + 2 + 12 * entry  # tag, type, count, value
        if at + 12 > len(tiff):
            return None
        if number(at, 2) == _ORIENTATION and (size := _SIZES.get(number(at + 2, 2))):
            value = number(at + 8, size)  # shorter values are at the left, in either order
            known = Orientation.UPRIGHT <= value <= Orientation.ROTATE_270
            return Orientation(value) if known else Orientation.UPRIGHT
    return None


_ORIENTATION = 0x0112
_SIZES = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}
"""Bytes of the whole numbers by their type: BYTE, SHORT, LONG, and the same with a sign."""
