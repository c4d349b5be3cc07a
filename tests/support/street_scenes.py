"""Street scenes with exactly known words: signs that hang in photographs, as a camera takes them.

A sign is drawn flat, then seen at an angle, in the shade or in glare, out of focus or small, with
the grain of a sensor and the blocks of JPEG. Every scene is the same on every machine. Some words
are hard to read: the scenes are for comparing readers, not for a reader to have all right.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from bench.support.icdar import Written
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

WORDS = re.findall(
    r"\S+",
    "BAKERY Hotel EXIT Pharmacy OPEN Sale 50% TAXI Museum CAFE Bank PARKING Library Station "
    "Market 24h BOOKS Platform 12 Garden Theatre NO ENTRY Post Office Tickets Bridge School "
    "STOP Police Airport 1874 Fresh Fruit Keep Left Gate B7 Restaurant Harbour Road Summer "
    "Collection Push Pull Cash Only Welcome Level 3 Lift Stairs First Floor Information",
)
SIZE = 1280, 720
STROKES = 3, 5, 9
BORDER = 12
"""Pixels round a sign that its blur reaches."""
COLOURS = (
    ((250, 250, 250), (30, 30, 30)),
    ((160, 60, 20), (245, 245, 245)),
    ((40, 40, 190), (250, 250, 250)),
    ((60, 190, 240), (20, 20, 20)),
    ((70, 110, 60), (230, 240, 240)),
    ((150, 150, 150), (95, 95, 95)),
)
"""Paper and ink, blue first; the last is hard to read."""


@functools.cache
def backgrounds(pictures: Path) -> list[Pixels]:
    """Return photographs of 1280 x 720 in which nothing is written."""
    shipped = Path(skimage.data.__file__).parent
    paths = [shipped / name for name in ("coffee.png", "brick.png", "grass.png", "gravel.png")]
    paths += [pictures / "groups" / name for name in ("stairs.jpg", "window.jpg")]
    found = []
    for path in paths:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        assert pixels is not None, path
        found.append(np.asarray(cv2.resize(pixels, SIZE, interpolation=cv2.INTER_AREA), np.uint8))
    return found


def scene(pictures: Path, number: int) -> tuple[Pixels, list[Written]]:
    """Return a scene with six signs, (720, 1280, 3), and its words with their quads."""
    stored, words = photograph(pictures, number)
    decoded = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8), words


def photograph(pictures: Path, number: int) -> tuple[bytes, list[Written]]:
    """Return a scene as JPEG, and its words with their quads."""
    chance = np.random.default_rng(number)
    everywhere = backgrounds(pictures)
    seen = everywhere[number % len(everywhere)].copy()
    words: list[Written] = []
    for column, row in ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)):
        centre = np.array([215 + 425 * column, 180 + 360 * row]) + chance.uniform(-25, 25, 2)
        said = [str(word) for word in chance.choice(WORDS, int(chance.integers(1, 4)))]
        words += hang(seen, said, centre, chance)
    grain = chance.normal(0, chance.uniform(2, 9), seen.shape)
    noisy = np.clip(seen + grain, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(chance.integers(40, 90))]
    return cv2.imencode(".jpg", noisy, quality)[1].tobytes(), words


def hang(
    seen: Pixels, said: Sequence[str], centre: NDArray[np.float64], chance: np.random.Generator
) -> list[Written]:
    """Hang a sign into a scene, and return its words with the quads that they have there.

    One in four is painted on what is there: its letters have no paper.
    """
    paper, ink = COLOURS[int(chance.integers(len(COLOURS)))]
    pale = [a + (b - a) * chance.uniform(0.3, 1) for a, b in zip(paper, ink, strict=True)]
    letters, boxes = flat(said, int(chance.choice(STROKES)))
    height, width = letters.shape
    zoom = min(chance.uniform(50, 340) / width, 260 / height)
    flat_corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    corners = flat_corners.astype(np.float64) - (width / 2, height / 2)
    angle = np.radians(chance.normal(0, 12))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    near = chance.uniform(0.6, 1.0)  # the far side of a sign that is seen at an angle
    corners[[1, 2], 1] *= near
    corners[[1, 2], 0] *= 0.5 + near / 2
    placed = (corners * zoom) @ turn + centre
    matrix = cv2.getPerspectiveTransform(flat_corners, placed.astype(np.float32))
    left, top = np.maximum(np.floor(placed.min(0)).astype(int) - BORDER, 0)
    right, bottom = np.minimum(np.ceil(placed.max(0)).astype(int) + BORDER, SIZE)
    size = int(right - left), int(bottom - top)
    here = np.array([(1, 0, -left), (0, 1, -top), (0, 0, 1)], float) @ matrix
    inked = cv2.warpPerspective(letters, here, size, flags=cv2.INTER_AREA)
    whole = cv2.warpPerspective(np.full((height, width), 255, np.uint8), here, size)
    light = chance.uniform(0.4, 1.1)
    part = seen[top:bottom, left:right]
    shown = part.astype(np.float64)
    if chance.random() < 0.75:
        shown[whole > 127] = np.multiply(paper, light)
    share = inked[:, :, None] / 255
    shown = shown * (1 - share) + np.multiply(pale, light) * share
    blurred = cv2.filter2D(shown, -1, out_of_focus(chance))
    near_it = cv2.dilate(whole, np.ones((9, 9), np.uint8)) > 127
    part[near_it] = np.clip(blurred[near_it], 0, 255).astype(np.uint8)
    quads = cv2.perspectiveTransform(np.array(boxes, np.float32).reshape(-1, 1, 2), matrix)
    by_word = np.asarray(quads, np.float32).reshape(-1, 4, 2)
    return [Written(quad, word) for quad, word in zip(by_word, said, strict=True)]


def out_of_focus(chance: np.random.Generator) -> NDArray[np.float64]:
    """Return a kernel of a lens out of focus and a hand that moves, either of which may be none."""
    kernel = np.zeros((15, 15))
    length, angle = chance.uniform(0, 5), chance.uniform(0, np.pi)
    for step in np.linspace(-length / 2, length / 2, 21):
        kernel[round(7 + step * np.sin(angle)), round(7 + step * np.cos(angle))] += 1
    sharp = kernel / kernel.sum()
    return np.asarray(cv2.GaussianBlur(sharp, (0, 0), chance.uniform(0.3, 2.2)), np.float64)


def flat(said: Sequence[str], stroke: int) -> tuple[Pixels, list[list[tuple[int, int]]]]:
    """Return the ink of a sign of one word a line, four times too large, and the words' corners."""
    font, scale, margin = cv2.FONT_HERSHEY_SIMPLEX, 4.0, 50
    sizes = [cv2.getTextSize(word, font, scale, stroke) for word in said]
    step = max(size[1] + below for size, below in sizes) + 30
    width = max(size[0] for size, _ in sizes) + 2 * margin
    letters = np.zeros((step * len(said) + 2 * margin, width), np.uint8)
    boxes = []
    for line, (word, (size, below)) in enumerate(zip(said, sizes, strict=True)):
        left = (width - size[0]) // 2
        base = margin + step * line + step - 30 - below // 2
        cv2.putText(letters, word, (left, base), font, scale, 255, stroke, cv2.LINE_AA)
        top, bottom = base - size[1] - 4, base + 4
        right = left + size[0]
        boxes.append([(left, top), (right, top), (right, bottom), (left, bottom)])
    return letters, boxes
