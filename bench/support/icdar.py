"""Street scenes of ICDAR 2015 with their true words, and scores for found words."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
ILLEGIBLE = "###"


class Written(NamedTuple):
    """A word and its quad."""

    quad: Floats
    """(4, 2), clockwise."""
    text: str


def scenes(samples: Path) -> Iterator[tuple[Path, list[Written]]]:
    """Return the images under `samples`/text/icdar2015 with their true words."""
    for truth in sorted((samples / "text" / "icdar2015").rglob("gt_*.txt")):
        (path,) = truth.parent.parent.rglob(truth.stem.removeprefix("gt_") + ".jpg")
        words = []
        for line in truth.read_text("utf-8-sig").splitlines():
            *numbers, word = line.split(",", 8)
            words.append(Written(np.array(numbers, np.float32).reshape(4, 2), word))
        yield path, words


class Score:
    """Counts over images, at an overlap of one half.

    Words that people cannot read count neither for nor against, nor does what is found there.
    """

    def __init__(self) -> None:
        self.found = self.truth = self.placed = self.right = 0
        self.overlaps: list[float] = []

    def add(self, truth: Sequence[Written], words: Sequence[Written]) -> None:
        illegible = [each.quad for each in truth if each.text == ILLEGIBLE]
        free = [
            word
            for word in words
            if all(_shared(word.quad, other) <= _area(word.quad) / 2 for other in illegible)
        ]
        self.found += len(free)
        for quad, text in truth:
            if text == ILLEGIBLE:
                continue
            self.truth += 1
            overlaps = [iou(word.quad, quad) for word in free]
            best = int(np.argmax(overlaps)) if overlaps else -1
            if best < 0 or overlaps[best] <= 0.5:
                continue
            self.placed += 1
            self.overlaps.append(overlaps[best])
            self.right += bare(free.pop(best).text) == bare(text)

    @property
    def detection(self) -> float:
        """Return the harmonic mean of precision and recall of the words' places."""
        return 2 * self.placed / (self.found + self.truth)

    @property
    def end_to_end(self) -> float:
        """Return the same for words that are placed and read right, ignoring case."""
        return 2 * self.right / (self.found + self.truth)

    @property
    def overlap(self) -> float:
        """Return the mean intersection over union of the found words and their true quads."""
        return float(np.mean(self.overlaps))


def bare(word: str) -> str:
    return re.sub(r"^\W+|\W+$", "", word.casefold())


def iou(a: Floats, b: Floats) -> float:
    shared = _shared(a, b)
    return shared / (_area(a) + _area(b) - shared)


def _shared(a: Floats, b: Floats) -> float:
    return float(cv2.intersectConvexConvex(a, b)[0])


def _area(quad: Floats) -> float:
    return abs(float(cv2.contourArea(quad)))
