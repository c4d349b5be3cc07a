"""Spaces between single characters, and those in doubt, in text that is drawn here."""

import numpy as np
import pytest
from bench.support import made_text
from tests.support.text_pages import ThoroughText

from onlooker.media.picture import Pixels
from onlooker.vision.text_gaps import Character, runs, spaced


@pytest.fixture(scope="module")
def detect_text() -> ThoroughText:
    return ThoroughText()


def words(detect_text: ThoroughText, text: str, spacing: float = 0) -> list[str]:
    found = detect_text(made_text.drawn(text, 40, spacing=spacing))
    return [word.text for line in found for word in line.words]


@pytest.mark.parametrize("text", ["1 2 3 4 5", "6 3 9", "8 0 4 6 2 9", "X K R 4 A"])
def test_single_characters_are_words(detect_text: ThoroughText, text: str) -> None:
    assert words(detect_text, text) == text.split()


@pytest.mark.parametrize("text", ["STATION", "10245", "1717", "HILLS", "LIFT 3"])
@pytest.mark.parametrize("spacing", [0, 0.06, 0.15])
def test_spaced_letters_stay_one_word(detect_text: ThoroughText, text: str, spacing: float) -> None:
    assert words(detect_text, text, spacing) == text.split()


def line(text: str) -> list[Character]:
    return [Character(each, 1.0, (n + 0.5) / len(text)) for n, each in enumerate(text)]


def texts(characters: tuple[Character, ...]) -> str:
    return "".join(each.text for each in characters)


def bars(begins: list[int], width: int, length: int) -> Pixels:
    """Return black bars on white, as characters that are easy to measure."""
    crop = np.full((48, length, 3), 250, np.uint8)
    for begin in begins:
        crop[10:40, begin : begin + width] = 5
    return crop


def test_a_space_in_doubt_is_a_space() -> None:
    crop = np.full((48, 60, 3), 250, np.uint8)
    assert texts(spaced(line("abc"), [0.9, 0.1, 0.25], crop)) == "ab c"
    assert texts(spaced(line("ab c"), [0, 0.1, 0, 0.9], crop)) == "ab c"
    [_, space, _] = spaced(line("ab"), [0, 0.4], crop)
    assert (space.text, space.score, space.centre) == (" ", 0.4, 0.5)
    assert spaced([], [], crop) == ()


def test_gaps_are_compared_with_height_and_width() -> None:
    none = [0.0] * 4
    apart = bars([10, 50, 90, 130], 20, 160)  # gaps of 20 beside bars of 20 x 30
    assert texts(spaced(line("abcd"), none, apart)) == "a b c d"
    near = bars([4, 44, 84, 124], 32, 160)  # gaps of 8
    assert texts(spaced(line("abcd"), none, near)) == "abcd"
    one = bars([10, 40, 70, 130], 20, 160)  # one wide gap only, as beside a slim character
    assert texts(spaced(line("abcd"), none, one)) == "abcd"
    # With fewer pieces of ink than characters nothing is known.
    assert texts(spaced(line("abcd"), none, bars([10, 50, 90], 20, 160))) == "abcd"


def test_runs() -> None:
    assert runs(np.array([1, 1, 0, 0, 1, 0, 1], np.bool_)) == [(0, 2), (4, 5), (6, 7)]
    assert runs(np.zeros(3, np.bool_)) == []
