"""Rows against a dictionary of what is there."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onlooker.identity.rows import Rows, View

DIM = 3
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 9)),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 60))),
    ),
    max_size=30,
)


def vector(number: int) -> list[float]:
    return [number, number % 7, -number]


def alive(view: View) -> dict[int, list[float]]:
    rows = np.flatnonzero(view.live)
    return dict(zip(view.numbers[rows].tolist(), view.vectors[rows].tolist(), strict=True))


@given(steps)
def test_hold_what_was_added_and_not_deleted(
    steps: list[tuple[str, int | list[int]]],
) -> None:
    rows, there, last = Rows(), dict[int, list[float]](), 0
    for _, what in steps:
        if isinstance(what, int):
            new = range(last + 1, last + 1 + 2 * what, 2)
            last = new[-1]
            there |= {number: vector(number) for number in new}
            rows.add(np.array(new), np.array([vector(number) for number in new], np.float32))
        else:
            there = {number: it for number, it in there.items() if number not in what}
            rows.delete(np.array(what, dtype=np.int64))
        view = rows.view
        assert alive(view) == there
        assert rows.alive == len(there)
        assert list(view.numbers) == sorted(view.numbers)
        for since in (0, last // 2, last):
            later = {number: it for number, it in there.items() if number > since}
            assert alive(view.after(since)) == later
        some = [0, 1, last // 2, last, last, last + 5]
        chosen = {number: it for number, it in there.items() if number in some}
        assert alive(view.only(np.array(some))) == chosen


def test_a_view_stays_as_it_was_but_for_the_dead() -> None:
    rows = Rows()
    rows.add(np.arange(1, 6), np.ones((5, DIM), np.float32))
    view = rows.view
    rows.add(np.arange(6, 100), np.zeros((94, DIM), np.float32))
    rows.delete(np.arange(2, 100))
    assert list(view.numbers) == [1, 2, 3, 4, 5]
    assert (view.vectors == 1).all()
    assert list(rows.view.numbers) == [1]


def test_nearest_of_nothing() -> None:
    numbers, values = Rows().view.nearest(np.ones((2, 0), np.float32), 3, "cosine")
    assert numbers.shape == values.shape == (2, 0)


def test_behind_the_last_the_number_is_nothing() -> None:
    rows = Rows()
    rows.add(np.array([4, 9]), np.eye(2, DIM, dtype=np.float32))
    rows.delete(np.array([4]))
    view = rows.view.at(slice(None))
    numbers, values = view.nearest(np.eye(1, DIM, dtype=np.float32), 5, "euclidean")
    assert numbers.tolist()[0][0] == 9
    assert (numbers[0][1:] == 0).all()
    assert values[0][0] == np.float32(np.sqrt(2))
