"""Words that were read in a video beside those that are there: right, missed, wrong, and why."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from bench.support.icdar import ILLEGIBLE, Floats, Written, bare

from onlooker.track.voting import similarity

MIN_SHARED = 0.4
"""Share of the smaller of two words inside the other from which they are at the same place."""
MIN_COVERED = 0.3
"""Share of a word nobody can read from which a line over it excuses one wrong word."""
MIN_NEAR = 0.5
"""Similarity from which a wrong word is a near miss."""


class Judged(NamedTuple):
    """The words of one scene."""

    right: int
    missed: list[Written]
    wrong: list[Written]
    """What was read, and where."""


class Score:
    """Words right, missed and wrong over scenes, by one of the two ways of counting."""

    def __init__(self, as_icdar: bool = False) -> None:
        self._as_icdar = as_icdar
        self.right = self.truth = self.wrong = 0

    def add(self, words: Sequence[Written], lines: Sequence[Written]) -> Judged:
        """Compare a scene's words with the lines that were read there, in any order."""
        if self._as_icdar:
            words = [
                each if _counts(each.text) else each._replace(text=ILLEGIBLE) for each in words
            ]
        found = _judged(words, lines, excuse=not self._as_icdar)
        self.right += found.right
        self.truth += found.right + len(found.missed)
        self.wrong += len(found.wrong)
        return found

    def __str__(self) -> str:
        recall = self.right / max(self.truth, 1)
        precision = self.right / max(self.right + self.wrong, 1)
        return f"words read {recall:.3f}, precision {precision:.3f} ({self.truth} words)"


def cause(
    word: Written,
    frames: Sequence[Sequence[Written]],
    readings: Sequence[Written],
    found: Sequence[Floats],
) -> str:
    """Return why a word was missed.

    frames: the lines of each frame. found: regions in which text was detected, whether it could be
    read or not.
    """
    there = [line for lines in frames for line in lines if _covers(line.quad, word.quad)]
    if not there:
        seen = any(_covers(quad, word.quad) for quad in found)
        return "found, but read in no frame" if seen else "not found"
    wanted = bare(word.text)
    if all(wanted != bare(each.text) for line in there for each in words_of(line)):
        return "read wrong in every frame"
    if any(_covers(line.quad, word.quad) for line in readings):
        return "read right in a frame, voted otherwise"
    return "read right in a frame, no reading of the video"


def kind(wrong: Written, words: Sequence[Written]) -> str:
    """Return what a wrong word has to do with the words at its place."""
    near = [
        bare(each.text)
        for each in words
        if each.text != ILLEGIBLE
        and _shared(each.quad, wrong.quad)
        > MIN_SHARED * max(1.0, min(_area(each.quad), _area(wrong.quad)))
    ]
    text = bare(wrong.text)
    if not near:
        return "nothing to read there"
    if text in near:
        return "second reading of a word"
    if sum(each in text for each in near) > 1:
        return "words joined"
    if any(text in each for each in near):
        return "part of a word"
    if max(similarity(text, each) for each in near) >= MIN_NEAR:
        return "near miss"
    return "another word"


def words_of(line: Written) -> Iterator[Written]:
    """Yield the words of a line, each with its share of the line's quad."""
    a, b, c, d = line.quad
    at = 0
    for word in line.text.split(" "):
        start, end = at / len(line.text), (at + len(word)) / len(line.text)
        at += len(word) + 1
        top, foot = b - a, c - d
        corners = [a + start * top, a + end * top, d + end * foot, d + start * foot]
        yield Written(np.array(corners, np.float32), word)


def _judged(words: Sequence[Written], lines: Sequence[Written], excuse: bool) -> Judged:
    missed = [word for word in words if word.text != ILLEGIBLE]
    illegible = [word.quad for word in words if word.text == ILLEGIBLE]
    legible, wrong = len(missed), []
    for line in lines:
        over = sum(_shared(line.quad, one) > MIN_COVERED * _area(one) for one in illegible)
        excused = over if excuse else 0
        for word in words_of(line):
            same = [
                (_shared(each.quad, line.quad), number)
                for number, each in enumerate(missed)
                if bare(each.text) == bare(word.text)
            ]
            if same:
                del missed[max(same)[1]]
            elif not bare(word.text):
                continue
            elif excused > 0 or _within(word.quad, illegible):
                excused -= 1
            else:
                wrong.append(word)
    return Judged(legible - len(missed), missed, wrong)


def counted(counts: Counter[str]) -> str:
    """Return one line for each cause, the most frequent first."""
    return "\n".join(f"{number:>5}  {name}" for name, number in counts.most_common())


def _counts(word: str) -> bool:
    return len(bare(word)) >= 3 and bare(word).isalnum()


def _within(quad: Floats, others: Sequence[Floats]) -> bool:
    return sum(_shared(quad, other) for other in others) > _area(quad) / 2


def _covers(quad: Floats, word: Floats) -> bool:
    return _shared(quad, word) > _area(word) / 2


def _shared(one: Floats, other: Floats) -> float:
    return float(cv2.intersectConvexConvex(one, other)[0])


def _area(quad: Floats) -> float:
    return abs(float(cv2.contourArea(quad)))
