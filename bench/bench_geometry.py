"""Kernels for boxes, quads and letters, beside the usual NumPy code.

One thread, the two ways in turn, medians of the rounds. The results are compared before the timing.

    python -m bench.bench_geometry [--rounds 200]
"""

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import statistics
import time
from collections.abc import Callable
from itertools import groupby
from typing import Any

import cv2
import numpy as np
from bench.support.machine import measured_with
from numpy.typing import NDArray

from onlooker.vision import ctc, geometry

Floats = NDArray[np.float32]
Pair = tuple[Callable[[], Any], Callable[[], Any]]

chance = np.random.default_rng(7)


def boxes(n: int) -> Floats:
    """Return n boxes in clusters of about ten, as a detector's output before suppression."""
    heaps = chance.uniform(0, 600, (max(1, n // 10), 2))[chance.integers(0, max(1, n // 10), n)]
    corner = heaps + chance.normal(0, 4, (n, 2))
    return np.hstack([corner, corner + chance.uniform(40, 60, (n, 2))]).astype(np.float32)


def numpy_iou(a: Floats, b: Floats) -> Floats:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(2)
    areas = [(x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b)]
    return np.asarray(both / (areas[0][:, None] + areas[1][None] - both))


def numpy_suppress(found: Floats, scores: Floats, overlap: float) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        kept.append(int(order[0]))
        order = order[1:][numpy_iou(found[order[:1]], found[order[1:]])[0] <= overlap]
    return kept


def numpy_decode(
    face: Floats, thing: Floats, around: Floats, points: Floats, columns: int, stride: int
) -> Floats:
    cells = np.arange(len(face))
    grid = np.stack([cells % columns, cells // columns], 1)
    scores = np.sqrt(np.clip(face, 0, 1) * np.clip(thing, 0, 1))
    centre = (grid + around[:, :2]) * stride
    half = np.exp(around[:, 2:]) * stride / 2
    spots = (np.tile(grid, 5) + points) * stride
    rows = np.hstack([centre - half, centre + half, scores[:, None], spots])
    return np.asarray(rows[scores >= 0.7], np.float32)


def umeyama(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b = source - source.mean(0), target - target.mean(0)
    u, sizes, vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    linear = (sizes * sign).sum() / a.var(0).sum() * (u * sign) @ vt
    return np.hstack([linear, (target.mean(0) - linear @ source.mean(0))[:, None]])


def groups(classes: NDArray[np.int64], scores: Floats) -> list[tuple[int, float, int, int]]:
    characters = []
    for value, run in groupby(range(len(classes)), key=lambda column: classes[column]):
        columns = list(run)
        if value:
            best = max(float(scores[column]) for column in columns)
            characters.append((int(value), best, columns[0], columns[-1]))
    return characters


def kernels() -> dict[str, Pair]:
    """Yield the pairs to measure: the usual code and the kernel, with equal results."""
    few, many = boxes(60), boxes(400)
    few_scores, many_scores = (chance.random(n, np.float32) for n in (60, 400))
    twenty, others = boxes(20), boxes(20)

    cells, columns = 80 * 80, 80
    face, thing = chance.random((2, cells), np.float32) ** 8  # few cells score
    around = chance.normal(0, 1, (cells, 4)).astype(np.float32)
    points = chance.normal(0, 1, (cells, 10)).astype(np.float32)

    source, target = chance.uniform(0, 500, (2, 5, 2))

    classes = np.repeat(chance.integers(0, 3, 20) * chance.integers(1, 600, 20), 2)
    scores = chance.random(40, np.float32)

    return {
        "suppression, 60 boxes": (
            lambda: numpy_suppress(few, few_scores, 0.3),
            lambda: geometry.suppress(few, few_scores, 0.3),
        ),
        "suppression, 400 boxes": (
            lambda: numpy_suppress(many, many_scores, 0.3),
            lambda: geometry.suppress(many, many_scores, 0.3),
        ),
        "IoU, 20 x 20": (lambda: numpy_iou(twenty, others), lambda: geometry.iou(twenty, others)),
        "YuNet decoding, 6400 cells": (
            lambda: numpy_decode(face, thing, around, points, columns, 8),
            lambda: geometry.decode_yunet(face, thing, around, points, columns, 8, 0.7),
        ),
        "similarity, 5 points": (
            lambda: umeyama(source, target),
            lambda: geometry.similarity(source, target),
        ),
        "CTC, 40 columns": (
            lambda: groups(classes, scores),
            lambda: ctc.collapse(classes, scores, scores),
        ),
    }


def timed(call: Callable[[], Any]) -> float:
    """Return the microseconds of one call, measured over many."""
    began = time.perf_counter()
    call()
    calls = max(1, min(200, int(1e-3 / max(time.perf_counter() - began, 1e-7))))
    began = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - began) / calls * 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=200)
    rounds = options.parse_args().rounds
    cv2.setNumThreads(1)

    print(measured_with("numpy", "opencv-python-headless"))
    print(f"medians of {rounds} rounds")
    print(f"\n{'':<28}{'usual, µs':>12}{'kernel, µs':>12}{'ratio':>8}{'spread':>16}")
    for name, (usual, ours) in kernels().items():
        np.testing.assert_allclose(
            np.asarray(usual(), float), np.asarray(ours(), float), rtol=1e-4, atol=1e-4
        )
        times = [(timed(usual), timed(ours)) for _ in range(rounds)]
        ratios = sorted(slow / fast for slow, fast in times)
        slow, fast = (statistics.median(each) for each in zip(*times, strict=True))
        low, high = ratios[rounds // 10], ratios[-1 - rounds // 10]
        print(f"{name:<28}{slow:12.1f}{fast:12.2f}{slow / fast:7.1f}x{low:8.1f} to {high:.1f}")


if __name__ == "__main__":
    main()
