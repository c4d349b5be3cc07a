"""Words and lines from the characters along a crop: their begin and end, and the reading order.

As with Amazon, a line is words at even distances: it ends at a gap that is large compared with its
words, and regions that were detected apart become one line if the gap between them is small.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from onlooker.types import Point, Quad, TextLine, Word
from onlooker.vision.shared_letters import in_one_script
from onlooker.vision.text_gaps import Character
from onlooker.vision.writing_direction import logical

MIN_LINE_GAP = 1.5
"""A line ends at a gap that is wider than this many heights of the line, and wider than the mean of
the words beside it."""
# Two regions are one line if the gap between them, in heights, the ratio of their heights, the
# angle between them, and the distance of one's centre from the other's centre line, in heights, are
# at most these.
MAX_WORD_GAP = 0.6
MAX_HEIGHT_RATIO = 1.6
MAX_ANGLE = math.radians(8)
MAX_OFFSET = 0.3
# A line continues an arc if it is turned against the one before by at most MAX_BEND, of a similar
# height, and begins at most MAX_ARC_GAP heights from that one's end, MAX_ARC_OFFSET across. The
# region of a bent word is higher than its letters. Of an arc, two lines are at MAX_ANGLE or more.
MAX_BEND = math.radians(65)
MAX_BENT_HEIGHT_RATIO = 2.2
MAX_ARC_GAP = 1.2
MAX_ARC_OFFSET = 0.7


def lines(quad: Quad, characters: Sequence[Character], padding: float) -> list[TextLine]:
    """Return the lines in `quad`: usually one, more if there are wide gaps, or none.

    padding: heights of the quad by which the crop was larger on each side.
    """
    cut: list[list[Word]] = []
    for word in words(quad, characters, padding):
        if not cut or _wide(cut[-1][-1], word, quad):
            cut.append([])
        cut[-1].append(word)
    if len(cut) == 1:
        return [_line(quad, cut[0])]
    return [_line(_span(each[0].quad, each[-1].quad), each) for each in cut]


def _wide(one: Word, other: Word, quad: Quad) -> bool:
    """Return whether the gap between two words of `quad` ends a line."""
    gap = math.dist(one.quad[1], other.quad[0])
    wide = (math.dist(*one.quad[:2]) + math.dist(*other.quad[:2])) / 2
    return gap > max(wide, MIN_LINE_GAP * math.dist(quad[0], quad[3]))


def _line(quad: Quad, words: Sequence[Word]) -> TextLine:
    letters = sum(len(word.text) for word in words)
    return TextLine(
        text=" ".join(word.text for word in words),
        score=sum(word.score * len(word.text) for word in words) / letters,
        quad=quad,
        words=tuple(words),
    )


def words(quad: Quad, characters: Sequence[Character], padding: float) -> tuple[Word, ...]:
    """Return the words of a line, each with its part of the line's quad."""
    runs: list[list[Character]] = [[]]
    for character in characters:
        if character.text == " ":
            runs.append([])
        else:
            runs[-1].append(character)
    runs = [run for run in runs if run]
    if not runs:
        return ()

    # A character's centre is known, its width is not: half the mean step from one centre to the
    # next is added on both sides of a word. The line's own ends are known from the finder.
    steps = [b.centre - a.centre for run in runs for a, b in pairwise(run)]
    half = sum(steps) / len(steps) / 2 if steps else 0.0
    edges = [(run[0].centre - half, run[-1].centre + half) for run in runs]
    height = math.dist(quad[0], quad[3])
    edge = padding * height / (math.dist(quad[0], quad[1]) + 2 * padding * height)

    found = []
    for number, (run, (left, right)) in enumerate(zip(runs, edges, strict=True)):
        # Places along the crop become places along the quad, which has no padding.
        start = 0.0 if number == 0 else (left - edge) / (1 - 2 * edge)
        end = 1.0 if number == len(runs) - 1 else (right - edge) / (1 - 2 * edge)
        score = sum(character.score for character in run) / len(run)
        text = "".join(character.text for character in run)
        found.append(Word(text=text, score=score, quad=_between(quad, start, end)))
    return tuple(found)


def _between(quad: Quad, start: float, end: float) -> Quad:
    """Return the part of `quad` from `start` to `end` along its upper side, clipped to 0 to 1."""
    start, end = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    a, b, c, d = quad
    return _along(a, b, start), _along(a, b, end), _along(d, c, end), _along(d, c, start)


def _along(one: Point, other: Point, part: float) -> Point:
    """Return the point at the share `part` of the way from one to the other."""
    return one[0] + part * (other[0] - one[0]), one[1] + part * (other[1] - one[1])


def in_reading_order(found: Sequence[TextLine]) -> tuple[TextLine, ...]:
    """Return the lines row by row, downwards, and each row to the right; each as it is written.

    Right is the mean direction of the lines. A line belongs to a row if its centre is above the
    foot of the row's first line. Neighbours in a row at the distance of two words become one line.
    """
    # On a sheet that is slightly turned, the centres of long lines are far from their beginnings,
    # so down and right are those of all lines together.
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
    return tuple(logical(line) for line in in_one_script(_along_arcs(ordered)))


def _along_arcs(found: Sequence[TextLine]) -> list[TextLine]:
    """Return the lines in their order, but those of an arc one after another from its begin.

    An arc comes where the first of its lines came.
    """
    after = _continuations(found)
    before = {other: one for one, other in after.items()}
    ordered: list[int] = []
    placed: set[int] = set()
    for number in range(len(found)):
        first = number
        while first in before:
            first = before[first]
        arc: int | None = first
        while arc is not None and first not in placed:
            ordered.append(arc)
            arc = after.get(arc)
        placed.add(first)
    return [found[number] for number in ordered]


def _continuations(found: Sequence[TextLine]) -> dict[int, int]:
    """Return which line continues the arc of which, by their numbers; nearest ones first."""
    ways = np.array([_direction(line.quad) for line in found], np.complex128)
    if not len(found) or not ways.all():
        return {}
    ways /= np.abs(ways)
    if np.abs(np.angle(ways / ways[0])).max() <= MAX_ANGLE / 2:
        return {}  # no two are turned against each other: as on nearly every page
    corners = np.array([line.quad for line in found]) @ np.array([1, 1j])
    begins, ends = corners[:, [0, 3]].mean(1), corners[:, [1, 2]].mean(1)
    heights = np.abs(corners[:, 3] - corners[:, 0])
    pairs: list[tuple[float, int, int]] = []
    for one, way in enumerate(ways):
        bends = np.angle(ways / way)
        low, high = np.minimum(heights, heights[one]), np.maximum(heights, heights[one])
        # Along the way between the two.
        gaps = (begins - ends[one]) / (way * np.exp(0.5j * bends))
        follows = (np.abs(bends) <= MAX_BEND) & (high <= MAX_BENT_HEIGHT_RATIO * low)
        follows &= np.abs(gaps) <= MAX_ARC_GAP * high
        follows &= np.abs(gaps.imag) <= MAX_ARC_OFFSET * high
        follows &= ((ends - ends[one]) / way).real > 0
        follows[one] = False
        pairs.extend(
            (float(abs(gaps[other])), one, int(other)) for other in np.flatnonzero(follows)
        )
    after: dict[int, int] = {}
    taken: set[int] = set()
    for _, one, other in sorted(pairs):
        if one in after or other in taken or _leads(after, other, one):
            continue
        after[one] = other
        taken.add(other)
    for first in after.keys() - taken:
        arc = [first]
        while arc[-1] in after:
            arc.append(after[arc[-1]])
        if np.abs(np.angle(ways[arc] / ways[first])).max() <= MAX_ANGLE:
            for one in arc[:-1]:
                del after[one]
    return after


def _leads(after: dict[int, int], one: int, other: int) -> bool:
    """Return whether the arc from `one` on comes to `other`: to join them would close a ring."""
    while one != other and one in after:
        one = after[one]
    return one == other


def _follows(one: Quad, other: Quad) -> bool:
    """Return whether `other` continues the line of `one`, at the distance of two words."""
    heights = sorted(math.dist(quad[0], quad[3]) for quad in (one, other))
    low, high = heights
    if not 0 < high <= MAX_HEIGHT_RATIO * low:
        return False
    first, second = _direction(one), _direction(other)
    if not first or not second:
        return False
    # The direction of the longer one is more accurate.
    along = max(first, second, key=abs)
    along /= abs(along)
    if any(abs(math.atan2(each.imag, each.real)) > MAX_ANGLE
           for each in (first / along, second / along)):  # fmt: skip
        return False
    gap = (complex(*other[0]) + complex(*other[3]) - complex(*one[1]) - complex(*one[2])) / 2
    off = (_middle(other) - _middle(one)) / along
    near = -MAX_WORD_GAP * low <= (gap / along).real <= MAX_WORD_GAP * high
    return near and abs(off.imag) <= MAX_OFFSET * low


def _span(one: Quad, other: Quad) -> Quad:
    """Return the rectangle round two quads, along the way from one's begin to the other's end.

    For two parts of one quad it is the part that contains both.
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
    """Return the corners of an array (4, 2) as a Quad."""
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return a, b, c, d
