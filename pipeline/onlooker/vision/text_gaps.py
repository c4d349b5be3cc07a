"""Spaces that a text reader leaves out: between single characters, and where it is in doubt.

A reader is trained on words. It takes characters that stand apart, as in `1 2 3`, for one word with
wide letter spacing, so their distances are measured in the crop.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Pixels

MIN_SPACE = 0.2
"""Sum of the space's probabilities between two characters from which there is a space."""
# Single characters have gaps whose median is at least this share of the text's height, and whose
# square is this share of height times median width; from one to the next it is at least this many
# heights. The spaces of most fonts are wider, and letter spacing of up to 0.15 of a font's size is
# narrower.
MIN_GAP_TO_HEIGHT, MIN_GAP_TO_AREA, MIN_PITCH_TO_HEIGHT = 0.4, 0.21, 1.05
MIN_NARROWEST = 0.7
"""The narrowest gap of single characters, as a share of the median."""
MIN_STEP_PIXELS = 26
"""Median distance of the characters in a crop from which gaps are measured."""
INK_SHARE = 0.4
"""A pixel is ink if it differs from the paper by this share of the darkest ink's difference."""
EDGE_ROWS = 4
"""Rows of the crop above and below that are not searched for ink: frames and neighbours."""


class Character(NamedTuple):
    """A character that was read."""

    text: str
    score: float
    """0 to 1."""
    centre: float
    """Place along the crop: 0 is its left edge, 1 its right."""


def spaced(
    characters: Sequence[Character], spaces: Sequence[float], crop: Pixels
) -> tuple[Character, ...]:
    """Return the characters with the spaces that the reader left out.

    spaces: for each character, the sum of the space's probabilities before it. crop: (h, w, 3), as
    it was read.
    """
    apart = _apart(characters, crop)
    found: list[Character] = []
    for place, (character, space) in enumerate(zip(characters, spaces, strict=True)):
        if found and " " not in (found[-1].text, character.text):
            doubted = space >= MIN_SPACE
            if doubted or place in apart:
                middle = (found[-1].centre + character.centre) / 2
                found.append(Character(" ", min(1.0, space) if doubted else 1.0, middle))
        found.append(character)
    return tuple(found)


def _apart(characters: Sequence[Character], crop: Pixels) -> set[int]:
    """Return the places of the characters that stand apart from the one before."""
    letters = [n for n, character in enumerate(characters) if character.text != " "]
    width = crop.shape[1]
    steps = [characters[b].centre - characters[a].centre for a, b in pairwise(letters)]
    if not steps or np.median(steps) * width < MIN_STEP_PIXELS:
        return set()
    ink = inked(crop)[EDGE_ROWS:-EDGE_ROWS]
    rows = np.flatnonzero(ink.any(axis=1))
    spans = runs(ink.any(axis=0))
    # Where characters touch, or consist of parts, gaps say nothing about words.
    between = [(end + begin) / 2 for (_, end), (begin, _) in pairwise(spans)]
    places = np.searchsorted(between, [characters[n].centre * width for n in letters])
    if len(spans) != len(letters) or (places != np.arange(len(letters))).any():
        return set()
    height = rows[-1] + 1 - rows[0]
    width_of_one = float(np.median([end - begin for begin, end in spans]))
    gaps = [begin - end for (_, end), (begin, _) in pairwise(spans)]
    gap = float(np.median(gaps))
    if (
        gap < MIN_GAP_TO_HEIGHT * height
        or gap**2 < MIN_GAP_TO_AREA * height * width_of_one
        or gap + width_of_one < MIN_PITCH_TO_HEIGHT * height
        # Of a word, only some gaps are wide, such as those beside a slim character.
        or min(gaps) < MIN_NARROWEST * gap
    ):
        return set()
    return set(letters[1:])


def inked(crop: Pixels) -> NDArray[np.bool_]:
    """Return (h, w): which pixels of a crop of text are ink. Most of it is taken for paper."""
    some = crop[::2, ::2].reshape(-1, 3)  # enough to know the colours
    paper = np.median(some, axis=0)
    blue, green, red = cv2.split(cv2.absdiff(crop, np.array([*paper, 0.0])))
    difference = np.maximum(np.maximum(blue, green), red)
    strongest = np.percentile(difference[::2, ::2], 98)
    return np.asarray(difference >= max(1.0, INK_SHARE * float(strongest)), np.bool_)


def runs(there: Any) -> list[tuple[int, int]]:
    """Return begin and end of each run of true values of a one-dimensional array."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], there, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
