"""Each kernel against the way one would write it in NumPy or OpenCV."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.vision import geometry

Floats = NDArray[np.float32]
seeds = st.integers(0, 2**32 - 1)


def random_boxes(rng: np.random.Generator, n: int) -> Floats:
    corner = rng.uniform(-20, 100, (n, 2))
    return np.hstack([corner, corner + rng.uniform(1, 60, (n, 2))]).astype(np.float32)


def rectangle(centre: tuple[float, float], size: tuple[float, float], degrees: float) -> Floats:
    """Corners clockwise from the one that is top-left at 0 degrees; positive turns clockwise."""
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array(size) / 2
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(half @ turn + centre, np.float32)


def iou_of_two(a: Floats, b: Floats) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, float(width)) * max(0.0, float(height))
    area = [float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)]
    return both / (sum(area) - both)


@given(seeds, st.integers(1, 6), st.integers(1, 6), st.floats(0, 1))
def test_centerface_cells_become_boxes(
    seed: int, rows: int, columns: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    heat = rng.uniform(0, 1, (rows, columns)).astype(np.float32)
    sizes = rng.uniform(-1, 3, (2, rows, columns)).astype(np.float32)
    offsets = rng.uniform(-0.5, 0.5, (2, rows, columns)).astype(np.float32)
    points = rng.uniform(0, 1, (10, rows, columns)).astype(np.float32)
    expected = []
    for row in range(rows):
        for column in range(columns):
            if heat[row, column] < np.float32(threshold):
                continue
            height, width = np.exp(sizes[:, row, column].astype(float)) * 4
            dy, dx = offsets[:, row, column]
            left, top = (column + dx + 0.5) * 4 - width / 2, (row + dy + 0.5) * 4 - height / 2
            y, x = points[0::2, row, column], points[1::2, row, column]
            places = np.column_stack([left + x * width, top + y * height]).ravel()
            box = [left, top, left + width, top + height, heat[row, column]]
            expected.append([*box, *places])
    found = geometry.decode_centerface(heat, sizes, offsets, points, 4, threshold)
    np.testing.assert_allclose(found, np.reshape(expected, (-1, 15)), rtol=1e-4, atol=1e-3)


def test_centerface_maps_must_fit() -> None:
    heat = np.zeros((2, 3), np.float32)
    pair, ten = np.zeros((2, 2, 3), np.float32), np.zeros((10, 2, 3), np.float32)
    assert geometry.decode_centerface(heat, pair, pair, ten, 4, 0.5).shape == (0, 15)
    with pytest.raises(ValueError, match="points ten"):
        geometry.decode_centerface(heat, pair, pair, pair, 4, 0.5)
    with pytest.raises(ValueError, match="maps of 2 x 3 cells"):
        geometry.decode_centerface(heat, pair[:, :1].copy(), pair, ten, 4, 0.5)


@given(seeds, st.integers(0, 12), st.integers(0, 12))
def test_iou_is_shared_area_over_joint_area(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, n), random_boxes(rng, m)
    expected = np.array([[iou_of_two(x, y) for y in b] for x in a]).reshape(n, m)
    np.testing.assert_allclose(geometry.iou(a, b), expected, atol=1e-6)


def test_iou_by_hand() -> None:
    a = np.array([[0, 0, 2, 2]], np.float32)
    b = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2]], np.float32)
    np.testing.assert_allclose(geometry.iou(a, b), [[1 / 7, 1, 0]])


@given(seeds, st.integers(0, 40), st.floats(0.05, 0.95))
def test_suppress_keeps_the_best_of_those_that_overlap(seed: int, n: int, overlap: float) -> None:
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, n)
    scores = rng.choice(np.linspace(0, 1, 9, dtype=np.float32), n)  # with equal ones among them
    kept: list[int] = []
    for i in sorted(range(n), key=lambda i: -scores[i]):
        if all(iou_of_two(boxes[i], boxes[j]) <= overlap for j in kept):
            kept.append(i)
    found = geometry.suppress(boxes, scores, overlap).tolist()
    assert found == kept


@given(seeds, st.integers(1, 7), st.integers(1, 7), st.sampled_from([8, 16, 32]))
def test_decode_yunet_is_its_formulas(seed: int, rows: int, columns: int, stride: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rows * columns
    face, thing = rng.uniform(-0.2, 1.2, (2, cells)).astype(np.float32)
    boxes = rng.normal(0, 1, (cells, 4)).astype(np.float32)
    points = rng.normal(0, 1, (cells, 10)).astype(np.float32)
    expected = []
    for cell in range(cells):
        row, column = divmod(cell, columns)
        score = np.sqrt(np.clip(face[cell], 0, 1) * np.clip(thing[cell], 0, 1))
        if score < 0.5:
            continue
        centre = (np.array([column, row]) + boxes[cell, :2]) * stride
        half = np.exp(boxes[cell, 2:]) * stride / 2
        around = (np.tile([column, row], 5) + points[cell]) * stride
        expected.append([*(centre - half), *(centre + half), score, *around])
    found = geometry.decode_yunet(face, thing, boxes, points, columns, stride, 0.5)
    assert found.shape == (len(expected), 15)
    np.testing.assert_allclose(found, np.array(expected).reshape(-1, 15), rtol=1e-5, atol=1e-3)


def umeyama(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """By singular value decomposition, as the paper has it."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, sizes, vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (sizes * sign).sum() / a.var(0).sum()
    linear = scale * (u * sign) @ vt
    return np.hstack([linear, (target.mean(0) - linear @ source.mean(0))[:, None]])


@given(seeds, st.integers(3, 20))
def test_similarity_is_umeyamas(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.uniform(0, 500, (2, n, 2))
    np.testing.assert_allclose(
        geometry.similarity(source, target), umeyama(source, target), rtol=1e-7, atol=1e-7
    )


@given(st.floats(-np.pi, np.pi), st.floats(0.01, 100), st.floats(-500, 500))
def test_similarity_finds_the_transform_that_was_applied(
    angle: float, scale: float, shift: float
) -> None:
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[a, -b, shift], [b, a, -shift]])
    source = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])
    target = source @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(geometry.similarity(source, target), matrix, rtol=1e-7, atol=1e-7)


def test_shapes_that_do_not_fit_are_refused() -> None:
    boxes, scores = np.zeros((2, 4), np.float32), np.zeros(3, np.float32)
    with pytest.raises(ValueError, match=r"boxes must be \(n, 4\)"):
        geometry.suppress(boxes, scores, 0.5)
    misfits: list[Any] = [
        np.zeros((2, 5), np.float32),
        np.zeros(4, np.float32),
        np.zeros((2, 4)),
        np.zeros((2, 8), np.float32)[:, ::2],
    ]
    for wrong in misfits:
        with pytest.raises(ValueError, match=r"expected \(n, 4\) contiguous float32, not \("):
            geometry.iou(boxes, wrong)
    with pytest.raises(ValueError, match=r"expected \(n, 2\) contiguous float64, not \(3, 2\) fl"):
        geometry.similarity(np.zeros((3, 2), np.float32), np.zeros((3, 2)))
    five = np.zeros(5, np.float32)
    with pytest.raises(ValueError, match="5 cells do not make rows of 2"):
        geometry.decode_yunet(
            five, five, np.zeros((5, 4), np.float32), np.zeros((5, 10), np.float32), 2, 8, 0.5
        )
    with pytest.raises(ValueError, match="at least 2"):
        geometry.similarity(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="all source points are the same"):
        geometry.similarity(np.ones((5, 2)), np.zeros((5, 2)))
