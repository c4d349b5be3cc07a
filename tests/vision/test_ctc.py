from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.vision import ctc

EIGHTHS = st.integers(0, 8).map(lambda n: n / 8)


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
