"""Words whose letters Latin and Cyrillic share go by the other words of the image."""

import unicodedata

from onlooker.types import Quad, TextLine, Word
from onlooker.vision.shared_letters import CYRILLIC, LATIN, in_one_script

QUAD: Quad = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def texts(*lines: str) -> list[str]:
    given = [
        TextLine(
            text=text,
            score=1.0,
            quad=QUAD,
            words=tuple(Word(text=word, score=1.0, quad=QUAD) for word in text.split()),
        )
        for text in lines
    ]
    found = in_one_script(given)
    for line in found:
        assert line.text == " ".join(word.text for word in line.words)
    return [line.text for line in found]


def test_the_letters_are_of_one_name_but_for_the_script_or_of_one_form() -> None:
    assert len(LATIN) == len(CYRILLIC) == len(set(LATIN)) == len(set(CYRILLIC))
    for one, other in zip(LATIN, CYRILLIC, strict=True):
        assert unicodedata.name(one).startswith("LATIN")
        assert unicodedata.name(other).startswith("CYRILLIC")
        assert one.isupper() == other.isupper()


def test_a_word_of_shared_letters_is_russian_among_russian_words() -> None:
    assert texts("Добро пожаловать", "KACCA 2") == ["Добро пожаловать", "КАССА 2"]
    assert texts("MOCKBA", "Театр имени Чехова") == ["МОСКВА", "Театр имени Чехова"]


def test_it_is_english_among_english_words() -> None:
    assert texts("THE ТОР FLOOR", "for guests", "Ж") == ["THE TOP FLOOR", "for guests", "Ж"]


def test_it_stays_if_nothing_decides() -> None:
    assert texts("KACCA") == ["KACCA"]
    assert texts("Wi-Fi", "Лев", "TOP") == ["Wi-Fi", "Лев", "TOP"]


def test_a_shared_letter_inside_a_word_is_of_the_words_script() -> None:
    assert texts("Mоcквa") == ["Москва"]
    assert texts("Lіfе", "Ж") == ["Life", "Ж"]
