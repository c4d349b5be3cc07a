"""TensorFlow.js's operators against a few lines of NumPy."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from tests.support.onnx_graphs import convolve, convolve_depthwise, floats, run

from onlooker.models.card import WeightsError
from onlooker.models.convert import tfjs


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def integers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def graph_model(
    nodes: list[dict[str, Any]], constants: dict[str, NDArray[Any]], shape: Sequence[int]
) -> onnx.ModelProto:
    """The model of `nodes`, the last of which is the output and one of which takes `x`."""
    dims = [{"size": str(size)} for size in (-1, *shape)]
    given = {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": dims}}}}
    consts = [{"name": name, "op": "Const"} for name in constants]
    topology = {
        # TensorFlow.js promises no order.
        "modelTopology": {"node": [*reversed(nodes), *consts, given]},
        "signature": {"outputs": {"y": {"name": f"{nodes[-1]['name']}:0"}}},
        "weightsManifest": [
            {
                "weights": [
                    {"name": name, "shape": list(each.shape), "dtype": str(each.dtype)}
                    for name, each in constants.items()
                ]
            }
        ],
    }
    data = b"".join(each.tobytes() for each in constants.values())
    return tfjs.convert(json.dumps(topology).encode(), data)


@pytest.mark.parametrize("stride", [1, 2])
def test_tfjs_convolutions(stride: int) -> None:
    x, filters, deep = floats(2, 5, 6, 3), floats(3, 3, 3, 4), floats(3, 3, 4, 1)
    attributes = {
        "strides": integers(1, stride, stride, 1),
        "dilations": integers(1, 1, 1, 1),
        "padding": {"s": b64("SAME")},
    }
    nodes = [
        {"name": "a/b", "op": "Conv2D", "input": ["x", "f"], "attr": attributes},
        {
            "name": "c",
            "op": "DepthwiseConv2dNative",
            "input": ["a/b", "d"],
            "attr": attributes,
        },
    ]
    (y,) = run(graph_model(nodes, {"f": filters, "d": deep}, x.shape[1:]), x)
    zero = np.zeros(4, np.float32)
    for picture, got in zip(x, y, strict=True):
        inner = convolve(picture, filters, zero, stride)
        expected = convolve_depthwise(inner, deep[..., 0], zero, stride)
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_tfjs_head() -> None:
    x, weights, bias = floats(2, 5, 6, 3), floats(3, 4), floats(4)
    nodes: list[dict[str, Any]] = [
        {
            "name": "mean",
            "op": "Mean",
            "input": ["x", "axes"],
            "attr": {"keep_dims": {"b": False}},
        },
        {
            "name": "dense",
            "op": "_FusedMatMul",
            "input": ["mean", "w", "b"],
            "attr": {"fused_ops": {"list": {"s": [b64("BiasAdd"), b64("Relu")]}}},
        },
        {"name": "y/Softmax", "op": "Softmax", "input": ["dense"]},
    ]
    constants = {"axes": np.array([1, 2], np.int32), "w": weights, "b": bias}
    model = graph_model(nodes, constants, x.shape[1:])
    (y,) = run(model, x)
    dense = np.exp(np.maximum(x.mean(axis=(1, 2)) @ weights + bias, 0))
    np.testing.assert_allclose(y, dense / dense.sum(axis=1, keepdims=True), rtol=1e-5)
    assert [each.name for each in model.graph.output] == ["y_Softmax"]


def test_an_unknown_operator_is_named_in_the_error() -> None:
    with pytest.raises(WeightsError, match=r"TensorFlow.js's Erf"):
        graph_model([{"name": "y", "op": "Erf", "input": ["x"]}], {}, (3,))
