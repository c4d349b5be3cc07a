"""Points of seven-segment displays, which a text reader takes for a part of the next digit."""

import re
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Pixels
from onlooker.vision.text_gaps import Character, inked, runs

MIN_DIGITS = 2
NUMBER = re.compile(r"-?[0-9]+(\.?[0-9]+)*")
SEGMENTS = {"0": "abcdef", "1": "bc", "2": "abdeg", "3": "abcdg", "4": "bcfg", "5": "acdfg",
            "6": "acdefg", "7": "abc", "8": "abcdefg", "9": "abcdfg"}  # fmt: skip
ZONES = {
    "a": (0.0, 0.12, 0.3, 0.7),
    "b": (0.2, 0.4, 0.8, 1.0),
    "c": (0.6, 0.8, 0.8, 1.0),
    "d": (0.88, 1.0, 0.3, 0.7),
    "e": (0.6, 0.8, 0.0, 0.2),
    "f": (0.2, 0.4, 0.0, 0.2),
    "g": (0.44, 0.56, 0.3, 0.7),
    "upper hole": (0.22, 0.36, 0.4, 0.6),
    "lower hole": (0.64, 0.78, 0.4, 0.6),
}
"""Top, bottom, left and right of each segment, and of the places without any, as shares of the
digit's height and width."""
MIN_LIT = 0.4
"""Share of a zone that is ink if its segment is lit."""
MAX_WRONG_ZONES = 1
"""Of a digit. Some displays draw 6, 7 and 9 with a segment more or less."""
MAX_ONE_WIDTH = 0.3
"""Width of the digit 1, as a share of the height."""
LEANS = tuple(n / 50 for n in range(10))
"""Shifts of the top to the right, as shares of the height, that are tried."""
LOWEST = 0.8
"""A point lies below this share of the height."""
MIN_POINT, MAX_POINT = 0.025, 0.25
"""Width of what is seen of a point, as a share of the height."""
POINT_SCORE = 0.8


def is_number(characters: Sequence[Character]) -> bool:
    """Return whether the characters of a line could be those of such a display."""
    text = "".join(each.text for each in characters if each.text != " ")
    return NUMBER.fullmatch(text) is not None and sum(map(str.isdecimal, text)) >= MIN_DIGITS


def with_points(characters: Sequence[Character], crop: Pixels) -> tuple[Character, ...]:
    """Return the characters of a number, with the points between digits of seven segments.

    A point is ink between two digits at the foot of the line, with none above it. Numbers in other
    fonts are returned as they are. crop: (h, w, 3); points need about 100 pixels of height.
    """
    found = [each for each in characters if each.text != " "]
    ink = inked(crop)
    if not ink.any():
        return tuple(characters)
    upright = _upright(ink)
    height = len(upright)
    upper, lower = upright[: round(LOWEST * height)], upright[round(LOWEST * height) :]
    digits = [each for each in found if each.text != "."]
    spans = runs(upper.any(axis=0))
    if len(spans) != len(digits) or not all(
        _fits(upright[:, begin:end], each.text)
        for each, (begin, end) in zip(digits, spans, strict=True)
    ):
        return tuple(characters)
    points = [
        (begin + end) / 2
        for begin, end in runs(lower.any(axis=0) & ~upper.any(axis=0))
        if MIN_POINT * height <= end - begin <= MAX_POINT * height
    ]
    placed: list[Character] = []
    for each, (_, end), following in zip(digits, spans, [*spans[1:], None], strict=True):
        placed.append(each)
        if following and any(end <= point <= following[0] for point in points):
            centre = (end + following[0]) / 2 / upright.shape[1]
            placed.append(Character(".", POINT_SCORE, centre))
    return tuple(placed if len(placed) > len(digits) else characters)


def _upright(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows with ink, shifted so that the digits stand upright."""
    rows = np.flatnonzero(ink.any(axis=1))
    ink = ink[rows[0] : rows[-1] + 1]
    height = len(ink)

    def shifted(lean: float) -> NDArray[np.uint8]:
        matrix = np.array([[1, lean, -lean * height], [0, 1, 0]])
        size = ink.shape[1], height
        moved = cv2.warpAffine(ink.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
        return np.asarray(moved, np.uint8)

    def free(upright: NDArray[np.uint8]) -> int:
        return int((upright[: round(LOWEST * height)].max(axis=0) == 0).sum())

    return max(map(shifted, LEANS), key=free).astype(np.bool_)


def _fits(ink: NDArray[np.bool_], character: str) -> bool:
    """Return whether a digit has the segments of `character`."""
    height, width = ink.shape
    if character in "-1":
        return character == "-" or width <= MAX_ONE_WIDTH * height
    wrong = 0
    for name, (top, bottom, left, right) in ZONES.items():
        rows = slice(int(top * height), int(np.ceil(bottom * height)))
        zone = ink[rows, int(left * width) : int(np.ceil(right * width))]
        wrong += (zone.mean() >= MIN_LIT) != (name in SEGMENTS[character])
    return wrong <= MAX_WRONG_ZONES
