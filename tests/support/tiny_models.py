"""Small models made for a test, and their cards as tables."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onlooker.models import own_models

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
CHARACTERS = "\n".join(ALPHABET)
NONE: Mapping[str, str] = {}


def saved(
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any],
    given: tuple[Any, ...],
    answer: tuple[Any, ...],
    kind: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] = NONE,
) -> bytes:
    """Return an ONNX file of one input, x, and one output, y."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", kind, given)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, answer)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, dict(metadata))
    return bytes(model.SerializeToString())


def detector(
    size: tuple[Any, Any] = ("h", "w"), maps: int = 1, kind: int = TensorProto.FLOAT
) -> bytes:
    """Return a network that finds bright pixels."""
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["f", "k"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["y"]),
    ]
    weight = np.full((maps, 3, 1, 1), 0.1, np.float32)
    return saved(nodes, {"k": weight}, ("n", 3, *size), ("n", maps, *size), kind)


def reader(**metadata: str) -> bytes:
    """Return a network that reads a class from the colour of each column."""
    classes = len(ALPHABET) + 2
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2], keepdims=0),
        helper.make_node("Transpose", ["m"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "k"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["a"]),
        helper.make_node("Softmax", ["a"], ["y"], axis=2),
    ]
    weight = np.linspace(-1, 1, 3 * classes, dtype=np.float32).reshape(3, classes)
    constants = {"k": weight, "b": np.zeros(classes, np.float32)}
    return saved(nodes, constants, ("n", 3, 48, "w"), ("n", "w", classes), metadata=metadata)


def tall_reader(height: int = 48) -> bytes:
    """Return a network for lines of this height; its file leaves that open, with -1 and 0."""
    classes = len(ALPHABET) + 2
    nodes = [
        helper.make_node("MaxPool", ["x"], ["m"], kernel_shape=[height, 1]),
        helper.make_node("Squeeze", ["m", "two"], ["s"]),
        helper.make_node("Transpose", ["s"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "k"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["a"]),
        helper.make_node("Softmax", ["a"], ["y"], axis=2),
    ]
    weight = np.linspace(-1, 1, 3 * classes, dtype=np.float32).reshape(3, classes)
    constants = {"k": weight, "b": np.zeros(classes, np.float32), "two": np.array([2])}
    return saved(
        nodes, constants, (-1, 3, 0, -1), (-1, 0, classes), metadata={"character": CHARACTERS}
    )


def vector(dim: int = 4) -> bytes:
    """Return a network that embeds the mean colour of an image of 16 x 16 pixels."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["m", "k"], ["y"]),
    ]
    weight = np.linspace(-1, 1, 3 * dim, dtype=np.float32).reshape(3, dim)
    return saved(nodes, {"k": weight}, ("n", 3, 16, 16), ("n", dim))


MODELS = {
    "detector": detector(),
    "reader": reader(character=CHARACTERS),
    "vector": vector(),
}
KINDS: dict[str, dict[str, Any]] = {
    "detector": {"shape": [0, 0], "multiple": 32, "decode": {"kind": "probability_map"}},
    "reader": {
        "shape": [48, 0],
        "multiple": 8,
        "build": {"format": "onnx", "edits": ["ranked_with_space"], "vocabulary": "all"},
        "decode": {"kind": "characters", "scripts": ["latin"]},
        "probe": {"picture": "digits", "size": [320, 48]},
    },
    "vector": {
        "shape": [16, 16],
        "decode": {"kind": "vector"},
        "embedder": {
            "dim": 4,
            "chip": 16,
            "template": [[4, 4], [12, 4], [8, 8], [4, 12], [12, 12]],
            "mesh_template": [[8, 8]] * 20,
            "smallest": 16,
            "calibration": {"metric": "cosine", "slope": 20, "midpoint": 0.5},
        },
        "probe": {"picture": "blocks", "size": [16, 16]},
    },
}


def described(kind: str, folder: Path) -> dict[str, Any]:
    """Return a good card of the model in `folder`."""
    archive, members = own_models.folder_archive(folder, ["model.onnx"])
    return {
        "name": "mine",
        "task": "is tried",
        "licence": "MIT",
        "attribution": "of this test",
        "trained_on": "nothing",
        "optional": True,
        "layout": "NCHW",
        "multiple": 1,
        "colour": "BGR",
        "mean": [0.0, 0.0, 0.0],
        "scale": [1.0, 1.0, 1.0],
        "archive": msgspec.to_builtins(archive),
        "members": [msgspec.to_builtins(each) for each in members],
        "build": {"format": "onnx"},
        "run": {"provider": "cpu", "bfloat16": False},
        "probe": {"picture": "blocks", "size": [64, 64]},
        **deepcopy(KINDS[kind]),
    }
