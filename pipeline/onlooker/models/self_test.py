"""Probes: a synthetic image for every model, and the figures of its outputs on the card.

The images are defined by numbers alone, so that a card can promise the outputs.

blocks: 8 x 8 pixels of one colour each; channel c of the block in row r and column k of n columns
is the top byte of the 32-bit product 2654435761 * (1 + c + 3 k + 3 n r) (Knuth's hash).

digits: seven-segment digits, 14 x 26 pixels of level 20 on 235, in one line halfway down, each 20
pixels right of the one before; digit i of the line is (3 + 7 i) mod 10.

words: a line with spaces in letters of 5 x 7 dots, 4 x 4 pixels each, of the same levels and
halfway down; each character takes 24 pixels. The letters are Latin, Greek and Cyrillic alike.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onlooker.models.card import Card, Figures, Probe

KNUTH = np.uint32(2654435761)
BLOCK = 8

PAPER, INK = 235, 20
WIDE, TALL, STROKE, PITCH, MARGIN = 14, 26, 3, 20, 12
SEGMENTS = (
    (0, 0, WIDE, STROKE),  # top
    (0, 0, STROKE, TALL // 2),  # upper left
    (WIDE - STROKE, 0, WIDE, TALL // 2),  # upper right
    (0, TALL // 2 - 1, WIDE, TALL // 2 + 2),  # middle
    (0, TALL // 2, STROKE, TALL),  # lower left
    (WIDE - STROKE, TALL // 2, WIDE, TALL),  # lower right
    (0, TALL - STROKE, WIDE, TALL),  # bottom
)
"""x1, y1, x2, y2 of each segment in a digit's own pixels."""
LIT = ("012456", "25", "02346", "02356", "1235", "01356", "013456", "025", "0123456", "012356")
"""The segments of each digit."""

WORDS = "COMET 24 HOT"
DOT, DOTS, ROWS, MARGIN_OF_WORDS = 4, 5, 7, 16
LETTERS = {
    "2": (0b01110, 0b10001, 0b00001, 0b00010, 0b00100, 0b01000, 0b11111),
    "4": (0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010),
    "C": (0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110),
    "E": (0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111),
    "H": (0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001),
    "M": (0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001),
    "O": (0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110),
    "T": (0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100),
}
"""The dots of each letter, row by row; the highest bit is the left one."""

FIRST_VALUES = 4
"""Number of values of an output on a card."""
TOLERANCE, ROUNDED_TOLERANCE = 2e-3, 5e-2
"""Allowed difference of each figure in fp32, and in bf16 or TF32, as a share of the larger of the
figure and the deviation."""
MIN_FIGURE = 1e-3
"""Figures much smaller than this are rounding errors."""


def picture(probe: Probe) -> NDArray[np.uint8]:
    """Return the probe's image: (height, width, 3), channels in the network's order."""
    draw = {"blocks": blocks, "digits": digits, "words": words}[probe.picture]
    return draw(*probe.size)


def blocks(width: int, height: int) -> NDArray[np.uint8]:
    """Return coloured blocks, (height, width, 3): something for every channel of a network."""
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    number = np.arange(1, 1 + rows * columns * 3, dtype=np.uint32)
    colours = ((number * KNUTH) >> np.uint32(24)).astype(np.uint8).reshape(rows, columns, 3)
    return colours.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]


def digits(width: int, height: int) -> NDArray[np.uint8]:
    """Return a line of digits, (height, width, 3): something to find and to read."""
    drawn = np.full((height, width, 3), PAPER, np.uint8)
    top = (height - TALL) // 2
    for number, left in enumerate(range(MARGIN, width - WIDE, PITCH)):
        for segment in LIT[(3 + 7 * number) % 10]:
            x1, y1, x2, y2 = SEGMENTS[int(segment)]
            drawn[top + y1 : top + y2, left + x1 : left + x2] = INK
    return drawn


def words(width: int, height: int) -> NDArray[np.uint8]:
    """Return a line of words, (height, width, 3): letters to read, and spaces between them."""
    drawn = np.full((height, width, 3), PAPER, np.uint8)
    top = (height - ROWS * DOT) // 2
    for number, letter in enumerate(WORDS):
        left = MARGIN_OF_WORDS + number * (DOTS + 1) * DOT
        for row, bits in enumerate(LETTERS.get(letter, ())):
            for column in range(DOTS):
                if bits >> (DOTS - 1 - column) & 1:
                    x, y = left + column * DOT, top + row * DOT
                    drawn[y : y + DOT, x : x + DOT] = INK
    return drawn


def batch(card: Card) -> NDArray[np.uint8]:
    """Return the probe's image as input of the card's built model: (1, height, width, 3), BGR."""
    drawn = picture(card.probe)
    return np.ascontiguousarray(drawn[None, :, :, ::-1] if card.colour == "RGB" else drawn[None])


def measure(names: Sequence[str], outputs: Sequence[NDArray[np.generic]]) -> list[Figures]:
    """Return the figures of a model's outputs, called `names`."""
    return [
        Figures(
            output=name,
            shape=output.shape,
            mean=_short(values.mean()),
            deviation=_short(values.std()),
            first=tuple(map(_short, values[:FIRST_VALUES])),
        )
        for name, output in zip(names, outputs, strict=True)
        for values in [output.ravel().astype(np.float64)]
    ]


def differences(probe: Probe, found: Sequence[Figures], tolerance: float) -> list[str]:
    """Return, in words, the differences of `found` from the card."""
    outputs = {figures.output: figures for figures in found}
    problems = [] if probe.expect else ["the card has no figures to compare with"]
    for expected in probe.expect:
        actual = outputs.get(expected.output)
        if actual is None:
            problems.append(f"no output is called {expected.output}")
        elif actual.shape != expected.shape:
            problems.append(f"{expected.output} has shape {actual.shape}, not {expected.shape}")
        elif len(actual.first) != len(expected.first):
            problems.append(
                f"{expected.output} has {len(expected.first)} first values on the card, not "
                f"{len(actual.first)}"
            )
        else:
            problems += _unlike(expected, actual, tolerance)
    return problems


def cosine(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Return the cosine of two outputs as vectors; 0 if one is not finite, zero or empty."""
    x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / size if np.isfinite(size) and size > 0 else 0.0


def _short(value: float) -> float:
    """Return the value with six digits, as on a card."""
    return float(f"{value:.6g}")


def _unlike(expected: Figures, actual: Figures, tolerance: float) -> list[str]:
    pairs = [
        ("mean", expected.mean, actual.mean),
        ("deviation", expected.deviation, actual.deviation),
        *(
            (f"value {place}", wanted, got)
            for place, (wanted, got) in enumerate(zip(expected.first, actual.first, strict=True))
        ),
    ]
    # Written so that a NaN is a difference.
    return [
        f"{what} of {expected.output} is {got:.6g}, not {wanted:.6g}"
        for what, wanted, got in pairs
        if not abs(got - wanted) <= tolerance * max(expected.deviation, abs(wanted), MIN_FIGURE)
    ]
