"""Pixels of lines of text, found again in drawn images with noise, as JPEG leaves them."""

import cv2
import numpy as np
import pytest

from onlooker.media.picture import Pixels, Still
from onlooker.track import patch

HEIGHT = 24.0


def drawn(text: str, x: float = 60, y: float = 80, noise: int = 0, light: int = 0) -> Still:
    image: Pixels = np.full((160, 480, 3), 60 + light, np.uint8)
    cv2.putText(image, text, (60, 80), cv2.FONT_HERSHEY_DUPLEX, 1.0, (200 + light,) * 3, 2, 16)
    shift = np.array([[1, 0, x - 60], [0, 1, y - 80]], np.float32)
    moved = cv2.warpAffine(image, shift, (480, 160), borderMode=cv2.BORDER_REPLICATE)
    noisy = moved + np.random.default_rng(noise).normal(0, 3, image.shape)
    encoded = cv2.imencode(".jpg", np.clip(noisy, 0, 255), [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return Still(np.asarray(cv2.imdecode(encoded, 1), np.uint8))


def cut(text: str) -> patch.Patch:
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)[0][0]
    made = patch.cut(drawn(text), (55, 55, 65 + width, 84), HEIGHT)
    assert made is not None
    return made


@pytest.mark.parametrize("light", [0, 30])
def test_pixels_that_stay_are_found_where_they_were(light: int) -> None:
    assert patch.find(
        cut("EXIT 12"), drawn("EXIT 12", noise=1, light=light), (0, 0), (0, 0), 8
    ) == (0, 0)


@pytest.mark.parametrize("shift", [(6, 0), (-3.4, 2.6), (0.5, -0.5)])
def test_pixels_that_moved_are_found_to_a_part_of_a_pixel(shift: tuple[float, float]) -> None:
    image = drawn("EXIT 12", 60 + shift[0], 80 + shift[1], noise=1)
    found = patch.find(cut("EXIT 12"), image, (0, 0), (0, 0), 8)
    assert found == pytest.approx(shift, abs=0.6)


def test_they_are_searched_around_the_place_where_they_are_expected() -> None:
    image = drawn("EXIT 12", 160, 100, noise=1)
    assert patch.find(cut("EXIT 12"), image, (0, 0), (0, 0), 8) is None
    assert patch.find(cut("EXIT 12"), image, (0, 0), (98, 21), 8) == pytest.approx(
        (100, 20), abs=0.6
    )


@pytest.mark.parametrize("other", ["EXIT 13", "EXIT 72", "EXIT 1", "EXIT 123", "", "EXAT 12"])
def test_another_character_is_another_text(other: str) -> None:
    assert patch.find(cut("EXIT 12"), drawn(other, noise=1), (0, 0), (0, 0), 8) is None


def test_small_and_even_areas_cannot_be_found_again() -> None:
    image = drawn("")
    assert patch.cut(image, (20, 20, 120, 44), HEIGHT) is None
    assert patch.cut(drawn("EXIT"), (60, 60, 62, 84), HEIGHT) is None
    assert patch.cut(drawn("EXIT"), (-50, -50, -10, -20), HEIGHT) is None


def test_what_left_the_image_is_not_there() -> None:
    assert patch.find(cut("EXIT 12"), drawn("EXIT 12", 60), (-80, 0), (-80, 0), 8) is None


def test_something_alike_is_located_also_at_the_edge_of_the_image() -> None:
    made = cut("EXIT 12")
    assert patch.locate(made, drawn("EXIT 13", 66, 78), (0, 0), 10) == pytest.approx((6, -2), abs=1)
    assert patch.locate(made, drawn("EXIT 12", 12, 80), (-50, 0), 8) == pytest.approx(
        (-48, 0), abs=1
    )
    assert patch.locate(made, drawn(""), (0, 0), 10) is None
    assert patch.locate(made, drawn("EXIT 12"), (-900, 0), 10) is None


def test_a_long_line_is_kept_small() -> None:
    made = patch.cut(drawn("A LINE AS LONG AS THIS"), (10, 55, 470, 85), 8.0)
    assert made is not None
    assert made.width <= patch.MAX_WIDTH
    assert len(made.pixels) == made.width * made.height
