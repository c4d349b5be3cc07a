"""Words of several languages, and codes, where the image leaves a doubt."""

import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.models.card import Characters, card
from onlooker.vision.letters import Letters

ALPHABET = [
    "",
    *"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzÄÖÜäöüßéèàΑΕΗΘΝΟΧΩ0123456789-.:/# ",
]


@pytest.fixture(scope="module")
def letters() -> Letters:
    decode = card("ppocrv6_rec_small").decode
    assert isinstance(decode, Characters)
    assert decode.letters is not None
    return Letters(decode.letters, ALPHABET)


def seen(*places: str, best: float = 0.8) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return columns in which the first character is likely and the second less; "_" is none.

    Between two places is a blank.
    """
    classes, scores = [], []
    for place in places:
        first, second = (ALPHABET.index(each.strip("_")) for each in place)
        classes += [[first, second], [0, first]]
        scores += [[best, 1 - best], [0.99, 0]]
    return np.array(classes, np.int64), np.array(scores, np.float32)


def read(letters: Letters, *places: str, best: float = 0.8) -> str:
    classes, scores = letters.weighed(*seen(*places, best=best))
    assert len(classes) == len(scores) == 2 * len(places)
    return "".join(ALPHABET[each] for each in classes)


@pytest.mark.parametrize(
    ("places", "word"),
    [
        (("SS", "TT", "RR", "EE", "SE", "TT"), "STREET"),
        (("GG", "_I", "FF", "TT"), "GIFT"),
        (("CC", "RR", "UU", "II", "CS", "EE"), "CRUISE"),
        (("SS", "UU", "SS", "HH", "1I"), "SUSHI"),
        (("AA", "uu", "sb", "gg", "aa", "nn", "gg"), "Ausgang"),
        (("gg", "rr", "oo", "ßB", "ee", "rr"), "großer"),
    ],
)
def test_letters_that_make_a_word_are_preferred(
    letters: Letters, places: tuple[str, ...], word: str
) -> None:
    assert read(letters, *places, best=0.7) == word


@pytest.mark.parametrize(
    "places",
    [
        ("BB", "77", "0O", "99", "5S"),
        ("AA", "BB", "11", "22", "  ", "CC", "DD", "EF"),
        ("55", "99", ".:", "99", "5S"),
        ("II", "22", "R2"),
        ("XX", "KK", "QQ", "ZT"),
    ],
)
def test_codes_and_numbers_stay_as_they_are_seen(letters: Letters, places: tuple[str, ...]) -> None:
    assert read(letters, *places) == "".join(place[0] for place in places)


@pytest.mark.parametrize("places", [("7_",), ("Q_",), ("GG", "aa", "tt", "ee", "  ", "7_")])
def test_single_characters_stay(letters: Letters, places: tuple[str, ...]) -> None:
    assert read(letters, *places) == "".join(place[0] for place in places)
    nothing = np.array([[0, 5], [0, 9]], np.int64)
    seen_alone = np.array([[0.6, 0.4], [0.6, 0.4]], np.float32)
    assert not letters.weighed(nothing, seen_alone)[0].any()


def test_letters_of_another_script_do_not_take_the_place_of_latin_ones(letters: Letters) -> None:
    assert read(letters, "QΩ") == "Q"
    assert read(letters, "XX", "EΕ", "RR", "OΟ", "XΧ") == "XEROX"
    assert read(letters, "ΑA", "ΘO", "ΗH", "ΝN", "ΑA") == "ΑΘΗΝΑ"


def test_what_is_seen_without_doubt_stays(letters: Letters) -> None:
    places = "SS", "TT", "RR", "EE", "SE", "TT"
    assert read(letters, *places, best=0.9999) == "STREST"
    assert read(letters, *places, best=0.992) == "STREST"


def test_a_letter_has_the_probability_that_it_was_seen_with(letters: Letters) -> None:
    _, scores = letters.weighed(*seen("SS", "TT", "RR", "EE", "SE", "TT", best=0.75))
    assert scores[8] == 0.25
    assert scores[0] == scores[2] == 0.75
    classes, scores = letters.weighed(np.zeros((0, 4), np.int64), np.zeros((0, 4), np.float32))
    assert len(classes) == len(scores) == 0
