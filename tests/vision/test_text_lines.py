"""The geometry of words, lines and reading order, by hand."""

import math
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from onlooker.types import Quad, TextLine, Word
from onlooker.vision import text_lines
from onlooker.vision.text_gaps import Character


def flat(x: float, y: float, width: float, height: float = 20) -> Quad:
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def turned(quad: Quad, degrees: float) -> Quad:
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    a, b, c, d = (complex(*corner) * turn for corner in quad)
    return (a.real, a.imag), (b.real, b.imag), (c.real, c.imag), (d.real, d.imag)


def line(text: str, quad: Quad) -> TextLine:
    return TextLine(text=text, score=1, quad=quad, words=(Word(text=text, score=1, quad=quad),))


def even(text: str, quad: Quad, air: float) -> list[Character]:
    """`text` in letters of one width that fill `quad`, in a crop with air around it."""
    (x0, y0), (x1, _) = quad[:2]
    height = quad[3][1] - y0
    edge = air * height
    step = (x1 - x0) / len(text)
    width = x1 - x0 + 2 * edge
    return [
        Character(letter, 1.0, (edge + (place + 0.5) * step) / width)
        for place, letter in enumerate(text)
    ]


def test_reading_order_is_rows_then_columns() -> None:
    found = [
        line("5", flat(10, 90, 80)),
        line("2", flat(200, 14, 80)),
        line("4", flat(220, 48, 60)),
        line("1", flat(10, 10, 80)),
        line("3", flat(10, 52, 80)),
    ]
    assert "".join(each.text for each in text_lines.in_reading_order(found)) == "12345"
    assert text_lines.in_reading_order([]) == ()


def test_words_are_cut_at_spaces_and_placed_by_their_characters() -> None:
    quad = flat(0, 0, 100, 10)
    characters = even("ab cde fgh", quad, 0.075)
    characters[1] = characters[1]._replace(score=0.5)
    words = text_lines.words(quad, characters, 0.075)
    assert [word.text for word in words] == ["ab", "cde", "fgh"]
    assert [word.score for word in words] == [0.75, 1, 1]
    edges = [(word.quad[0][0], word.quad[1][0]) for word in words]
    np.testing.assert_allclose(edges, [(0, 20), (30, 60), (70, 100)], atol=1e-9)
    assert text_lines.words(quad, [Character(" ", 1, 0.5)], 0.075) == ()
    assert text_lines.lines(quad, [Character(" ", 1, 0.5)], 0.075) == []


def test_a_line_ends_at_a_gap_that_is_large_beside_its_words() -> None:
    quad = flat(0, 0, 300, 10)
    # Three heights of gap: more than the words beside it are long, or less.
    found = text_lines.lines(quad, even("red   blue      tea", quad, 0), 0)
    assert [each.text for each in found] == ["red", "blue", "tea"] or [
        each.text for each in found
    ] == ["red blue", "tea"]
    gaps = even("Total" + " " * 12 + "9.50 EUR", quad, 0)
    total, price = text_lines.lines(quad, gaps, 0)
    assert (total.text, price.text) == ("Total", "9.50 EUR")
    step = 300 / 25
    np.testing.assert_allclose(total.quad, flat(0, 0, 5 * step, 10), atol=1e-9)
    np.testing.assert_allclose(price.quad, flat(17 * step, 0, 8 * step, 10), atol=1e-9)
    assert [word.text for word in price.words] == ["9.50", "EUR"]
    [whole] = text_lines.lines(quad, even("even distances between words", quad, 0), 0)
    assert whole.quad == quad


@pytest.mark.parametrize("degrees", [0, 4, -60, 90, 180])
def test_words_that_were_found_apart_are_one_line(degrees: float) -> None:
    parts = [line("System", flat(10, 10, 100)), line("Administration", flat(118, 12, 200, 19))]
    apart = [line(each.text, turned(each.quad, degrees)) for each in parts]
    [joined] = text_lines.in_reading_order(apart[::-1])
    assert joined.text == "System Administration"
    assert [word.quad for word in joined.words] == [each.quad for each in apart]
    straight = np.array(turned(joined.quad, -degrees))
    np.testing.assert_allclose(straight[[0, 2]], [(10, 10), (318, 31)], atol=1.5)


@pytest.mark.parametrize(
    "other",
    [
        flat(135, 10, 80),  # too far away
        flat(115, 18, 80),  # a step lower
        flat(115, 5, 200, 40),  # twice as high
        turned(flat(115, 10, 80), 15),  # another way
        flat(60, 10, 80),  # over it
    ],
)
def test_what_does_not_follow_stays_a_line_of_its_own(other: Quad) -> None:
    found = text_lines.in_reading_order([line("one", flat(10, 10, 100)), line("other", other)])
    assert sorted(each.text for each in found) == ["one", "other"]


@settings(max_examples=200, deadline=None)
@given(
    words=st.integers(2, 6),
    height=st.floats(10, 60),
    lengths=st.lists(st.floats(1.5, 5), min_size=6, max_size=6),
    gap=st.floats(0.3, 0.9),
    roundness=st.floats(3.5, 9),
    below=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_an_arc_is_read_from_its_begin(
    words: int,
    height: float,
    lengths: list[float],
    gap: float,
    roundness: float,
    below: bool,
    order: random.Random,
) -> None:
    """Straight words along a circle, above its centre or below; lengths are in heights."""
    radius = height * roundness
    spans = [2 * math.asin(length / 2 / roundness) for length in lengths[:words]]
    between = gap / roundness
    whole = sum(spans) + between * (words - 1)
    assume(whole < math.radians(170))
    found, angle = [], -whole / 2
    for number, span in enumerate(spans):
        middle = angle + span / 2
        angle += span + between
        width, away = 2 * radius * math.sin(span / 2), radius * math.cos(span / 2)
        quad = flat(-width / 2, (away if below else -away) - height / 2, width, height)
        found.append(line(str(number), turned(quad, math.degrees(-middle if below else middle))))
    shuffled = order.sample(found, len(found))
    assert "".join(each.text for each in text_lines.in_reading_order(shuffled)) == "".join(
        map(str, range(words))
    )


def test_what_is_inside_an_arc_comes_after_it() -> None:
    """As on a seal: TOP over an arc, and a year in its middle."""
    arc = [
        line("THE", turned(flat(-40, -210, 80), -26)),
        line("OLD", turned(flat(-40, -210, 80), 0)),
        line("MILL", turned(flat(-40, -210, 80), 26)),
    ]
    year = line("1874", flat(-30, -100, 60))
    found = text_lines.in_reading_order([year, *arc])
    assert [each.text for each in found] == ["THE", "OLD", "MILL", "1874"]


def test_rows_that_are_straight_stay_rows_beside_a_turned_word() -> None:
    found = [
        line("1", flat(0, 0, 100)),
        line("2", flat(120, 0, 100)),
        line("3", flat(0, 24, 100)),
        line("4", flat(120, 24, 100)),
        line("5", turned(flat(0, 200, 100), 20)),
    ]
    assert "".join(each.text for each in text_lines.in_reading_order(found[::-1])) == "12345"
