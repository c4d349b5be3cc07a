import math
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.vision import ctc

EIGHTHS = st.integers(0, 8).map(lambda n: n / 8)


def lines(columns: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, 2), max_size=columns)


def columns(number: int) -> st.SearchStrategy[list[list[tuple[int, float]]]]:
    """Two different ones of three classes for each column, with their probabilities."""
    pair = st.lists(
        st.tuples(st.integers(0, 2), EIGHTHS), min_size=2, max_size=2, unique_by=lambda one: one[0]
    )
    return st.lists(pair, min_size=number, max_size=number)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1, width=32), EIGHTHS)))
def test_collapse_joins_runs_and_drops_blanks(columns: list[tuple[int, float, float]]) -> None:
    expected = []
    space = 0.0
    for index, run in groupby(enumerate(columns), key=lambda item: item[1][0]):
        places = list(run)
        if index:
            best = max(score for _, (_, score, _) in places)
            expected.append((index, best, places[0][0], places[-1][0], space))
            space = 0.0
        else:
            space += sum(each for _, (_, _, each) in places)
    classes = np.array([index for index, *_ in columns], np.int64)
    scores, spaces = (np.array([each[n] for each in columns], np.float32) for n in (1, 2))
    assert ctc.collapse(classes, scores, spaces) == expected


def test_a_blank_parts_two_of_the_same_character() -> None:
    classes = np.array([0, 7, 7, 0, 7, 0, 0, 4], np.int64)
    scores = np.array([1, 0.5, 0.75, 1, 0.25, 1, 1, 1], np.float32)
    spaces = np.array([0.5, 1, 1, 0.25, 1, 0.5, 0.25, 1], np.float32)
    expected = [(7, 0.75, 1, 2, 0.5), (7, 0.25, 4, 4, 0.25), (4, 1.0, 7, 7, 0.75)]
    assert ctc.collapse(classes, scores, spaces) == expected


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="the same length"):
        ctc.collapse(np.zeros(3, np.int64), *np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="the same length"):
        ctc.collapse(np.zeros(3, np.int64), np.zeros(3, np.float32), np.zeros(2, np.float32))


@given(st.integers(1, 5).flatmap(lambda n: st.tuples(lines(n), columns(n))))
def test_aligned_is_the_most_likely_of_all_ways(
    drawn: tuple[list[int], list[list[tuple[int, float]]]],
) -> None:
    line, places = drawn
    shares = [{0: 1e-6, 1: 1e-6, 2: 1e-6} | dict(place) for place in places]
    ways = {
        way: math.prod(max(1e-6, share[each]) for share, each in zip(shares, way, strict=True))
        for way in product(range(3), repeat=len(places))
        if [each for each, _ in groupby(way) if each] == line
    }
    classes = np.array([[each for each, _ in place] for place in places], np.int64)
    scores = np.array([[share for _, share in place] for place in places], np.float32)
    if not ways:
        with pytest.raises(ValueError, match=f"{len(line)} characters do not fit into"):
            ctc.aligned(np.array(line, np.int64), classes, scores)
        return
    way, found = ctc.aligned(np.array(line, np.int64), classes, scores)
    assert ways[tuple(way.tolist())] == pytest.approx(max(ways.values()), rel=1e-5)
    expected = [max(1e-6, share[each]) for share, each in zip(shares, way.tolist(), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_long_line_of_which_nothing_is_likely_is_aligned() -> None:
    line = np.arange(1, 61, dtype=np.int64)
    classes, scores = np.full((400, 2), [0, 99]), np.full((400, 2), [1.0, 1e-5], np.float32)
    way, found = ctc.aligned(line, classes, scores)
    assert [each for each, _ in groupby(way.tolist()) if each] == line.tolist()
    assert found.max() == 1.0


def test_an_alignment_of_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    way, found = ctc.aligned(nothing, np.zeros((0, 2), np.int64), np.zeros((0, 2), np.float32))
    assert len(way) == len(found) == 0
    with pytest.raises(ValueError, match="the same shape"):
        ctc.aligned(nothing, np.zeros((1, 2), np.int64), np.zeros((2, 2), np.float32))
