"""Ids, parents, limits and filters, by hand; and what filters leave is what the oracle leaves."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.rekognition.shapes import (
    BoundingBox,
    DetectionFilter,
    Point,
    RegionOfInterest,
    TextDetection,
    TextFilters,
)
from onlooker.rekognition.text_detection import text_detections
from onlooker.types import Quad, TextLine, Word

SIZE = (1000, 500)


def turned(x: float, y: float, width: float, height: float, degrees: float = 0) -> Quad:
    """A rectangle that is turned about its top-left."""
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    corners = [complex(x, y) + turn * corner for corner in
               (0, width, complex(width, height), complex(0, height))]  # fmt: skip
    a, b, c, d = ((corner.real, corner.imag) for corner in corners)
    return a, b, c, d


def line(x: float, y: float, text: str, degrees: float = 0, score: float = 0.9) -> TextLine:
    """Letters are 10 pixels wide and 20 high, as are the spaces."""
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    words, at = [], 0
    for word in text.split(" "):
        corner = complex(x, y) + turn * 10 * at
        quad = turned(corner.real, corner.imag, 10 * len(word), 20, degrees)
        words.append(Word(text=word, score=score, quad=quad))
        at += len(word) + 1
    quad = turned(x, y, 10 * len(text), 20, degrees)
    return TextLine(text=text, score=score, quad=quad, words=tuple(words))


SIGN = [line(100, 100, "IT'S MONDAY"), line(120, 200, "but keep"), line(300, 300, "Smiling")]


def summary(found: tuple[TextDetection, ...]) -> list[tuple[str, str, int, int | None]]:
    return [(each.Type, each.DetectedText, each.Id, each.ParentId) for each in found]


def test_lines_come_first_then_their_words() -> None:
    assert summary(text_detections(SIGN, SIZE)) == [
        ("LINE", "IT'S MONDAY", 0, None),
        ("LINE", "but keep", 1, None),
        ("LINE", "Smiling", 2, None),
        ("WORD", "IT'S", 3, 0),
        ("WORD", "MONDAY", 4, 0),
        ("WORD", "but", 5, 1),
        ("WORD", "keep", 6, 1),
        ("WORD", "Smiling", 7, 2),
    ]
    assert text_detections([], SIZE) == ()


def test_a_polygon_follows_the_text_and_a_box_stands_upright_around_it() -> None:
    first, word = text_detections([line(100, 100, "Exit", degrees=90)], SIZE)
    corners = [(p.X, p.Y) for p in first.Geometry.Polygon]
    # Turned a quarter clockwise about its own top-left, 40 along and 20 deep.
    assert corners == [(0.1, 0.2), (0.1, 0.28), (0.08, 0.28), (0.08, 0.2)]
    box = BoundingBox(Width=0.02, Height=0.08, Left=0.08, Top=0.2)
    assert first.Geometry.BoundingBox == word.Geometry.BoundingBox == box
    assert first.Confidence == 90.0


def test_words_beyond_the_limit_are_left_out_and_lines_without_words() -> None:
    found = text_detections(SIGN, SIZE, max_words=3)
    assert summary(found) == [
        ("LINE", "IT'S MONDAY", 0, None),
        ("LINE", "but keep", 1, None),
        ("WORD", "IT'S", 2, 0),
        ("WORD", "MONDAY", 3, 0),
        ("WORD", "but", 4, 1),
    ]
    page = [line(10, 20 * n, "one two three four") for n in range(100)]
    counts = {most: len(text_detections(page, SIZE, max_words=most)) for most in (50, 100)}
    assert counts == {50: 50 + 13, 100: 100 + 25}


@pytest.mark.parametrize(
    ("degrees", "within"),
    [(0, (30, 90)), (28, (30, 90)), (-31, (30, 90)), (40, (90,)), (-90, (90,)), (120, ()),
     (180, ())],
)  # fmt: skip
def test_lines_that_are_turned_too_far_are_left_out(degrees: float, within: Any) -> None:
    lines = [line(500, 250, "turned", degrees)]
    assert len(text_detections(lines, SIZE)) == 2
    kept = tuple(angle for angle in (30, 90) if text_detections(lines, SIZE, max_angle=angle))
    assert kept == within


def test_basic_latin_takes_accents_off_and_leaves_out_what_is_not_latin() -> None:
    lines = [line(10, 10, "“Café” λ Ünique"), line(10, 50, "λόγος")]
    found = text_detections(lines, SIZE, basic_latin=True)
    assert [each.DetectedText for each in found] == ['"Cafe" Unique', '"Cafe"', "Unique"]


def words(found: tuple[TextDetection, ...]) -> list[str]:
    return [each.DetectedText for each in found if each.Type == "WORD"]


def test_a_word_filter_without_a_confidence_asks_for_eighty() -> None:
    lines = [line(10, 10, "sure", score=0.81), line(10, 50, "unsure", score=0.79)]
    assert words(text_detections(lines, SIZE)) == ["sure", "unsure"]
    assert words(text_detections(lines, SIZE, filters=TextFilters())) == ["sure", "unsure"]
    asked = TextFilters(WordFilter=DetectionFilter())
    assert words(text_detections(lines, SIZE, filters=asked)) == ["sure"]
    for least, left in ((0, ["sure", "unsure"]), (79, ["sure", "unsure"]), (81.5, [])):
        asked = TextFilters(WordFilter=DetectionFilter(MinConfidence=least))
        assert words(text_detections(lines, SIZE, filters=asked)) == left


def test_small_words_can_be_left_out() -> None:
    asked = TextFilters(WordFilter=DetectionFilter(MinConfidence=0, MinBoundingBoxWidth=0.05))
    found = text_detections(SIGN, SIZE, filters=asked)
    assert summary(found) == [
        ("LINE", "IT'S MONDAY", 0, None),
        ("LINE", "Smiling", 1, None),
        ("WORD", "MONDAY", 2, 0),
        ("WORD", "Smiling", 3, 1),
    ]
    asked = TextFilters(WordFilter=DetectionFilter(MinConfidence=0, MinBoundingBoxHeight=0.041))
    assert text_detections(SIGN, SIZE, filters=asked) == ()


def test_a_word_is_in_a_region_where_more_than_half_of_it_is() -> None:
    def inside(right: float) -> list[str]:
        box = BoundingBox(Left=0, Top=0, Width=right, Height=1)
        regions = (RegionOfInterest(BoundingBox=box),)
        return words(text_detections(SIGN, SIZE, filters=TextFilters(RegionsOfInterest=regions)))

    assert inside(0.119) == []  # "IT'S" reaches from 0.1 to 0.14
    assert inside(0.121) == ["IT'S"]
    # ... and "but" from 0.12 to 0.15, "MONDAY" to 0.21, "keep" to 0.2.
    assert inside(0.205) == ["IT'S", "MONDAY", "but", "keep"]
    assert inside(2) == ["IT'S", "MONDAY", "but", "keep", "Smiling"]


def test_a_word_may_be_in_any_of_the_regions() -> None:
    triangle = tuple(Point(X=x, Y=y) for x, y in ((0.25, 0.5), (0.5, 0.5), (0.25, 1)))
    regions = (
        RegionOfInterest(Polygon=triangle),
        RegionOfInterest(BoundingBox=BoundingBox(Left=0.15, Top=0.15, Width=0.1, Height=0.1)),
    )
    found = text_detections(SIGN, SIZE, filters=TextFilters(RegionsOfInterest=regions))
    assert words(found) == ["MONDAY", "Smiling"]


places = st.floats(0.02, 0.98)


@given(
    st.lists(st.tuples(places, places), min_size=3, max_size=10),
    places, places, st.floats(-180, 180),
)  # fmt: skip
def test_regions_of_any_shape_hold_what_painting_them_shows(
    outline: list[tuple[float, float]], x: float, y: float, degrees: float
) -> None:
    """Against the pixels that OpenCV paints; cases that one pixel could decide are left out."""
    # In the order of their angles about a middle, corners make a polygon without crossings.
    middle = np.mean(outline, axis=0)
    outline.sort(key=lambda p: math.atan2(p[1] - middle[1], p[0] - middle[0]))
    word = line(x * SIZE[0], y * SIZE[1], "somewhere", degrees)
    masks = []
    for corners in (np.array(outline) * SIZE, np.array(word.quad)):
        mask = np.zeros((SIZE[1] + 400, SIZE[0] + 400), np.uint8)
        cv2.fillPoly(mask, [np.round(corners + 200).astype(np.int32)], 1)
        masks.append(mask)
    share = float((masks[0] & masks[1]).sum() / masks[1].sum())
    if abs(share - 0.5) < 0.1:
        return
    region = RegionOfInterest(Polygon=tuple(Point(X=x, Y=y) for x, y in outline))
    found = text_detections([word], SIZE, filters=TextFilters(RegionsOfInterest=(region,)))
    assert bool(found) == (share > 0.5)
