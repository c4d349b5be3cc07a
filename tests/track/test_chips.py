"""Small images of faces."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.media.picture import Pixels, Planes, Still
from onlooker.track.chips import CHIP_PIXELS, LINE_MARGIN, LINE_PIXELS, MARGIN, chip, line_chip

RED, GREEN = (0, 0, 220), (0, 200, 0)


def scene(width: int, height: int, box: tuple[int, int, int, int]) -> Pixels:
    """A red box on green."""
    made = np.full((height, width, 3), GREEN, np.uint8)
    made[box[1] : box[3], box[0] : box[2]] = RED
    return made


def decoded(jpeg: bytes | None) -> Pixels:
    assert jpeg is not None
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def red(pixels: Pixels) -> float:
    """The share of red pixels."""
    return float((pixels[..., 2] > pixels[..., 1]).mean())


@pytest.mark.parametrize("side", [20, 100, 400, 1000])
def test_the_face_and_its_margin_whatever_its_size(side: int) -> None:
    right, bottom = 400 + side, 300 + side
    for picture in (still := Still(scene(2000, 1600, (400, 300, right, bottom))), Planes.of(still)):
        shown = decoded(chip(picture, (0, 0), (400.0, 300.0, float(right), float(bottom))))
        assert max(shown.shape[:2]) <= CHIP_PIXELS
        assert max(shown.shape[:2]) >= min(CHIP_PIXELS, side)
        assert red(shown) == pytest.approx(1 / (1 + 2 * MARGIN) ** 2, rel=0.15)
        middle = shown[shown.shape[0] // 2, shown.shape[1] // 2]
        assert np.abs(middle.astype(int) - RED).max() < 25


def test_boxes_are_of_the_whole_image_and_pixels_of_a_region_of_it() -> None:
    whole = scene(800, 600, (500, 300, 600, 400))
    region = Still(np.ascontiguousarray(whole[200:, 400:]))
    box = (500.0, 300.0, 600.0, 400.0)
    of_whole, of_region = chip(Still(whole), (0, 0), box), chip(region, (400, 200), box)
    assert of_whole == of_region


def test_a_face_that_is_not_in_the_image_has_none() -> None:
    assert chip(Still(scene(100, 100, (0, 0, 1, 1))), (0, 0), (300.0, 0.0, 350.0, 50.0)) is None


@given(
    st.tuples(st.floats(-300, 700), st.floats(-300, 700)),
    st.tuples(st.floats(0.5, 900), st.floats(0.5, 900)),
)
def test_faces_at_any_edge(corner: tuple[float, float], size: tuple[float, float]) -> None:
    picture = Still(np.zeros((333, 477, 3), np.uint8))
    jpeg = chip(picture, (0, 0), (*corner, corner[0] + size[0], corner[1] + size[1]))
    if jpeg is not None:
        assert 1 <= max(decoded(jpeg).shape[:2]) <= CHIP_PIXELS


@given(
    x=st.integers(-50, 700), y=st.integers(-50, 500), w=st.integers(2, 600), h=st.integers(2, 60)
)
def test_a_line_and_its_margin(x: int, y: int, w: int, h: int) -> None:
    right, bottom = min(640, max(0, x + w)), min(480, max(0, y + h))
    left, top = min(640, max(0, x)), min(480, max(0, y))
    still = Still(scene(640, 480, (left, top, right, bottom)))
    quad = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
    margin = LINE_MARGIN * min(w, h)
    outside = x - margin >= 640 or y - margin >= 480 or x + w + margin <= 0 or y + h + margin <= 0
    jpeg = line_chip(still, (0, 0), quad)
    assert (jpeg is None) == outside
    if jpeg is not None:
        assert max(decoded(jpeg).shape[:2]) <= LINE_PIXELS


def test_a_line_is_in_the_middle_of_its_image() -> None:
    still = Still(scene(1600, 900, (300, 200, 900, 260)))
    shown = decoded(
        line_chip(still, (100, 100), ((400, 300), (1000, 300), (1000, 360), (400, 360)))
    )
    assert shown.shape[1] == LINE_PIXELS
    assert red(shown) == pytest.approx(600 * 60 / (672 * 132), rel=0.1)
