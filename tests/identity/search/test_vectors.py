"""The table of vectors against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.identity.faces import Vectors
from onlooker.identity.search import quantized
from onlooker.identity.search.vectors import VectorTable, View, rotated

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
def test_the_table_holds_what_was_added_and_not_deleted(
    steps: list[tuple[str, int | list[int]]],
) -> None:
    rows, there, last = VectorTable("euclidean"), dict[int, list[float]](), 0
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
        some = [0, 1, last // 2, last, last, last + 5]
        chosen = {number: it for number, it in there.items() if number in some}
        assert alive(view.only(np.array(some))) == chosen


def test_a_view_stays_as_it_was_except_for_deletions() -> None:
    rows = VectorTable("euclidean")
    rows.add(np.arange(1, 6), np.ones((5, DIM), np.float32))
    view = rows.view
    rows.add(np.arange(6, 100), np.zeros((94, DIM), np.float32))
    rows.delete(np.arange(2, 100))
    assert list(view.numbers) == [1, 2, 3, 4, 5]
    assert (view.vectors == 1).all()
    assert list(rows.view.numbers) == [1]


def unit(chance: np.random.Generator, *shape: int) -> Vectors:
    vectors = chance.standard_normal(shape).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


@pytest.mark.skipif(not quantized.is_supported(), reason="quantisation is for processors with AVX2")
def test_codes_follow_additions_and_deletions() -> None:
    """In pieces of any size, and after rows were moved together."""
    chance = np.random.default_rng(3)
    rows, dim, last = VectorTable("cosine"), 40, 0
    for _ in range(60):
        count = int(chance.integers(1, 150))
        rows.add(np.arange(last + 1, last + 1 + count), unit(chance, count, dim))
        last += count
        if chance.random() < 0.3:
            rows.delete(chance.permutation(rows.view.numbers)[: int(chance.integers(1, 400))])
        numbers, vectors, _, kept = rows.view
        if kept is None:  # no row is left
            continue
        fresh = quantized.empty(32 * len(kept), dim)
        quantized.encode(fresh, 0, rotated(vectors))
        wide = fresh.transpose(0, 2, 1).reshape(-1, fresh.shape[1])[: len(numbers)]
        held = kept.transpose(0, 2, 1).reshape(-1, kept.shape[1])[: len(numbers)]
        # A product of many vectors may round other than that of a few, at the edge of a level.
        assert (wide != held).mean() < 1e-3


@pytest.mark.skipif(not quantized.is_supported(), reason="quantisation is for processors with AVX2")
def test_codes_find_nearly_all_of_the_nearest() -> None:
    chance = np.random.default_rng(4)
    rows = VectorTable("cosine")
    vectors = unit(chance, 20_000, 64)
    rows.add(np.arange(1, 20_001), vectors)
    rows.delete(np.arange(1, 20_001, 7))
    queries = unit(chance, 50, 64)
    exact, values = rows.view.nearest(queries, 10, "cosine", exact=True)
    coded, nearness = rows.view.nearest(queries, 10, "cosine")
    found = [len({*a} & {*b}) for a, b in zip(exact.tolist(), coded.tolist(), strict=True)]
    assert np.mean(found) >= 9.9
    assert (exact[:, 0] == coded[:, 0]).all()
    same = exact == coded
    np.testing.assert_array_equal(values[same], nearness[same])


def test_nearest_of_nothing() -> None:
    numbers, values = VectorTable("euclidean").view.nearest(
        np.ones((2, 0), np.float32), 3, "cosine"
    )
    assert numbers.shape == values.shape == (2, 0)


def test_the_number_is_zero_after_the_last_result() -> None:
    rows = VectorTable("euclidean")
    rows.add(np.array([4, 9]), np.eye(2, DIM, dtype=np.float32))
    rows.delete(np.array([4]))
    view = rows.view
    numbers, values = view.nearest(np.eye(1, DIM, dtype=np.float32), 5, "euclidean")
    assert numbers.tolist()[0][0] == 9
    assert (numbers[0][1:] == 0).all()
    assert values[0][0] == np.float32(np.sqrt(2))
