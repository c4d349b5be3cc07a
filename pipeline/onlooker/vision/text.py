"""Text in a picture: where it is, and what it says.

The finder is a DBNet: its probability map is cut into regions, and each becomes a rectangle. The
reader takes each rectangle upright from the full picture and reads it column by column; the
columns also say where each word begins and ends.
"""

import functools
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker import config
from onlooker.media.image import Picture, Pixels
from onlooker.types import Quad, TextLine, TextQuad, Word
from onlooker.vision import ctc, geometry, pixels, runtime
from onlooker.vision.crops import crop

# The finder's map is cut at PROBABLE; regions whose mean is below CERTAIN are dropped.
PROBABLE = 0.3
CERTAIN = 0.6
# DBNet is trained on shrunken regions. Growing them back by its training ratio of 1.5 to 2 leaves
# much air around a word; GROWTH fits the words of ICDAR 2015 best.
GROWTH = 1.0
# The reader likes more air: it gets this part of the height more on each side.
AIR = 0.075
# Regions with a side below this, in pixels of the finder's picture, are specks.
SPECK = 3.0
MOST_QUADS = 1000

HEIGHT = 48
# Longer lines (in crop pixels) are squeezed: a hair-thin region would otherwise cost seconds.
LONGEST = 50 * HEIGHT
# Enlarging blurs. Crops that are enlarged at least SMALL times are sharpened by SHARPEN times what
# a blur of one pixel of the picture takes away: "rn" five pixels high is then no "m".
SMALL = 2.5
SHARPEN = 1.75
# Crops whose readings are kept; each takes some 50 kB.
REMEMBERED = 128
# A region this much taller than wide is written sideways, or is one slim letter.
TALL = 1.5
SLIM = 3.0


class TextFinder:
    """Finds the text of a picture."""

    def __init__(self, settings: config.Text, provider: str) -> None:
        self._size = settings.size
        self._model = runtime.load(settings.detector, provider)

    def __call__(self, picture: Picture) -> tuple[TextQuad, ...]:
        """Rectangles around words and lines, in pixels of the full picture, best first."""
        card = self._model.card
        small = picture.small(self._size, card.multiple)
        height, width = small.shape[:2]
        rows, columns = (-(-side // card.multiple) * card.multiple for side in (height, width))
        padded = np.empty((1, 3, rows, columns), np.float32)
        pixels.to_planes(small, padded[0], card.mean, card.scale)
        (probable,) = self._model(padded)
        scale = np.array([picture.width / width, picture.height / height], np.float32)
        return tuple(
            TextQuad(quad=_quad(corners * scale), score=score)
            for corners, score in regions(probable[0, 0, :height, :width])
        )


def regions(probable: NDArray[np.float32]) -> list[tuple[NDArray[np.float32], float]]:
    """Grown rectangles (4, 2) of the likely regions of a probability map (h, w), best first.

    Each comes with the map's mean inside it before growing.
    """
    probable = np.ascontiguousarray(probable)
    core = (probable > PROBABLE).astype(np.uint8)
    # OpenCV puts a contour through pixel centres, numbered 0, 1, 2. One pixel more to the right
    # and below makes these the edges of the region that was there before.
    core = np.asarray(cv2.dilate(core, np.ones((2, 2), np.uint8)), np.uint8)
    contours, _ = cv2.findContours(core, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        rectangle = cv2.minAreaRect(contour)
        if min(rectangle[1]) < SPECK:
            continue
        corners = _clockwise(np.asarray(cv2.boxPoints(rectangle), np.float32))
        score = geometry.quad_mean(probable, corners)
        if score >= CERTAIN:
            found.append((geometry.grow(corners, GROWTH), score))
    found.sort(key=lambda region: -region[1])
    return found[:MOST_QUADS]


def _clockwise(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners of a rectangle, clockwise, the first side being the one that runs most rightwards."""
    # boxPoints goes clockwise already; which corner it begins with depends on the angle.
    sides = np.roll(corners, -1, axis=0) - corners
    return np.ascontiguousarray(np.roll(corners, -int(np.argmax(sides[:, 0])), axis=0))


class TextReader:
    """Reads the text that a finder found."""

    def __init__(self, settings: config.Text, provider: str) -> None:
        self._least = settings.score
        self._model = runtime.load(settings.reader, provider)
        self._alphabet = ["", *self._model.metadata["character"].split("\n")]
        # A film shows the same caption again and again, and an encoder copies what does not move:
        # of the crops of a broadcast, half and more have been read before, to the last bit.
        self._characters = functools.lru_cache(REMEMBERED)(self._read)

    def __call__(self, picture: Picture, quads: Sequence[TextQuad]) -> tuple[TextLine, ...]:
        """The lines that score enough, in reading order: downwards, then to the right."""
        lines = []
        for found in quads:
            # Of several ways to look at a region, the best-read one is the right one.
            readings = [self._line(picture, quad) for quad in _views(found.quad)]
            best = max(readings, key=lambda line: line.score)
            if best.words and best.score >= self._least:
                lines.append(best)
        return _in_reading_order(lines)

    def _line(self, picture: Picture, quad: Quad) -> TextLine:
        """What is written in `quad`, cut at its spaces."""
        characters = self._characters(_rectified(picture, quad).tobytes())
        words = _words(quad, characters)
        letters = [character.score for character in characters if character.text != " "]
        return TextLine(
            text=" ".join(word.text for word in words),
            score=sum(letters) / len(letters) if letters else 0.0,
            quad=quad,
            words=words,
        )

    def _read(self, crop: bytes) -> "tuple[Character, ...]":
        """The characters of a crop, which is (HEIGHT, w, 3) BGR."""
        upright = np.frombuffer(crop, np.uint8).reshape(HEIGHT, -1, 3)
        # One crop a call: crops of one width read together take as long as one after another.
        card = self._model.card
        width = upright.shape[1]
        padded_width = -(-width // card.multiple) * card.multiple
        padded = np.empty((1, 3, HEIGHT, padded_width), np.float32)
        pixels.to_planes(upright, padded[0], card.mean, card.scale)
        classes, scores = self._model(padded)
        column = padded_width / classes.shape[1] / width
        return tuple(
            Character(self._alphabet[index], score, (first + last + 1) / 2 * column)
            for index, score, first, last in ctc.collapse(classes[0], scores[0])
        )


class Character(NamedTuple):
    """One character of a line that was read."""

    text: str
    score: float
    """0 to 1."""
    centre: float
    """Its place along the crop: 0 at its left edge, 1 at its right."""


def _views(quad: Quad) -> list[Quad]:
    """The ways to look at a region: its corners, clockwise from the top-left of what may be text.

    A wide region has one. A tall one may be text that runs upwards or downwards, or one letter.
    """
    width, height = math.dist(quad[0], quad[1]), math.dist(quad[0], quad[3])
    if height < TALL * width:
        return [quad]
    downwards = (quad[1], quad[2], quad[3], quad[0])
    upwards = (quad[3], quad[0], quad[1], quad[2])
    return [quad, downwards, upwards] if height < SLIM * width else [downwards, upwards]


def _rectified(picture: Picture, quad: Quad) -> Pixels:
    """The region and some air around it, upright, HEIGHT pixels high."""
    corners = _aired(quad)
    size = math.dist(corners[0], corners[1]), math.dist(corners[0], corners[3])
    width = min(LONGEST, max(1, round(HEIGHT * size[0] / size[1])))
    target = np.array([[0, 0], [width, 0], [0, HEIGHT]], np.float32)
    matrix = cv2.getAffineTransform(corners[[0, 1, 3]].astype(np.float32), target)
    upright = crop(
        picture,
        np.asarray(matrix, np.float64),
        width,
        HEIGHT,
        interpolation=cv2.INTER_CUBIC,
        border=cv2.BORDER_REPLICATE,
    )
    enlarged = HEIGHT / size[1]
    if enlarged < SMALL:
        return upright
    blurred = cv2.GaussianBlur(upright, (0, 0), enlarged)
    return np.asarray(cv2.addWeighted(upright, 1 + SHARPEN, blurred, -SHARPEN, 0), np.uint8)


def _aired(quad: Quad) -> NDArray[np.float64]:
    """`quad` (4, 2) with AIR of its height more on each side."""
    corners = np.array(quad, np.float64)
    right, down = corners[1] - corners[0], corners[3] - corners[0]
    right *= AIR * math.hypot(*down) / math.hypot(*right)
    down *= AIR
    corners += np.array([-right - down, right - down, right + down, down - right])
    return corners


def _words(quad: Quad, characters: Sequence[Character]) -> tuple[Word, ...]:
    """The words of a line, each with its part of the line's quad."""
    runs: list[list[Character]] = [[]]
    for character in characters:
        if character.text == " ":
            runs.append([])
        else:
            runs[-1].append(character)
    runs = [run for run in runs if run]
    if not runs:
        return ()

    # A character's centre is known, its width is not: half the usual step from one centre to the
    # next is added on both sides of a word. The line's own ends are known from the finder.
    steps = [b.centre - a.centre for run in runs for a, b in pairwise(run)]
    half = sum(steps) / len(steps) / 2 if steps else 0.0
    edges = [(run[0].centre - half, run[-1].centre + half) for run in runs]
    height = math.dist(quad[0], quad[3])
    air = AIR * height / (math.dist(quad[0], quad[1]) + 2 * AIR * height)

    words = []
    for number, (run, (left, right)) in enumerate(zip(runs, edges, strict=True)):
        # Places along the crop become places along the quad, which is without the air.
        start = 0.0 if number == 0 else (left - air) / (1 - 2 * air)
        end = 1.0 if number == len(runs) - 1 else (right - air) / (1 - 2 * air)
        score = sum(character.score for character in run) / len(run)
        text = "".join(character.text for character in run)
        words.append(Word(text=text, score=score, quad=_between(quad, start, end)))
    return tuple(words)


def _between(quad: Quad, start: float, end: float) -> Quad:
    """The part of `quad` from `start` to `end` along its upper side, both held in 0 to 1."""
    corners = np.array(quad, np.float64)
    start, end = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    upper, lower = corners[1] - corners[0], corners[2] - corners[3]
    return _quad(
        np.array(
            [
                corners[0] + start * upper,
                corners[0] + end * upper,
                corners[3] + end * lower,
                corners[3] + start * lower,
            ]
        )
    )


def _in_reading_order(lines: Sequence[TextLine]) -> tuple[TextLine, ...]:
    """Rows downwards, and each row to the right, as the lines themselves lie.

    Lines are of one row while their middle lies above the foot of the row's first line.
    """
    # A sheet that is a little turned has its long lines' middles far from where they begin, so
    # down and right are those of all lines together.
    sides = [complex(*line.quad[1]) - complex(*line.quad[0]) for line in lines]
    along = sum(sides)
    turn = along.conjugate() / abs(along) if along else 1.0

    def middle(line: TextLine) -> complex:
        return sum(complex(*corner) for corner in line.quad) / 4 * turn

    rows: list[list[TextLine]] = []
    foot = -math.inf
    for line in sorted(lines, key=lambda line: middle(line).imag):
        if middle(line).imag >= foot:
            rows.append([])
            foot = middle(line).imag + math.dist(line.quad[0], line.quad[3]) / 2
        rows[-1].append(line)
    return tuple(line for row in rows for line in sorted(row, key=lambda line: middle(line).real))


def _quad(corners: NDArray[np.floating]) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return a, b, c, d
