"""The choice among recognisers, on lines drawn here in three scripts."""

from collections.abc import Sequence

import pytest
from tests.support.made_lines import ARABIC, ENGLISH, RUSSIAN, crop_of, page_of_lines
from tests.support.single import TextFinder, TextReader

from onlooker.config import schema
from onlooker.media.picture import Still
from onlooker.vision.text_gaps import Character
from onlooker.vision.text_readers import TextReaders

ALL = schema.Text(readers=("latin", "cyrillic", "arabic"), detection="thorough")


@pytest.fixture(scope="module")
def everything() -> TextReaders:
    return TextReaders(ALL, "cpu")


def text_of(characters: Sequence[Character]) -> str:
    return "".join(each.text for each in characters).strip()


def test_each_line_is_read_in_its_script(everything: TextReaders) -> None:
    crops = [crop_of(text).tobytes() for text in (*ENGLISH, *RUSSIAN)]
    assert [text_of(each) for each in everything(crops)] == [*ENGLISH, *RUSSIAN]


def test_a_page_in_three_scripts_is_in_reading_order_and_logical() -> None:
    """Numbers in Arabic lines keep their order, and the first word is the one at the right."""
    texts = (ENGLISH[0], RUSSIAN[0], *ARABIC)
    page = Still(page_of_lines(texts))
    lines = TextReader(ALL)(page, TextFinder(ALL)(page))
    assert [line.text for line in lines] == [*texts]
    [phone] = [line for line in lines if "0123456789" in line.text]
    assert [word.text for word in phone.words] == ARABIC[-1].split()
    assert phone.words[0].quad[0][0] > phone.words[1].quad[0][0]


def test_a_word_of_letters_that_latin_has_too_is_russian_among_russian_lines() -> None:
    texts = ("Добро пожаловать", "КАССА", "МОСКВА")
    page = Still(page_of_lines(texts))
    settings = schema.Text(readers=("latin", "cyrillic"), detection="thorough")
    lines = TextReader(settings)(page, TextFinder(settings)(page))
    assert [line.text for line in lines] == [*texts]


def test_others_read_only_what_the_first_doubts() -> None:
    readers = TextReaders(ALL, "cpu")
    models = [each.model for each in readers.recognisers]
    readers([crop_of(text).tobytes() for text in ENGLISH])
    first, *others = (model.calls for model in models)
    assert first > 0
    assert others == [0, 0]
    readers([crop_of(text).tobytes() for text in (*ENGLISH, RUSSIAN[0])])
    assert [model.calls for model in models[1:]] == [1, 1]


def test_a_single_letter_of_another_script_is_not_taken() -> None:
    """One letter is as often a stroke of something else."""
    alone = crop_of("م").tobytes()
    latin = TextReaders(schema.Text(), "cpu")([alone])
    assert TextReaders(ALL, "cpu")([alone]) == latin
