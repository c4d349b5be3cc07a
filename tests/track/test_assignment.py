from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from onlooker.track.assignment import assign

SIDES = st.integers(0, 5)
MATRICES = st.tuples(SIDES, SIDES).flatmap(
    lambda shape: arrays(
        np.float64, shape, elements=st.integers(-4, 12).map(float) | st.just(float("inf"))
    )
)


def least_total(costs: NDArray[np.float64], limit: float) -> float:
    """Return the least sum of cost - limit over all ways of making pairs, by trying them all."""
    rows, columns = costs.shape
    slots = [*range(columns), *[None] * rows]
    totals = [
        sum(
            costs[row, column] - limit
            for row, column in enumerate(order)
            if column is not None and costs[row, column] < limit
        )
        for order in set(permutations(slots, rows))
    ]
    return float(min(totals))


@given(MATRICES, st.integers(-2, 8).map(float))
def test_total_is_the_least_of_all_ways(costs: NDArray[np.float64], limit: float) -> None:
    pairs = assign(costs, limit)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(costs[pair] < limit for pair in pairs)
    assert sum(costs[pair] - limit for pair in pairs) == least_total(costs, limit)


def test_two_that_want_the_same_column_are_settled_together() -> None:
    costs = np.array([[1.0, 2.0], [1.0, 9.0]])
    assert assign(costs, 10.0) == [(0, 1), (1, 0)]


def test_a_pair_at_the_limit_is_not_made() -> None:
    assert assign(np.array([[3.0]]), 3.0) == []
    assert assign(np.array([[2.9]]), 3.0) == [(0, 0)]


def test_a_hundred_by_a_hundred_finds_a_hidden_permutation() -> None:
    chance = np.random.default_rng(1)
    hidden = chance.permutation(100)
    costs = chance.uniform(0.5, 1.0, (100, 100))
    costs[np.arange(100), hidden] = chance.uniform(0.0, 0.4, 100)
    assert assign(costs, 1.0) == list(enumerate(hidden.tolist()))


def test_a_cost_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 and column 0"):
        assign(np.array([[1.0], [float("nan")]]), 2.0)
