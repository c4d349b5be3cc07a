"""Regions of probability maps, against a naive oracle and against RapidOCR's post-processing."""

import math
import statistics
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rapidocr.ch_ppocr_det.utils import DBPostProcess

from onlooker.vision import regions

Floats = NDArray[np.float32]
LEAST, GROWTH, SMALLEST, MOST = 0.3, 1.6, 3.0, 1000


def random_map(rng: np.random.Generator) -> Floats:
    """Bars of all sizes and angles, some of which touch or leave the map, blurred and noisy."""
    height, width = rng.integers(64, 400), rng.integers(64, 600)
    drawn = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(1, 15)):
        centre = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        size = float(rng.uniform(8, 150)), float(rng.uniform(4, 30))
        degrees = float(rng.uniform(-90, 90) if rng.random() < 0.5 else rng.normal(0, 3))
        corners = np.asarray(cv2.boxPoints((centre, size, degrees)))
        bar = np.zeros((height, width), np.uint8)
        fixed = np.round(corners * 16).astype(np.int32)
        cv2.fillConvexPoly(bar, fixed, 255, cv2.LINE_AA, 4)
        drawn = np.maximum(drawn, bar / np.float32(255) * rng.uniform(0.4, 1))
    blurred = cv2.GaussianBlur(drawn, (0, 0), 1.0)
    noisy = np.clip(blurred + rng.normal(0, 0.02, blurred.shape), 0, 1)
    return np.asarray(noisy, np.float32)


def apart(quad: Floats, others: Floats) -> float:
    """How far the corners of the nearest of `others` are from those of `quad`, at most."""
    return min(
        (
            float(np.abs(np.roll(other, turn, 0) - quad).max())
            for other in others
            for turn in range(4)
        ),
        default=math.inf,
    )


class WholeRapidOCR(DBPostProcess):
    """RapidOCR's post-processing, but its outlines are offset in thousandths of a pixel.

    The library that offsets them drops what is behind the point, which by itself moves corners by
    up to two pixels and a half.
    """

    def unclip(self, box: Floats) -> Floats:
        return np.asarray(super().unclip(box * 1000) / 1000, np.float32)


def closed(probable: Floats) -> Floats:
    """The map without holes, which RapidOCR takes for regions, and with room at its edges.

    It widens each region by a pixel to the right and below, where the map has one.
    """
    probable = np.pad(probable, ((0, 2), (0, 2)))
    likely = (probable > LEAST).astype(np.uint8)
    outlines, _ = cv2.findContours(
        np.asarray(cv2.dilate(likely, np.ones((2, 2), np.uint8))), cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_NONE,
    )  # fmt: skip
    filled = np.zeros_like(likely)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    inside = cv2.erode(filled, np.ones((2, 2), np.uint8), anchor=(0, 0)) > 0
    return np.where(inside, np.maximum(probable, 0.5), probable)


def test_boxes_are_rapidocrs_within_a_pixel() -> None:
    """200 maps. RapidOCR rounds to whole pixels: half a pixel is its own doing."""
    post = WholeRapidOCR(thresh=LEAST, box_thresh=0.0, unclip_ratio=GROWTH, use_dilation=True)
    rng = np.random.default_rng(0)
    count, distances = 0, []
    for _ in range(200):
        probable = closed(random_map(rng))
        height, width = probable.shape
        quads, _ = regions.rectangles(probable, LEAST, 0.0, GROWTH, SMALLEST, MOST)
        mask = (probable > LEAST).astype(np.uint8)
        mask = np.asarray(cv2.dilate(mask, np.ones((2, 2), np.uint8)), np.uint8)
        boxes, _ = post.boxes_from_bitmap(probable, mask, width, height)
        assert len(boxes) == len(quads)
        clipped = np.clip(quads, 0, (width, height)).astype(np.float32)
        distances += [apart(np.asarray(box, np.float32), clipped) for box in boxes]
        count += len(boxes)
    assert count > 500
    assert max(distances) <= 1


def naive(
    probable: Floats, least: float, growth: float, smallest: float
) -> list[tuple[Floats, tuple[float, float]]]:
    """The same by painting and trying: dilate, label, hull, every side of it, masked mean.

    The mean is between two: whether a pixel whose middle lies on an edge counts is left open.
    """
    height, width = probable.shape
    # One pixel of room to the right and below, for what is dilated.
    room = np.zeros((height + 1, width + 1), np.uint8)
    room[:height, :width] = probable > least
    count, labels = cv2.connectedComponents(cv2.dilate(room, np.ones((2, 2), np.uint8)))
    found = []
    for label in range(1, count):
        y, x = np.nonzero(labels == label)
        points = np.stack([x, y], 1)
        hull = cv2.convexHull(points.astype(np.int32)).reshape(-1, 2).astype(float)
        best: tuple[float, NDArray[np.float64]] | None = None
        for one, other in zip(hull, np.roll(hull, -1, 0), strict=True):
            right = (other - one) / math.hypot(*(other - one))
            down = np.array([-right[1], right[0]])
            a, b = hull @ right, hull @ down
            area = np.ptp(a) * np.ptp(b)
            if best is None or area < best[0] - 1e-9:
                sides = [(a.min(), b.min()), (a.max(), b.min()), (a.max(), b.max()),
                         (a.min(), b.max())]  # fmt: skip
                best = area, np.array([u * right + v * down for u, v in sides])
        assert best is not None
        corners = best[1]
        wide, high = (math.dist(corners[0], corners[place]) for place in (1, 3))
        if min(wide, high) < smallest:
            continue
        outline = corners.astype(np.float32).reshape(-1, 1, 2)
        depths = {
            (row, column): cv2.pointPolygonTest(outline, (column + 0.5, row + 0.5), True)
            for row in range(height)
            for column in range(width)
        }
        inside = [float(probable[centre]) for centre, depth in depths.items() if depth > 1e-4]
        edge = sorted(float(probable[c]) for c, depth in depths.items() if abs(depth) <= 1e-4)
        score = lowest(inside, edge), -lowest([-p for p in inside], [-p for p in edge[::-1]])
        distance = wide * high * growth / (2 * (wide + high))
        middle = corners.mean(0)
        right, down = (corners[place] - corners[0] for place in (1, 3))
        right, down = right * (1 + 2 * distance / wide), down * (1 + 2 * distance / high)
        grown = [
            middle + (i * right + j * down) / 2 for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        found.append((np.array(grown, np.float32), score))
    return found


def lowest(inside: list[float], edge: list[float]) -> float:
    """The lowest mean of what is inside and any part of the edge, which is in ascending order."""
    means = [
        statistics.fmean(inside + edge[:some]) for some in range(len(edge) + 1) if inside or some
    ]
    return min(means, default=0.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.3, 0.7), st.floats(0.5, 2), st.floats(1, 6))
def test_regions_are_those_of_the_oracle(
    seed: int, certain: float, growth: float, smallest: float
) -> None:
    probable = random_map(np.random.default_rng(seed))[:80, :120]
    probable = np.ascontiguousarray(probable)
    quads, scores = regions.rectangles(probable, LEAST, certain, growth, smallest, MOST)
    assert (np.diff(scores) <= 0).all()
    found = naive(probable, LEAST, growth, smallest - 0.01)
    for quad, score in zip(quads, scores, strict=True):
        near = [other for other, (low, high) in found if low - 0.001 < score < high + 0.001]
        same_area = [other for other in near if area(other) == pytest.approx(area(quad), rel=1e-3)]
        assert same_area
    surely = naive(probable, LEAST, growth, smallest + 0.01)
    assert sum(low > certain + 0.001 for _, (low, _) in surely) <= len(quads)
    assert len(quads) <= sum(high > certain - 0.001 for _, (_, high) in found)


def area(quad: Floats) -> float:
    return abs(float(cv2.contourArea(quad)))


@given(
    st.floats(30, 120), st.floats(6, 20), st.floats(-44, 44), st.floats(70, 90), st.floats(70, 90)
)
def test_a_bar_becomes_its_rectangle_grown(
    width: float, height: float, degrees: float, x: float, y: float
) -> None:
    corners = np.asarray(cv2.boxPoints(((x, y), (width, height), degrees)), np.float32)
    # Drawn eight times as fine and averaged, so that edges lie where they should.
    large = np.zeros((160 * 8, 160 * 8), np.uint8)
    cv2.fillConvexPoly(large, np.round(corners * 8).astype(np.int32), 255)
    drawn = cv2.resize(large, (160, 160), interpolation=cv2.INTER_AREA)
    probable = (np.asarray(drawn) / 255).astype(np.float32)
    (found,), (score,) = regions.rectangles(probable, LEAST, 0.6, 1.0, SMALLEST, MOST)
    assert score > 0.7
    distance = width * height / (2 * (width + height))
    side, down = found[1] - found[0], found[3] - found[0]
    np.testing.assert_allclose(found.mean(0), (x, y), atol=0.8)
    assert math.hypot(*side) == pytest.approx(width + 2 * distance, abs=4)
    assert math.hypot(*down) == pytest.approx(height + 2 * distance, abs=4)
    assert abs(side[1]) <= side[0] + 1e-3  # the first side runs to the right, not down
    assert side[0] * down[1] - side[1] * down[0] > 0  # and the corners go clockwise


def test_by_hand() -> None:
    probable = np.zeros((20, 30), np.float32)
    probable[5:9, 10:20] = 0.8
    quads, scores = regions.rectangles(probable, 0.3, 0.5, 0.0, 3, 10)
    np.testing.assert_array_equal(quads, [[(10, 5), (20, 5), (20, 9), (10, 9)]])
    assert scores == pytest.approx([0.8])
    quads, _ = regions.rectangles(probable, 0.3, 0.5, 1.0, 3, 10)
    out = 4 * 10 / 28
    np.testing.assert_allclose(quads[0][[0, 2]], [(10 - out, 5 - out), (20 + out, 9 + out)])
    # One empty pixel does not part a region, two do.
    probable[:, 14] = 0
    assert len(regions.rectangles(probable, 0.3, 0.5, 0.0, 3, 10)[0]) == 1
    probable[:, 15] = 0
    assert len(regions.rectangles(probable, 0.3, 0.5, 0.0, 3, 10)[0]) == 2
    assert len(regions.rectangles(probable, 0.3, 0.5, 0.0, 3, 1)[0]) == 1
    assert len(regions.rectangles(probable, 0.3, 0.81, 0.0, 3, 10)[0]) == 0
    assert len(regions.rectangles(probable, 0.3, 0.5, 0.0, 4.1, 10)[0]) == 0


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (1, 3000), (3000, 1)])
def test_maps_of_any_shape(shape: tuple[int, int]) -> None:
    for value in (0.0, 1.0):
        probable = np.full(shape, value, np.float32)
        quads, scores = regions.rectangles(probable, 0.3, 0.5, 1.0, 1.0, 10)
        assert quads.shape == (len(scores), 4, 2)
        assert len(scores) == (value > 0 and probable.size > 0)
    noise = np.random.default_rng(1).random(shape, np.float32)
    quads, _ = regions.rectangles(noise, 0.5, 0.0, 1.0, 0.0, 100_000)
    assert np.isfinite(quads).all()


def test_what_does_not_fit_is_refused() -> None:
    misfits: list[Any] = [
        np.zeros(5, np.float32),
        np.zeros((5, 5)),
        np.zeros((5, 9), np.float32)[:, ::2],
    ]
    for wrong in misfits:
        with pytest.raises(ValueError, match=r"[Bb]uffer|contiguous"):
            regions.rectangles(wrong, 0.3, 0.5, 1.0, 3, 10)
    nan = np.full((40, 40), np.nan, np.float32)
    assert len(regions.rectangles(nan, 0.3, 0.5, 1.0, 3, 10)[0]) == 0
