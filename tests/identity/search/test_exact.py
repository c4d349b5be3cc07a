"""The kernel against a sort of everything."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.identity.search.exact import largest_products, smallest_distances

Vectors = NDArray[np.float32]


def random_vectors(seed: int, *shape: int) -> Vectors:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def everything(likeness: NDArray[np.float64], live: NDArray[np.uint8], k: int) -> list[list[int]]:
    """Rows by likeness (m, n), the greatest first, the lower row first among equals."""
    rows = []
    for values in likeness:
        order = sorted(np.flatnonzero(live).tolist(), key=lambda row: (-values[row], row))
        rows.append((order + [-1] * k)[:k])
    return rows


# Small whole numbers: every sum is exact in any order, and there are many equals.
whole = st.integers(0, 2**32 - 1).map(np.random.default_rng)
sizes = st.integers(0, 200)


@given(whole, sizes, st.integers(1, 70), st.integers(0, 5), st.integers(1, 20), st.floats(0, 1))
def test_largest_products(
    chance: np.random.Generator, n: int, dim: int, m: int, k: int, alive: float
) -> None:
    vectors = chance.integers(-3, 4, (n, dim)).astype(np.float32)
    queries = chance.integers(-3, 4, (m, dim)).astype(np.float32)
    live = (chance.random(n) < alive).astype(np.uint8)
    products = queries.astype(np.float64) @ vectors.T
    rows, values = largest_products(vectors, live, queries, k)
    assert rows.tolist() == everything(products, live, k)
    for found, value, product in zip(rows, values, products, strict=True):
        np.testing.assert_array_equal(value[found >= 0], product[found[found >= 0]])
        assert (value[found < 0] == -np.inf).all()


@given(whole, sizes, st.integers(1, 70), st.integers(0, 5), st.integers(1, 20), st.floats(0, 1))
def test_closest(
    chance: np.random.Generator, n: int, dim: int, m: int, k: int, alive: float
) -> None:
    vectors = chance.integers(-3, 4, (n, dim)).astype(np.float32)
    queries = chance.integers(-3, 4, (m, dim)).astype(np.float32)
    live = (chance.random(n) < alive).astype(np.uint8)
    squares = ((queries[:, None].astype(np.float64) - vectors[None]) ** 2).sum(axis=2)
    rows, values = smallest_distances(vectors, live, queries, k)
    assert rows.tolist() == everything(-squares, live, k)
    for found, value, square in zip(rows, values, squares, strict=True):
        np.testing.assert_array_equal(value[found >= 0], square[found[found >= 0]])
        assert (value[found < 0] == np.inf).all()


@pytest.mark.parametrize("dim", [1, 31, 32, 33, 128, 192, 512])
def test_real_vectors(dim: int) -> None:
    vectors, queries = random_vectors(1, 1000, dim), random_vectors(2, 7, dim)
    live = np.ones(1000, dtype=np.uint8)
    rows, values = largest_products(vectors, live, queries, 10)
    products = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    expected = -np.sort(-products, axis=1)[:, :10]
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(products, rows, 1), expected, atol=1e-4)


def test_a_value_does_not_depend_on_the_row() -> None:
    """Equal vectors have equal values, at any position and for any number of queries."""
    one = random_vectors(1, 1, 192)
    vectors = np.repeat(one, 131, axis=0)
    live = np.ones(131, dtype=np.uint8)
    for search in (largest_products, smallest_distances):
        rows, values = search(vectors, live, random_vectors(2, 3, 192), 131)
        assert rows.tolist() == [list(range(131))] * 3
        assert all(len(set(value.tolist())) == 1 for value in values)


def test_the_same_vector_is_at_no_distance() -> None:
    vectors = random_vectors(1, 5, 128)
    _, values = smallest_distances(vectors, np.ones(5, dtype=np.uint8), vectors, 1)
    assert values.tolist() == [[0.0]] * 5
    assert not np.signbit(values).any()


def test_what_is_no_number_is_near_nothing() -> None:
    vectors = random_vectors(1, 3, 8)
    vectors[1] = np.nan
    rows, _ = largest_products(vectors, np.ones(3, dtype=np.uint8), vectors[:1], 3)
    assert sorted(rows[0].tolist()) == [-1, 0, 2]


@pytest.mark.parametrize(
    ("n", "live", "dim", "k", "message"),
    [
        (5, 4, 8, 1, "live must have one entry for each of 5 vectors, not 4"),
        (5, 5, 7, 1, "queries must be as long as the vectors, 8, not 7"),
        (5, 5, 8, 0, "k must be at least 1, not 0"),
        (5, 5, 8, -1, "k must be at least 1, not -1"),
    ],
)
def test_shapes_that_do_not_fit(n: int, live: int, dim: int, k: int, message: str) -> None:
    for search in (largest_products, smallest_distances):
        with pytest.raises(ValueError, match=message):
            search(random_vectors(1, n, 8), np.ones(live, np.uint8), random_vectors(2, 1, dim), k)


def test_types_that_do_not_fit() -> None:
    live = np.ones(5, dtype=np.uint8)
    vectors = random_vectors(1, 5, 8)
    with pytest.raises(ValueError, match="mismatch"):
        largest_products(vectors.astype(np.float64), live, vectors, 1)
    with pytest.raises(ValueError, match="contig"):
        largest_products(vectors[:, ::2], live, vectors[:, ::2], 1)
    with pytest.raises(ValueError, match="dimensions"):
        largest_products(vectors, live, vectors[0], 1)


def test_other_threads_go_on_meanwhile() -> None:
    vectors, live = random_vectors(1, 200_000, 64), np.ones(200_000, dtype=np.uint8)
    searched, counted = threading.Event(), 0

    def search() -> None:
        largest_products(vectors, live, vectors[:40], 1)
        searched.set()

    thread = threading.Thread(target=search)
    thread.start()
    while not searched.is_set():
        counted += 1
    thread.join()
    # Holding the interpreter, the search would let this thread count at its two ends only.
    assert counted > 100_000
