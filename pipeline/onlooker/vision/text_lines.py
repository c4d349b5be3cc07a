"""From characters along a crop to words and lines: where each begins and ends, and their order.

A line is words that follow one another at even distances, as Amazon has it: it ends at a gap that
is large beside its words, and words that were found apart are one line where the gap is not.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.types import Point, Quad, TextLine, Word

# A line ends at a gap that is wider than this many heights of the line and also wider than the
# words beside it are on average.
WIDE_GAP = 1.5
# Words that were found apart follow one another on one line where the gap between them is at most
# so many heights, their heights differ by no more than this, and so do their directions ...
SPACE = 0.6
ALIKE = 1.6
ASKEW = math.radians(8)
# ... and the middle of one is no further from the other's middle line than this part of a height.
OFFSET = 0.3


class Character(NamedTuple):
    """One character of a line that was read."""

    text: str
    score: float
    """0 to 1."""
    centre: float
    """Its place along the crop: 0 at its left edge, 1 at its right."""


def lines(quad: Quad, characters: Sequence[Character], air: float) -> list[TextLine]:
    """What is written in `quad`: mostly one line, more where there are wide gaps, or none.

    The crop that was read had `air` heights of the quad more on each side of it.
    """
    cut: list[list[Word]] = []
    for word in words(quad, characters, air):
        if not cut or _wide(cut[-1][-1], word, quad):
            cut.append([])
        cut[-1].append(word)
    if len(cut) == 1:
        return [_line(quad, cut[0])]
    return [_line(_span(each[0].quad, each[-1].quad), each) for each in cut]


def _wide(one: Word, other: Word, quad: Quad) -> bool:
    """Whether the gap between two words of `quad` ends a line."""
    gap = math.dist(one.quad[1], other.quad[0])
    wide = (math.dist(*one.quad[:2]) + math.dist(*other.quad[:2])) / 2
    return gap > max(wide, WIDE_GAP * math.dist(quad[0], quad[3]))


def _line(quad: Quad, words: Sequence[Word]) -> TextLine:
    letters = sum(len(word.text) for word in words)
    return TextLine(
        text=" ".join(word.text for word in words),
        score=sum(word.score * len(word.text) for word in words) / letters,
        quad=quad,
        words=tuple(words),
    )


def words(quad: Quad, characters: Sequence[Character], air: float) -> tuple[Word, ...]:
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
    edge = air * height / (math.dist(quad[0], quad[1]) + 2 * air * height)

    found = []
    for number, (run, (left, right)) in enumerate(zip(runs, edges, strict=True)):
        # Places along the crop become places along the quad, which is without the air.
        start = 0.0 if number == 0 else (left - edge) / (1 - 2 * edge)
        end = 1.0 if number == len(runs) - 1 else (right - edge) / (1 - 2 * edge)
        score = sum(character.score for character in run) / len(run)
        text = "".join(character.text for character in run)
        found.append(Word(text=text, score=score, quad=_between(quad, start, end)))
    return tuple(found)


def _between(quad: Quad, start: float, end: float) -> Quad:
    """The part of `quad` from `start` to `end` along its upper side, both held in 0 to 1."""
    start, end = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    a, b, c, d = quad
    return _along(a, b, start), _along(a, b, end), _along(d, c, end), _along(d, c, start)


def _along(one: Point, other: Point, part: float) -> Point:
    """The point so far on the way from one to the other."""
    return one[0] + part * (other[0] - one[0]), one[1] + part * (other[1] - one[1])


def in_reading_order(found: Sequence[TextLine]) -> tuple[TextLine, ...]:
    """Rows downwards, and each row to the right, as the lines themselves lie.

    Lines are of one row while their middle lies above the foot of the row's first line. What
    follows on its neighbour in a row becomes one line with it.
    """
    # A sheet that is a little turned has its long lines' middles far from where they begin, so
    # down and right are those of all lines together.
    along = sum(_direction(line.quad) for line in found)
    turn = along.conjugate() / abs(along) if along else 1.0

    def middle(line: TextLine) -> complex:
        return _middle(line.quad) * turn

    rows: list[list[TextLine]] = []
    foot = -math.inf
    for line in sorted(found, key=lambda line: middle(line).imag):
        if middle(line).imag >= foot:
            rows.append([])
            foot = middle(line).imag + math.dist(line.quad[0], line.quad[3]) / 2
        rows[-1].append(line)
    ordered: list[TextLine] = []
    for row in rows:
        row.sort(key=lambda line: middle(line).real)
        for number, line in enumerate(row):
            if number and _follows(ordered[-1].quad, line.quad):
                line = _line(
                    _span(ordered[-1].quad, line.quad), [*ordered.pop().words, *line.words]
                )
            ordered.append(line)
    return tuple(ordered)


def _follows(one: Quad, other: Quad) -> bool:
    """Whether `other` goes on where `one` ends, at the distance of two words."""
    heights = sorted(math.dist(quad[0], quad[3]) for quad in (one, other))
    low, high = heights
    if not 0 < high <= ALIKE * low:
        return False
    first, second = _direction(one), _direction(other)
    if not first or not second:
        return False
    # The longer of the two knows better which way the line runs.
    along = max(first, second, key=abs)
    along /= abs(along)
    if any(abs(math.atan2(each.imag, each.real)) > ASKEW
           for each in (first / along, second / along)):  # fmt: skip
        return False
    gap = (complex(*other[0]) + complex(*other[3]) - complex(*one[1]) - complex(*one[2])) / 2
    off = (_middle(other) - _middle(one)) / along
    return -SPACE * low <= (gap / along).real <= SPACE * high and abs(off.imag) <= OFFSET * low


def _span(one: Quad, other: Quad) -> Quad:
    """The rectangle around two quads, along the way from the first one's begin to the other's end.

    For two parts of one quad it is the part that holds both.
    """
    along = complex(*other[1]) + complex(*other[2]) - complex(*one[0]) - complex(*one[3])
    if one is other or not along:
        return one
    along /= abs(along)
    corners = [complex(*corner) / along for quad in (one, other) for corner in quad]
    left, right = min(c.real for c in corners), max(c.real for c in corners)
    top, bottom = min(c.imag for c in corners), max(c.imag for c in corners)
    around = [complex(left, top), complex(right, top), complex(right, bottom),
              complex(left, bottom)]  # fmt: skip
    a, b, c, d = ((corner * along) for corner in around)
    return (a.real, a.imag), (b.real, b.imag), (c.real, c.imag), (d.real, d.imag)


def _direction(quad: Quad) -> complex:
    return complex(*quad[1]) - complex(*quad[0])


def _middle(quad: Quad) -> complex:
    return sum(complex(*corner) for corner in quad) / 4


def as_quad(corners: NDArray[np.floating]) -> Quad:
    """Four corners of an array (4, 2), as they travel."""
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return a, b, c, d
