"""The beam search against the sum over all ways to read a line."""

import itertools
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.vision import beam
from onlooker.vision.letters import Prior

# The words "a" and "ab", and a share that is left for others. State 0 is after anything, 1 at the
# start of a word, 2 after "a" there.
LETTERS: dict[str, NDArray[Any]] = {
    "first": np.array([0, 3, 5, 7], np.uint32),
    "letter": np.array([0, 1, 2, 0, 1, 0, 2], np.uint8),
    "cost": np.array([20, 30, 40, 200, 4, 12, 10], np.uint8),
    "next": np.array([0, 0, 0, 0, 2, 0, 0], np.uint32),
    "shorter": np.array([0, 0, 0], np.uint32),
    "backoff": np.array([0, 25, 35], np.uint8),
}
CLASSES = ["", "a", "b", "1", " ", "-", "я"]
KINDS = [beam.MARK, beam.LETTER, beam.LETTER, beam.DIGIT, beam.SPACE, beam.MARK, beam.OTHER_LETTER]
CODES = [0, 1, 2, 0, 0, 0, 0]


def made(prior: Prior) -> beam.Beam:
    return beam.Beam(LETTERS, np.array(KINDS, np.uint8), np.array(CODES, np.uint8), prior)


def cost(state: int, code: int) -> tuple[int, int]:
    """Return the cost of a letter, or of a word's end, and the state after it."""
    total = 0
    while True:
        edges = range(int(LETTERS["first"][state]), int(LETTERS["first"][state + 1]))
        for edge in edges:
            if LETTERS["letter"][edge] == code:
                return total + int(LETTERS["cost"][edge]), int(LETTERS["next"][edge])
        total += int(LETTERS["backoff"][state])
        state = int(LETTERS["shorter"][state])


def model_weight(line: tuple[int, ...], prior: Prior) -> float:
    """What the model of letters makes of a line: one token after the other."""

    def token(kinds: str) -> float:
        # Each token is a word, a code or a number, with the probabilities of all its characters.
        word, code, number, state = prior.word, prior.code, prior.number, 1
        for each in kinds:
            code *= prior.code_character
            number *= prior.digit if each == "1" else 0
            if each == "1":
                word = 0
            else:
                step, state = cost(state, CODES[CLASSES.index(each)])
                word *= math.exp(-step / prior.steps)
        return word * math.exp(-cost(state, 0)[0] / prior.steps) + (
            code * prior.code_end + number * prior.number_end
        )

    text = "".join(CLASSES[each] for each in line)
    logarithm = 0.0
    for part in "".join(each if each in "ab1" else f" {each} " for each in text).split():
        if part[0] in "ab1":
            logarithm += math.log(token(part))
    for place, each in enumerate(text):
        if each == "-":
            before = text[place - 1 : place]
            logarithm += math.log(prior.number_mark if before == "1" else prior.mark)
    # A run of letters of another script begins as a code does.
    runs = sum(each == "я" and text[place - 1 : place] != "я" for place, each in enumerate(text))
    logarithm += runs * math.log(prior.code * prior.code_character)
    usual = sum(each != "я" for each in text) + runs + (text[-1:] in {"a", "b", "1"})
    return math.exp(prior.weight * (logarithm + prior.usual * usual))


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(each for each, _ in itertools.groupby(path) if each)


def all_lines(
    classes: NDArray[np.int64], scores: NDArray[np.float32], prior: Prior
) -> dict[tuple[int, ...], float]:
    """The probability of every line: the sum over all paths, times the model's weight."""
    totals: dict[tuple[int, ...], float] = defaultdict(float)
    ranks = range(classes.shape[1])
    for path in itertools.product(ranks, repeat=len(classes)):
        share = math.prod(
            max(float(scores[n, rank]), 1e-6 if rank == 0 else 0) for n, rank in enumerate(path)
        )
        if share > 0:
            line = collapsed(tuple(int(classes[n, rank]) for n, rank in enumerate(path)))
            totals[line] += share
    return {line: share * model_weight(line, prior) for line, share in totals.items()}


@st.composite
def columns(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    number, ranks = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    classes = [
        draw(st.lists(st.integers(0, 6), min_size=ranks, max_size=ranks, unique=True))
        for _ in range(number)
    ]
    shares = st.lists(st.floats(0.0078125, 1, width=32), min_size=ranks, max_size=ranks)
    scores = [sorted(draw(shares), reverse=True) for _ in range(number)]
    return np.array(classes, np.int64), np.array(scores, np.float32)


@settings(deadline=None)
@given(columns())
def test_the_line_is_the_most_likely_of_all(
    given_columns: tuple[NDArray[np.int64], NDArray[np.float32]],
) -> None:
    prior = Prior(width=64)  # wide enough to keep nearly all
    classes, scores = given_columns
    every = all_lines(classes, scores, prior)
    found = tuple(made(prior)(classes, scores))
    assert every[found] >= 0.98 * max(every.values())


def test_words_win_where_the_image_leaves_a_doubt() -> None:
    search = made(Prior())
    classes = np.array([[1, 2, 0, 3], [0, 1, 2, 3], [3, 2, 0, 1]], np.int64)
    scores = np.array([[0.9, 0.05, 0, 0], [0.9, 0.05, 0, 0], [0.5, 0.45, 0, 0]], np.float32)
    assert search(classes, scores) == [1, 2]  # "ab" rather than "a1"
    scores[2] = 0.99, 0.01, 0, 0
    assert search(classes, scores) == [1, 3]  # but what is seen clearly stays


def test_a_narrow_beam_and_impossible_columns() -> None:
    classes = np.array([[0, 1], [1, 0]], np.int64)
    assert made(Prior(width=1))(classes, np.array([[1, 0], [1, 0]], np.float32)) == [1]
    assert made(Prior())(classes, np.zeros((2, 2), np.float32)) == [1]
    assert made(Prior())(np.zeros((0, 4), np.int64), np.zeros((0, 4), np.float32)) == []


def test_a_token_that_never_ends_is_read() -> None:
    line = [1, 2] * 150 + [3]
    classes = np.array([[each, 0] for each in line], np.int64)
    scores = np.tile(np.array([[1, 0]], np.float32), (len(line), 1))
    assert made(Prior())(classes, scores) == line


def test_what_cannot_be_searched() -> None:
    for width in (0, 65):
        with pytest.raises(ValueError, match=f"1 to 64 wide, not {width}"):
            made(Prior(width=width))
    with pytest.raises(ValueError, match="one entry for each class"):
        beam.Beam(LETTERS, np.zeros(3, np.uint8), np.zeros(2, np.uint8), Prior())
    for wrong in (-1, 7):
        with pytest.raises(ValueError, match=f"class {wrong} is not of the 7 classes"):
            made(Prior())(np.array([[0], [wrong]], np.int64), np.ones((2, 1), np.float32))
    with pytest.raises(ValueError, match="the same shape"):
        made(Prior())(np.zeros((2, 2), np.int64), np.zeros((2, 3), np.float32))
