"""Instructions of the kernels and of the usual Python, counted without a clock.

Valgrind's callgrind counts them. Each way runs in a process of its own, once with few calls and
once with more; the difference per call is the cost of the kernel, since Python's start is in both.
Needs valgrind (Debian: apt install valgrind) and some minutes.

    python -m bench.bench_instructions
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bench.bench_geometry import boxes, numpy_decode, numpy_iou, numpy_suppress, umeyama
from bench.support.machine import measured_with
from numpy.typing import NDArray
from rapidocr.ch_ppocr_det.utils import DBPostProcess

from onlooker.vision import geometry, regions

FEW, MORE = 20, 220
GOALS = {
    "nms 60": 20,
    "decode 8400": 20,
    "iou 20 x 20": 20,
    "similarity 5": 60,
    "text regions 42": 5,
}


def ways() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Return the usual code and the kernel, on the same input."""
    rng = np.random.default_rng(3)
    found, scores = boxes(60), rng.uniform(0, 1, 60).astype(np.float32)
    a, b = boxes(20), boxes(20)
    source, target = rng.uniform(0, 100, (5, 2)), rng.uniform(0, 100, (5, 2))
    # 640 x 640 pixels have 8,400 cells at the three strides; nearly all are empty.
    maps = []
    for stride in (8, 16, 32):
        cells = (640 // stride) ** 2
        score = rng.beta(0.1, 8, cells).astype(np.float32)
        around = rng.normal(0, 0.3, (cells, 4)).astype(np.float32)
        points = rng.normal(0, 1, (cells, 10)).astype(np.float32)
        maps.append((score, score, around, points, 640 // stride, stride))
    text = text_map(rng)
    # The usual code for the regions of a text detector's map is PaddleOCR's Python.
    post = DBPostProcess(thresh=0.3, box_thresh=0.5, unclip_ratio=1.6, use_dilation=True)
    assert len(post(text[None, None], text.shape)[0]) == 42
    assert len(regions.rectangles(text, 0.3, 0.5, 1.6, 3, 1000)[0]) == 42
    return {
        "nms 60": (
            lambda: numpy_suppress(found, scores, 0.3),
            lambda: geometry.suppress(found, scores, 0.3),
        ),
        "decode 8400": (
            lambda: [numpy_decode(*each) for each in maps],
            lambda: [geometry.decode_yunet(*each, 0.7) for each in maps],
        ),
        "iou 20 x 20": (lambda: numpy_iou(a, b), lambda: geometry.iou(a, b)),
        "similarity 5": (
            lambda: umeyama(source, target),
            lambda: geometry.similarity(source, target),
        ),
        "text regions 42": (
            lambda: post(text[None, None], text.shape),
            lambda: regions.rectangles(text, 0.3, 0.5, 1.6, 3, 1000),
        ),
    }


def text_map(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a text detector's map of 960 x 544 pixels, with 42 slightly rotated words."""
    drawn = np.zeros((544, 960), np.uint8)
    for row, column in np.ndindex(7, 6):
        centre = (90 + 156 * column, 50 + 74 * row)
        size = (float(rng.uniform(40, 120)), float(rng.uniform(8, 20)))
        corners = cv2.boxPoints((centre, size, float(rng.normal(0, 4))))
        cv2.fillConvexPoly(drawn, np.round(corners).astype(np.int32), 230)
    return np.asarray(cv2.GaussianBlur(drawn / np.float32(255), (0, 0), 1.0), np.float32)


def instructions(name: str, way: int, calls: int) -> int:
    """Return the instructions of a process that makes this many calls."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={Path(folder) / 'out'}"]
        this = [sys.executable, "-m", "bench.bench_instructions", name, str(way), str(calls)]
        done = subprocess.run([*command, *this], capture_output=True, text=True, check=True)
    [count] = re.findall(r"Collected : (\d+)", done.stderr)
    return int(count)


def main() -> None:
    if len(sys.argv) == 4:
        name, way, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
        run = ways()[name][way]
        for _ in range(calls):
            run()
        return
    if shutil.which("valgrind") is None:
        print("valgrind is not installed; Debian: apt install valgrind")
        return
    print(measured_with("numpy", "opencv-python-headless"))
    print(f"{'instructions per call':<22}{'usual':>12}{'kernel':>12}{'ratio':>8}{'goal':>6}")
    for name, goal in GOALS.items():
        usual, kernel = (
            (instructions(name, way, MORE) - instructions(name, way, FEW)) / (MORE - FEW)
            for way in (0, 1)
        )
        print(f"{name:<22}{usual:>12.0f}{kernel:>12.0f}{usual / kernel:>8.1f}{goal:>6}", flush=True)


if __name__ == "__main__":
    main()
