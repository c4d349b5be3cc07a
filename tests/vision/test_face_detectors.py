"""Two detectors' faces together."""

import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.vision.face_detectors import distinct, merge


def row(x1: float, y1: float, x2: float, y2: float) -> NDArray[np.float32]:
    return np.array([[x1, y1, x2, y2, 0.99, *range(10)]], np.float32)


FACE = row(100, 100, 200, 200)


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (row(110, 110, 210, 210), False),  # the same face again
        (row(110, 130, 140, 150), False),  # an eye
        (row(90, 130, 130, 150), False),  # an eye that stands out
        (row(185, 100, 285, 200), True),  # the neighbour
        (row(144, 80, 265, 200), False),  # a larger box round a part of the face
        (row(190, 180, 230, 220), True),  # a child before both
        (row(0, 0, 400, 400), True),  # who stands before the camera
    ],
)
def test_a_face_is_counted_once(other: NDArray[np.float32], kept: bool) -> None:
    both = merge(FACE, other)
    assert len(both) == 1 + kept
    np.testing.assert_array_equal(both[0], FACE[0])


def test_nothing_and_something() -> None:
    none = np.empty((0, 15), np.float32)
    for pair in ((none, FACE), (FACE, none)):
        both = merge(*pair)
        np.testing.assert_array_equal(both, FACE)
        assert not np.shares_memory(both, FACE)  # a caller may change what it gets
    assert merge(none, none).shape == (0, 15)


def test_of_rows_that_show_one_face_the_first_stays() -> None:
    face, again, eye, neighbour = (
        row(100, 100, 200, 200),
        row(110, 110, 210, 210),
        row(110, 130, 140, 150),
        row(185, 100, 285, 200),
    )
    assert distinct(np.concatenate([face, again, neighbour, eye])).tolist() == [0, 2]
    # The order decides, not the score.
    again[0, 4] = 1
    assert distinct(np.concatenate([face, again])).tolist() == [0]
    assert distinct(face[:0]).shape == (0,)
