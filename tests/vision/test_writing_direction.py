"""Lines in the visual order become logical, compared with Unicode's algorithm for the way back."""

import bidi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.types import Quad, TextLine, Word
from onlooker.vision.writing_direction import is_right_to_left, logical


def visual(text: str, base: str | None = None) -> TextLine:
    """The line as a display draws it, in words from left to right."""
    shown = bidi.get_display(text, base_dir=base)
    words = tuple(
        Word(text=word, score=1.0, quad=quad(number)) for number, word in enumerate(shown.split())
    )
    return TextLine(text=shown, score=1.0, quad=quad(0), words=words)


def quad(place: int) -> Quad:
    left, right = float(place), place + 0.9
    return (left, 0.0), (right, 0.0), (right, 1.0), (left, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "مرحبا بالعالم",
        "هاتف: 0123456789",
        "الطريق 25 مغلق (مؤقتا)",
        "سعر ١٢٣ ريال",
        "فندق Hilton الرياض",
        "خصم 50% على iPhone 15 Pro اليوم",
        "الساعة 12:30 مساء",
        'מחיר 1,250.50 ש"ח',
        "שלום עולם",
        "شارع الملك فهد، الرياض 11564",
        "البريد: info@mail.com",
        "Hotel فندق Hilton",
        "Room 12, floor 3",
        "Осторожно, двери!",
    ],
)
def test_what_a_display_draws_is_read_back(text: str) -> None:
    line = logical(visual(text))
    assert line.text == text
    assert " ".join(word.text for word in line.words) == text


def test_the_first_word_of_a_line_to_the_left_lies_at_its_right() -> None:
    line = logical(visual("ممنوع التدخين هنا"))
    assert [word.text for word in line.words] == ["ممنوع", "التدخين", "هنا"]
    assert [word.quad[0][0] for word in line.words] == [2, 1, 0]


def test_brackets_are_paired_whether_a_reader_names_them_by_form_or_by_meaning() -> None:
    by_form = visual("الطريق (مؤقتا) مغلق")
    by_meaning = TextLine(
        text=by_form.text.translate(str.maketrans("()", ")(")),
        score=1.0,
        quad=by_form.quad,
        words=tuple(
            Word(text=each.text.translate(str.maketrans("()", ")(")), score=1.0, quad=each.quad)
            for each in by_form.words
        ),
    )
    assert logical(by_form).text == logical(by_meaning).text == "الطريق (مؤقتا) مغلق"


def test_marks_stay_on_their_letters() -> None:
    """Harakat follow their letter in text; from the left they come before it."""
    assert logical(visual("مُدَرِّسٌ")).text == "مُدَرِّسٌ"


def test_the_direction_is_that_of_most_words() -> None:
    assert is_right_to_left(["التدخين", "ممنوع"])
    assert is_right_to_left(["12", "التدخين"])
    assert not is_right_to_left(["Room", "12"])
    assert not is_right_to_left(["Hotel", "قدنف", "Hilton"])
    assert is_right_to_left(["info@mail.com", ":ديربلا"])


LETTERS = {"arabic": "ابتثجحخدذرزسش", "hebrew": "אבגדהוזחטיכלמ", "latin": "abcdefghijklm"}


@given(
    st.lists(
        st.one_of(
            st.text(LETTERS["arabic"], min_size=1, max_size=6),
            st.text(LETTERS["hebrew"], min_size=1, max_size=6),
            st.integers(0, 99999).map(str),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_letters_and_numbers_of_any_such_line_are_read_back(words: list[str]) -> None:
    text = " ".join(words)
    if text.replace(" ", "").isdigit():
        return
    assert logical(visual(text, base="R")).text == text


@given(st.lists(st.text(LETTERS["latin"] + "0123456789.,:()", min_size=1), min_size=1, max_size=5))
def test_a_line_to_the_right_is_left_alone(words: list[str]) -> None:
    text = " ".join(words)
    line = TextLine(
        text=text,
        score=1.0,
        quad=quad(0),
        words=tuple(Word(text=word, score=1.0, quad=quad(0)) for word in words),
    )
    assert logical(line) is line
