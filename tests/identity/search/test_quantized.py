"""The kernel against the definition of the quantisation, and its results against all rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.identity.search import quantized

pytestmark = pytest.mark.skipif(
    not quantized.is_supported(), reason="quantisation is for processors with AVX2"
)

LEVELS = np.array([-1.5104, -0.4528, 0.4528, 1.5104])
EDGES = np.array([-0.9816, 0, 0.9816])
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def levels(rotated: NDArray[np.float32]) -> NDArray[np.float64]:
    return LEVELS[np.digitize(rotated, EDGES)]


def written(rotated: NDArray[np.float32]) -> NDArray[np.uint8]:
    space = quantized.empty(*rotated.shape)
    quantized.encode(space, 0, rotated)
    return space


def normal(chance: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return chance.standard_normal(shape).astype(np.float32)


@given(seeds, st.integers(1, 100), st.integers(1, 70))
def test_every_number_has_its_two_bits(chance: np.random.Generator, n: int, dim: int) -> None:
    rotated = normal(chance, n, dim)
    flat = written(rotated).transpose(0, 2, 1).reshape(-1, (dim + 7) // 8 * 2)[:n]
    bits = np.stack([flat >> (2 * place) & 3 for place in range(4)], axis=2).reshape(n, -1)
    np.testing.assert_array_equal(bits[:, :dim], np.digitize(rotated, EDGES))
    assert (bits[:, dim:] == 0).all()


def test_rows_are_encoded_at_their_places() -> None:
    rotated = normal(np.random.default_rng(1), 100, 9)
    whole, parts = written(rotated), quantized.empty(100, 9)
    parts[:] = 255
    for first, last in ((0, 1), (1, 40), (40, 64), (64, 100)):
        quantized.encode(parts, first, rotated[first:last])
    kept = whole.transpose(0, 2, 1).reshape(-1, 4)[:100]
    np.testing.assert_array_equal(parts.transpose(0, 2, 1).reshape(-1, 4)[:100], kept)


@given(
    seeds, st.integers(1, 400), st.integers(1, 70), st.integers(1, 3), st.integers(1, 30),
    st.integers(0, 40), st.floats(0, 1),
)  # fmt: skip
def test_the_results_are_among_the_rows_with_the_best_codes(
    chance: np.random.Generator, n: int, dim: int, m: int, k: int, more: int, alive: float
) -> None:
    vectors, queries = normal(chance, n, dim), normal(chance, m, dim)
    rotated, rotated_queries = normal(chance, n, dim), normal(chance, m, dim)
    live = (chance.random(n) < alive).astype(np.uint8)
    candidates = k + more
    rows, values = quantized.largest_products(
        vectors, written(rotated), live, queries, rotated_queries, k, candidates
    )
    products = queries @ vectors.T
    seeming = rotated_queries.astype(np.float64) @ levels(rotated).T
    # Sums of half a step's error each.
    widest = 2 * LEVELS[3] * np.abs(rotated_queries).reshape(m, -1)
    step = 2 * widest.max(axis=1) / 63
    slack = step * ((dim + 7) // 8 * 4) / 2 + 1e-4
    for row in range(m):
        found = rows[row][rows[row] >= 0]
        assert len(set(found)) == len(found) == min(k, int(live.sum()))
        assert live[found].all()
        np.testing.assert_allclose(values[row][: len(found)], products[row][found], atol=1e-4)
        assert (values[row][len(found) :] == -np.inf).all()
        assert (np.diff(values[row][: len(found)]) <= 0).all()
        # Every one that is found seems at least as good as the last that could be chosen.
        chosen = np.sort(seeming[row][live == 1])[::-1][:candidates]
        if len(chosen):
            assert (seeming[row][found] >= chosen[-1] - 2 * slack[row]).all()
        # And every row with a clearly better code was compared.
        if len(found) == k:
            sure = np.flatnonzero(live & (seeming[row] > chosen[-1] + 2 * slack[row]))
            missed = set(sure) - set(found)
            assert all(products[row][one] <= values[row][-1] + 1e-4 for one in missed)


@given(seeds, st.integers(1, 300), st.integers(1, 10))
def test_all_chosen_is_exact(chance: np.random.Generator, n: int, k: int) -> None:
    vectors = chance.integers(-3, 4, (n, 8)).astype(np.float32)
    query = chance.integers(-3, 4, (1, 8)).astype(np.float32)
    live = (chance.random(n) < 0.7).astype(np.uint8)
    rows, _ = quantized.largest_products(vectors, written(vectors), live, query, query, k, n + k)
    products = (query @ vectors.T)[0]
    order = sorted(np.flatnonzero(live).tolist(), key=lambda row: (-products[row], row))
    assert rows[0].tolist() == (order + [-1] * k)[:k]


def test_equals_beyond_number() -> None:
    """More equal rows than fit into the list of candidates: the first ones win."""
    vectors = np.ones((5000, 16), np.float32)
    live = np.ones(5000, np.uint8)
    live[:3] = 0
    rows, _ = quantized.largest_products(
        vectors, written(vectors), live, vectors[:1], vectors[:1], 10, 20
    )
    assert rows[0].tolist() == list(range(3, 13))


def test_a_query_of_nothing() -> None:
    vectors = normal(np.random.default_rng(1), 100, 16)
    zero = np.zeros((1, 16), np.float32)
    live = np.ones(100, np.uint8)
    rows, values = quantized.largest_products(vectors, written(vectors), live, zero, zero, 5, 20)
    assert rows[0].tolist() == [0, 1, 2, 3, 4]
    assert (values == 0).all()


def test_better_and_better() -> None:
    """Each row is better than all before: the list of the chosen overflows again and again."""
    query = np.ones((1, 8), np.float32)
    vectors = np.linspace(-2, 2, 3000, dtype=np.float32)[:, None] * query
    live = np.ones(3000, np.uint8)
    rotated = np.repeat(normal(np.random.default_rng(1), 1, 8), 3000, axis=0)
    rows, _ = quantized.largest_products(vectors, written(vectors), live, query, query, 5, 2000)
    assert rows[0].tolist() == [2999, 2998, 2997, 2996, 2995]
    rows, _ = quantized.largest_products(vectors, written(rotated), live, query, query, 5, 3000)
    assert rows[0].tolist() == [2999, 2998, 2997, 2996, 2995]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"live": np.ones(9, np.uint8)}, "one entry for each of 10"),
        ({"codes": quantized.empty(10, 32)}, "do not fit 10 vectors of 16"),
        ({"queries": np.ones((1, 15), np.float32)}, "as long as the vectors, 16, not 15"),
        ({"rotated": np.ones((2, 16), np.float32)}, "as long as the vectors"),
        ({"k": 0}, "k must be from 1 to 5, not 0"),
        ({"k": 6}, "k must be from 1 to 5, not 6"),
    ],
)
def test_what_does_not_fit(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "vectors": np.ones((10, 16), np.float32),
        "codes": quantized.empty(10, 16),
        "live": np.ones(10, np.uint8),
        "queries": np.ones((1, 16), np.float32),
        "rotated": np.ones((1, 16), np.float32),
        "k": 3,
        "candidates": 5,
    }
    with pytest.raises(ValueError, match=message):
        quantized.largest_products(**(arguments | change))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rows 30 to 40 do not fit into 32"):
        quantized.encode(quantized.empty(10, 16), 30, np.ones((10, 16), np.float32))
    with pytest.raises(ValueError, match="are not of 32 numbers"):
        quantized.encode(quantized.empty(10, 16), 0, np.ones((10, 32), np.float32))
