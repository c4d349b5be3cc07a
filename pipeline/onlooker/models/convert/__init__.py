"""Converters: from a model's weights in an archive to one ONNX file.

`graph` builds ONNX graphs; `tflite` (with `mediapipe`'s custom operators), `tfjs`, `faceapi`,
`tesseract` and `paddle` read the formats; `graph_edits` and `heads` change finished graphs. Only
numpy, onnx, tflite and flatbuffers are needed: neither TensorFlow nor any code of the packages is
run. The exception is a user's own model in Paddle's format, which Paddle itself must read.
"""

import inspect
from collections.abc import Callable, Sequence

import onnx

from onlooker.models.card import Card, WeightsError
from onlooker.models.convert import (
    faceapi,
    graph_edits,
    heads,
    paddle,
    tesseract,
    tfjs,
    tflite,
)

MAX_CAUSE = 200
"""Characters of a library's error that are shown."""

FORMATS: dict[str, Callable[..., onnx.ModelProto]] = {
    "onnx": onnx.load_model_from_string,
    "tflite": tflite.convert,
    "tfjs": tfjs.convert,
    "faceapi_expression": faceapi.expression,
    "faceapi_embedding": faceapi.embedding,
    "paddle": paddle.convert,
    "tesseract": tesseract.convert,
}
"""The function that converts a format's members, in the order of the card."""

EDITS: dict[str, Callable[[onnx.ModelProto, Card], None]] = {
    "own_weights": graph_edits.own_weights,
    "free_size": graph_edits.free_size,
    "drop_unused": graph_edits.drop_unused,
    "heads": heads.heads,
    "ranked_with_space": graph_edits.ranked_with_space,
}
"""The function of each edit, in the order in which they are made, whatever the card's."""


def build(card: Card, members: Sequence[bytes]) -> bytes:
    """Return the card's model as an ONNX file, from the bytes of the card's members.

    Raises WeightsError if the members are not what the card says.
    """
    try:
        inspect.signature(FORMATS[card.build.format]).bind(*members)
    except TypeError as error:
        raise WeightsError(
            f"{card.name}: its card has {len(members)} [[members]], and build.format "
            f"{card.build.format!r} takes another number"
        ) from error
    try:
        return _built(card, members)
    except WeightsError:
        raise
    except Exception as error:  # of a parser that is given what it is not for, or a damaged file
        paths = ", ".join(member.path for member in card.members)
        cause = f"{type(error).__name__}: {' '.join(str(error).split())[:MAX_CAUSE]}"
        raise WeightsError(
            f"{card.name}: {paths} cannot be built as build.format {card.build.format!r} with the "
            f"edits {[*card.build.edits]}: is it of that format, and whole? ({cause})"
        ) from error


def _built(card: Card, members: Sequence[bytes]) -> bytes:
    model = FORMATS[card.build.format](*members)
    if not model.graph.node:
        raise WeightsError(f"{card.name}: its file is no ONNX model: it has no operators")
    graph_edits.free_unknown_sizes(model)
    for name, edit in EDITS.items():
        if name in card.build.edits:
            edit(model, card)
    graph_edits.take_images(model, card)
    graph_edits.name_sizes(model)
    graph_edits.zero_denormals(model)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
