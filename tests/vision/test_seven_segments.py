"""Points of seven-segment displays that are drawn here."""

import random

import numpy as np
import pytest
from bench.support import made_text
from tests.support.text_pages import ThoroughText

from onlooker.vision.seven_segments import is_number, with_points
from onlooker.vision.text_gaps import Character


@pytest.fixture(scope="module")
def detect_text() -> ThoroughText:
    return ThoroughText()


def characters(text: str) -> list[Character]:
    return [Character(each, 1.0, (n + 0.5) / len(text)) for n, each in enumerate(text)]


@pytest.mark.parametrize("text", ["14.09", "100.32", "3.537", "97.2", "23.5", "0.07", "1.8"])
def test_points_are_seen(text: str) -> None:
    """In displays of ten sizes, colours, leans, and distances of the point to the next digit."""
    right = 0
    for seed in range(10):
        image = made_text.display(text, random.Random(seed)).pixels
        edge = round(0.06 * len(image))
        found = with_points(characters(text.replace(".", "")), image[edge:-edge, edge:-edge])
        right += "".join(each.text for each in found) == text
    assert right >= 7


@pytest.mark.parametrize("text", ["1409", "88", "7241", "-16", "530"])
def test_a_display_without_points_is_left(text: str) -> None:
    for seed in range(10):
        image = made_text.display(text, random.Random(seed)).pixels
        edge = round(0.06 * len(image))
        before = tuple(characters(text))
        assert with_points(before, image[edge:-edge, edge:-edge]) == before


@pytest.mark.parametrize("text", ["1409", "1.5", "217", "30.06"])
def test_other_fonts_are_left(text: str) -> None:
    before = tuple(characters(text))
    after = with_points(before, made_text.drawn(text, 80, margin=0.1))
    assert [each.text for each in after] == [each.text for each in before]


def test_an_empty_crop_has_no_points() -> None:
    before = tuple(characters("12"))
    for shade in (0, 255):
        assert with_points(before, np.full((96, 50, 3), shade, np.uint8)) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [("14", True), ("1 409", True), ("-3.5", True), ("7", False), ("A4", False), ("", False),
     ("12:30", False), ("1-2", False)],
)  # fmt: skip
def test_numbers(text: str, expected: bool) -> None:
    assert is_number(characters(text) if text else []) is expected


def test_displays_are_read_with_their_points(detect_text: ThoroughText) -> None:
    """Measured: 28 of 30; of 30 the version before read 24."""
    right = 0
    for seed in range(30):
        chance = random.Random(seed)
        image, (text,) = made_text.display(made_text.number(chance), chance)
        right += [word.text for line in detect_text(image) for word in line.words] == [text]
    assert right >= 26
