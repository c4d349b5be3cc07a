"""Planes resized by the means of areas, against a slow copy of it and OpenCV."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.media import area


def shares(count: int, targets: int) -> NDArray[np.float64]:
    """Return which share of each of `targets` pixels is of each of `count`: (targets, count)."""
    edges = np.arange(targets + 1) * count / targets
    places = np.arange(count)
    begin = np.maximum(edges[:-1, None], places)
    end = np.minimum(edges[1:, None], places + 1)
    return np.asarray(np.clip(end - begin, 0, None) * targets / count)


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 70),
    width=st.integers(1, 50),
    height=st.integers(1, 30),
    seed=st.integers(0, 100),
)
def test_against_the_slow_copy(rows: int, columns: int, width: int, height: int, seed: int) -> None:
    plane = np.random.default_rng(seed).integers(0, 256, (rows, columns + 3), np.uint8)[:, 2:-1]
    exactly = shares(rows, height) @ plane @ shares(columns, width).T
    found = area.resize(plane, width, height)
    assert found.shape == (height, width)
    assert np.abs(found - exactly).max() <= 0.501


def test_as_opencv_shrinks() -> None:
    plane = np.random.default_rng(1).integers(0, 256, (60, 900), np.uint8)
    theirs = cv2.resize(plane, (241, 17), interpolation=cv2.INTER_AREA)
    assert np.abs(theirs.astype(int) - area.resize(plane, 241, 17)).max() <= 1


def test_large_even_areas_stay_what_they_are() -> None:
    assert (area.resize(np.full((4000, 3000), 255, np.uint8), 3, 2) == 255).all()


@pytest.mark.parametrize(("rows", "width", "height"), [(0, 4, 4), (4, 0, 4), (4, 4, 0), (4, -1, 4)])
def test_nothing_is_refused(rows: int, width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"5 x {rows} pixels cannot be made {width} x {height}"):
        area.resize(np.zeros((rows, 5), np.uint8), width, height)


def test_bytes_of_a_row_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        area.resize(np.zeros((4, 8), np.uint8)[:, ::2], 2, 2)
