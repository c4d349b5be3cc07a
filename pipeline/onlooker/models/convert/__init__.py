"""Converters: a model's weights as they come out of an archive, into one ONNX file.

`graph` builds ONNX graphs; `tflite` (with `mediapipe`'s custom operators), `tfjs`, `faceapi` and
`paddle` read the formats; `edits` changes finished graphs. Only numpy, onnx, tflite and flatbuffers
are needed: neither TensorFlow nor any code of the packages is run. A user's own model in Paddle's
format is the exception: it takes Paddle to read.
"""

from collections.abc import Callable, Sequence

import onnx

from onlooker.models.card import Card
from onlooker.models.convert import faceapi, graph_edits, heads, paddle, tfjs, tflite

FORMATS: dict[str, Callable[..., onnx.ModelProto]] = {
    "onnx": onnx.load_model_from_string,
    "tflite": tflite.convert,
    "tfjs": tfjs.convert,
    "faceapi_expression": faceapi.expression,
    "faceapi_embedding": faceapi.embedding,
    "paddle": paddle.convert,
}
"""How a format's members, in the order of the card, become a model."""

EDITS: dict[str, Callable[[onnx.ModelProto, Card], None]] = {
    "free_size": graph_edits.free_size,
    "greedy": graph_edits.greedy,
    "drop_unused": graph_edits.drop_unused,
    "own_weights": graph_edits.own_weights,
    "heads": heads.heads,
}


def build(card: Card, members: Sequence[bytes]) -> bytes:
    """The card's model as an ONNX file, from the bytes of the card's members."""
    model = FORMATS[card.build.format](*members)
    for name in card.build.edits:
        EDITS[name](model, card)
    graph_edits.name_batch(model)
    graph_edits.take_pictures(model, card)
    graph_edits.zero_denormals(model)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
