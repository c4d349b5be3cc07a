"""Probes: a made-up picture for every model, and what the model is known to say of it.

The picture is defined by numbers alone, so that a card can promise what comes out: blocks of
8 x 8 pixels of one colour, channel c of block (row, column) being the top byte of the 32-bit
product 2654435761 * (1 + c + 3 * column + 3 * columns * row) (Knuth's multiplicative hash).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onlooker.card import Card, Figures, Probe

BLOCK = 8
KNUTH = np.uint32(2654435761)
FIRST = 4
"""How many of an output's values a card holds."""


def picture(width: int, height: int) -> NDArray[np.uint8]:
    """The blocks: (height, width, 3), channels in the order that the model takes them."""
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    number = np.arange(1, 1 + rows * columns * 3, dtype=np.uint32)
    blocks = ((number * KNUTH) >> np.uint32(24)).astype(np.uint8).reshape(rows, columns, 3)
    return blocks.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]


def tensor(card: Card) -> NDArray[np.float32]:
    """The probe's picture as the card's model takes it: a batch of one."""
    pixels = picture(*card.probe.size).astype(np.float32)
    ready = (pixels - np.float32(card.mean)) * np.float32(card.scale)
    if card.layout == "NCHW":
        ready = ready.transpose(2, 0, 1)
    return np.ascontiguousarray(ready[None])


def measure(names: Sequence[str], outputs: Sequence[NDArray[np.generic]]) -> list[Figures]:
    """The figures of a model's outputs, called `names`."""
    return [
        Figures(
            output=name,
            shape=output.shape,
            mean=float(np.mean(output, dtype=np.float64)),
            deviation=float(np.std(output, dtype=np.float64)),
            first=tuple(float(value) for value in output.ravel()[:FIRST].astype(np.float64)),
        )
        for name, output in zip(names, outputs, strict=True)
    ]


def differences(probe: Probe, found: Sequence[Figures]) -> list[str]:
    """What of `found` is not as the card says, in words; empty where all is."""
    outputs = {figures.output: figures for figures in found}
    said = [] if probe.expect else ["the card has no figures to compare with"]
    for expected in probe.expect:
        actual = outputs.get(expected.output)
        if actual is None:
            said.append(f"no output is called {expected.output}")
        elif actual.shape != expected.shape:
            said.append(f"{expected.output} has shape {actual.shape}, not {expected.shape}")
        else:
            said += _unlike(expected, actual, probe.tolerance)
    return said


def cosine(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Cosine of the angle between two outputs as vectors; 0 where one is not finite or empty."""
    x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / size if np.isfinite(size) and size > 0 else 0.0


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
        if not abs(got - wanted) <= tolerance * max(1.0, abs(wanted))
    ]
