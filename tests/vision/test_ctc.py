from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.vision import ctc


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1, width=32))))
def test_collapse_joins_runs_and_drops_blanks(columns: list[tuple[int, float]]) -> None:
    expected = []
    for index, run in groupby(enumerate(columns), key=lambda item: item[1][0]):
        places = list(run)
        if index:
            best = max(score for _, (_, score) in places)
            expected.append((index, best, places[0][0], places[-1][0]))
    classes = np.array([index for index, _ in columns], np.int64)
    scores = np.array([score for _, score in columns], np.float32)
    assert ctc.collapse(classes, scores) == expected


def test_a_blank_parts_two_of_the_same_character() -> None:
    classes = np.array([0, 7, 7, 0, 7, 0, 0, 4], np.int64)
    scores = np.array([1, 0.5, 0.75, 1, 0.25, 1, 1, 1], np.float32)
    assert ctc.collapse(classes, scores) == [(7, 0.75, 1, 2), (7, 0.25, 4, 4), (4, 1.0, 7, 7)]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="the same length"):
        ctc.collapse(np.zeros(3, np.int64), np.zeros(2, np.float32))
