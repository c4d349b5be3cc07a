"""Pixels as ratios, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.rekognition.ratios import bounding_box, percent, place, rounded
from onlooker.rekognition.shapes import BoundingBox


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0.0, 0.0, 640.0, 360.0), (1.0, 1.0, 0.0, 0.0)),
        ((64.0, 36.0, 128.0, 108.0), (0.1, 0.2, 0.1, 0.1)),
        ((-32.0, -18.0, 672.0, 378.0), (1.1, 1.1, -0.05, -0.05)),
        ((2.0, 2.0, 4.0, 4.0), (0.003125, 0.005556, 0.003125, 0.005556)),
    ],
)
def test_a_box_may_leave_the_image(
    box: tuple[float, float, float, float], expected: tuple[float, float, float, float]
) -> None:
    width, height, left, top = expected
    wanted = BoundingBox(Width=width, Height=height, Left=left, Top=top)
    assert bounding_box(box, (640, 360)) == wanted


def test_a_point_and_a_probability() -> None:
    assert place((160.0, 90.0), (640, 360)) == (0.25, 0.25)
    assert place((1.0, 1.0), (3, 3)) == (0.333333, 0.333333)
    assert [percent(p) for p in (0.0, 0.5, 0.98765432, 1.0)] == [0.0, 50.0, 98.7654, 100.0]


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_there_is_no_negative_zero(value: float, digits: int) -> None:
    found = rounded(value, digits)
    assert abs(found - value) <= 0.5 * 10**-digits + 1e-9
    assert found != 0.0 or math.copysign(1.0, found) == 1.0
