"""Orientations in EXIF of every layout, in display matrices, and their undoing."""

import cv2
import numpy as np
import pytest
from tests.support.images import UPRIGHT, corners, tiff, with_exif

from onlooker.media.exif_orientation import Orientation, of_jpeg, of_matrix, turned

ONE = 1 << 16
"""1 in the numbers of a display matrix."""


@pytest.mark.parametrize("orientation", Orientation)
def test_every_orientation_is_undone(orientation: Orientation) -> None:
    image, plane = corners(), np.ascontiguousarray(corners()[:, :, 0])
    assert np.array_equal(turned(image, orientation), UPRIGHT[orientation](image))
    whole = np.repeat(plane[:, :, None], 3, axis=2)
    assert np.array_equal(turned(plane, orientation), UPRIGHT[orientation](whole)[:, :, 0])
    assert orientation.swaps == (turned(image, orientation).shape[:2] == (48, 32))


@pytest.mark.parametrize("orientation", Orientation)
def test_a_display_matrix_moves_each_pixel_to_its_place(orientation: Orientation) -> None:
    """The matrix, applied to each pixel by its definition, shows the upright image."""
    stored = corners()
    for a, b, c, d in np.ndindex(3, 3, 3, 3):
        a, b, c, d = a - 1, b - 1, c - 1, d - 1
        if abs(a) + abs(b) != 1 or abs(a) != abs(d) or abs(b) != abs(c):
            continue
        if of_matrix((a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)) != orientation:
            continue
        rows, columns = np.mgrid[: stored.shape[0], : stored.shape[1]]
        x, y = a * columns + c * rows, b * columns + d * rows
        shown = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1, 3), np.uint8)
        shown[y - y.min(), x - x.min()] = stored
        assert np.array_equal(shown, UPRIGHT[orientation](stored))
        return
    pytest.fail("no matrix has this orientation")


def test_odd_matrices() -> None:
    assert of_matrix((0,) * 9) == Orientation.UPRIGHT
    assert of_matrix((60_000, -26_000, 0, 26_000, 60_000, 0, 0, 0, 1 << 30)) == Orientation.UPRIGHT
    assert of_matrix((100, 65_000, 0, -65_000, 100, 0, 0, 0, 1 << 30)) == Orientation.ROTATE_90


def jpeg() -> bytes:
    return cv2.imencode(".jpg", corners())[1].tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
@pytest.mark.parametrize(("before", "directory"), [(0, 8), (3, 8), (0, 60), (40, 300)])
def test_every_layout_of_exif(order: str, kind: int, before: int, directory: int) -> None:
    for orientation in Orientation:
        block = tiff(orientation, order, kind, before, directory)
        assert of_jpeg(with_exif(jpeg(), block)) == orientation


@pytest.mark.parametrize(
    "before",
    [
        b"\xff\xe1\0\x20http://ns.adobe.com/xap/1.0/\0<",
        b"\xff\xe2\0\x06MPF\0",
        b"\xff\xff\xff\xfe\0\x09Exif\0\0\x10",
        b"\xff\xed\x80\x00" + bytes(0x7FFE),
    ],
)
def test_exif_behind_other_segments(before: bytes) -> None:
    assert of_jpeg(with_exif(jpeg(), tiff(6), before)) == Orientation.ROTATE_90


def test_exif_that_states_none() -> None:
    assert of_jpeg(jpeg()) is None
    assert of_jpeg(with_exif(jpeg(), b"II*\0\x08\0\0\0\0\0\0\0\0\0")) is None
    assert of_jpeg(with_exif(jpeg(), b"no TIFF block")) is None
    block = tiff(6)
    for length in range(20):
        assert of_jpeg(with_exif(jpeg(), block[:length])) is None
    # A text, not a number.
    assert of_jpeg(with_exif(jpeg(), block.replace(b"\x12\1\3\0", b"\x12\1\2\0"))) is None
    assert of_jpeg(b"\xff\xd8") is None


@pytest.mark.parametrize("number", [0, 9, 255])
def test_numbers_that_are_no_orientation(number: int) -> None:
    assert of_jpeg(with_exif(jpeg(), tiff(number))) == Orientation.UPRIGHT


def test_the_orientation_of_the_thumbnail_is_not_that_of_the_image() -> None:
    first = b"MM\0*\0\0\0\x08" + b"\0\0" + b"\0\0\0\x0e"
    second = tiff(6, ">")[8:]
    assert of_jpeg(with_exif(jpeg(), first + second)) is None
