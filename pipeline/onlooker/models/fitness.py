"""Whether a built model fits its card: its outputs, and the alphabet of a recogniser.

A card is written by hand, and may be another model's. This is checked when a model is built, and
again whenever it is loaded: a card can be changed in between.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from onlooker.models import scripts
from onlooker.models.card import (
    Attributes,
    Card,
    Centerface,
    Characters,
    Classes,
    Expectation,
    ProbabilityMap,
    Vector,
    WeightsError,
    Yunet,
)

Shapes: TypeAlias = Mapping[str, tuple[Any, ...]]
"""The shape of each output by name, in the graph's order; a size that is no int is free."""

READER_OUTPUTS = ("idx", "prob", "space")
"""What the edit `ranked_with_space` makes of a recogniser's outputs."""
CENTERFACE_OUTPUTS = 4
"""Heat, sizes, offsets and points."""


class Misfit(WeightsError):
    """A model and its card are not of each other."""


def check(card: Card, outputs: Shapes, metadata: Mapping[str, str]) -> None:
    """Raise Misfit unless the card can decode the outputs. metadata: of the model's file."""
    if found := misfit(card, outputs, metadata):
        raise Misfit(f"{card.name}: the model does not fit its card: {found}")


def misfit(card: Card, outputs: Shapes, metadata: Mapping[str, str]) -> str | None:
    """Return in words what does not fit; None if all does."""
    decode = card.decode
    names = ", ".join(outputs) or "none"
    match decode:
        case Yunet():
            parts = ("cls", "obj", "bbox", "kps")
            wanted = [f"{part}_{stride}" for part in parts for stride in decode.strides]
        case Attributes():
            wanted = [decode.age, "heads"]
        case Characters():
            wanted = [*READER_OUTPUTS]
        case _:
            wanted = []
    if missing := [name for name in wanted if name not in outputs]:
        advice = ""
        if isinstance(decode, Characters):
            advice = '; a recogniser needs edits = ["ranked_with_space"] under [build]'
        return f"it has no output {missing[0]}, but {names}{advice}"
    if isinstance(decode, Characters):
        return _reader_misfit(decode, outputs, metadata)
    number = {Centerface: CENTERFACE_OUTPUTS, Vector: 1, ProbabilityMap: 1, Classes: 1}
    if (count := number.get(type(decode))) is not None and len(outputs) != count:
        kind = "outputs" if count > 1 else "output"
        return f"it has {len(outputs)} outputs ({names}), and its decode.kind takes {count} {kind}"
    return _shape_misfit(card, next(iter(outputs.values()), ()))


def _shape_misfit(card: Card, shape: tuple[Any, ...]) -> str | None:
    """Return what does not fit the first output's shape; None if all does, or it is not known."""
    decode = card.decode
    if not shape:
        return None
    if isinstance(decode, ProbabilityMap) and (
        len(shape) != 4 or shape[1] not in _or_free(1, shape)
    ):
        return f"a map is (n, 1, height, width), and its output is {_shown(shape)}"
    last: tuple[int, str] | None = None
    if isinstance(decode, Classes):
        last = len(decode.labels), "decode.labels"
    elif card.embedder is not None:
        last = card.embedder.dim, "embedder.dim"
    if last is not None and (len(shape) != 2 or shape[1] not in _or_free(last[0], shape)):
        return f"{last[1]} makes its output (n, {last[0]}), and it is {_shown(shape)}"
    if isinstance(decode, Expectation) and len(shape) != 2:
        return f"its output is to be (n, classes), and it is {_shown(shape)}"
    return None


def _reader_misfit(decode: Characters, outputs: Shapes, metadata: Mapping[str, str]) -> str | None:
    if tuple(outputs) != READER_OUTPUTS:
        return f"its outputs are {', '.join(outputs)}, not {', '.join(READER_OUTPUTS)}"
    if "character" not in metadata:
        return "its file has no metadata `character`, the alphabet, one character a line"
    readable = scripts.scripts_of(metadata["character"].split("\n"))
    if wrong := [each for each in decode.scripts if each not in readable]:
        return (
            f"decode.scripts has {wrong[0]}, of which its alphabet has hardly a letter; it has "
            f"those of {', '.join(readable)}"
        )
    return None


def _or_free(size: int, shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the size, and what is free in a shape: that may be the size."""
    return (size, *(each for each in shape if not isinstance(each, int)))


def _shown(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(str(each) if isinstance(each, int) else 'any' for each in shape)})"
