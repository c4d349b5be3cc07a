"""TensorFlow.js graph models to ONNX, for frozen float convolutional networks.

Values stay NHWC; the runtime's optimiser folds the transposes round convolutions.
"""

import base64
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from onlooker.models.card import WeightsError
from onlooker.models.convert import weights_manifest
from onlooker.models.convert.graph import Graph

Node: TypeAlias = dict[str, Any]
"""A node of the model's topology: `name`, `op`, `input`, `attr`."""


def convert(topology: bytes, weights: bytes) -> onnx.ModelProto:
    """Return the model of `model.json` and its one weights file. Raises WeightsError."""
    return Lowering(topology, weights).model()


class Lowering:
    """A model during its conversion: the ONNX name of each node so far."""

    def __init__(self, topology: bytes, weights: bytes) -> None:
        content = json.loads(topology)
        self.graph = Graph()
        self._nodes: list[Node] = content["modelTopology"]["node"]
        self._outputs: dict[str, Any] = content["signature"]["outputs"]
        self._constants = weights_manifest.read(content["weightsManifest"], weights)
        self._values: dict[str, str] = {}

    def model(self) -> onnx.ModelProto:
        """Return the whole net; TensorFlow.js writes nodes in any order."""
        by_name = {node["name"]: node for node in self._nodes}
        waiting = [output["name"].split(":")[0] for output in self._outputs.values()]
        while waiting:
            node = by_name[waiting[-1]]
            inputs = [name.split(":")[0] for name in node.get("input", [])]
            missing = [name for name in inputs if name not in self._values]
            if missing and node["name"] not in self._values:
                waiting += missing
                continue
            waiting.pop()
            if node["name"] not in self._values:
                self._values[node["name"]] = self._lower(node, inputs)
        for output in self._outputs.values():
            name = output["name"].split(":")[0]
            self.graph.output(name.replace("/", "_"), self._values[name], None)
        return onnx.shape_inference.infer_shapes(self.graph.model("tfjs"))

    def weights(self, name: str) -> NDArray[Any]:
        """Return the content of a node that must be constant."""
        return self._constants[name]

    def value(self, name: str) -> str:
        """Return the ONNX name of a node that has been lowered."""
        return self._values[name]

    def _lower(self, node: Node, inputs: list[str]) -> str:
        lower = OPERATORS.get(node["op"])
        if lower is None:
            raise WeightsError(f"no conversion of TensorFlow.js's {node['op']}")
        return lower(self, node, inputs)


Lower: TypeAlias = Callable[[Lowering, Node, list[str]], str]


def _constant(net: Lowering, node: Node, inputs: list[str]) -> str:
    content = net.weights(node["name"])
    integers = content.dtype == np.int32
    return net.graph.integers(content) if integers else net.graph.floats(content)


def _placeholder(net: Lowering, node: Node, inputs: list[str]) -> str:
    sizes = [int(each["size"]) for each in node["attr"]["shape"]["shape"]["dim"]]
    return net.graph.input(node["name"], ["n", *sizes[1:]])


def _convolution(net: Lowering, node: Node, inputs: list[str]) -> str:
    filters = net.weights(inputs[1]).transpose(3, 2, 0, 1)
    return _convolve(net, node, inputs[0], filters, groups=1)


def _depthwise_convolution(net: Lowering, node: Node, inputs: list[str]) -> str:
    height, width, channels, multiplier = net.weights(inputs[1]).shape
    filters = net.weights(inputs[1]).transpose(2, 3, 0, 1)
    filters = filters.reshape(channels * multiplier, 1, height, width)
    return _convolve(net, node, inputs[0], filters, groups=channels)


def _convolve(net: Lowering, node: Node, source: str, filters: NDArray[Any], groups: int) -> str:
    if _integers(node, "dilations") != [1, 1, 1, 1] or _string(node, "padding") != "SAME":
        raise WeightsError("no conversion of dilated or unpadded TensorFlow.js convolutions")
    planes = net.graph.node("Transpose", net.value(source), perm=[0, 3, 1, 2])
    result = net.graph.node(
        "Conv",
        planes,
        net.graph.floats(filters),
        kernel_shape=filters.shape[2:],
        strides=_integers(node, "strides")[1:3],
        group=groups,
        auto_pad="SAME_UPPER",
    )
    return net.graph.node("Transpose", result, perm=[0, 2, 3, 1])


def _fused_product(net: Lowering, node: Node, inputs: list[str]) -> str:
    result = net.graph.node("MatMul", net.value(inputs[0]), net.value(inputs[1]))
    for step in node["attr"]["fused_ops"]["list"]["s"]:
        match base64.b64decode(step):
            case b"BiasAdd":
                result = net.graph.node("Add", result, net.value(inputs[2]))
            case b"Relu":
                result = net.graph.node("Relu", result)
            case other:
                raise WeightsError(f"no conversion of TensorFlow.js's fused {other!r}")
    return result


def _mean(net: Lowering, node: Node, inputs: list[str]) -> str:
    axes = np.atleast_1d(net.weights(inputs[1])).tolist()
    keep = int(node["attr"]["keep_dims"]["b"])
    return net.graph.node("ReduceMean", net.value(inputs[0]), axes=axes, keepdims=keep)


def _same(onnx_operator: str, **attributes: Any) -> Lower:
    def lower(net: Lowering, node: Node, inputs: list[str]) -> str:
        return net.graph.node(onnx_operator, *map(net.value, inputs), **attributes)

    return lower


def _integers(node: Node, attribute: str) -> list[int]:
    return [int(each) for each in node["attr"][attribute]["list"]["i"]]


def _string(node: Node, attribute: str) -> str:
    return base64.b64decode(node["attr"][attribute]["s"]).decode()


OPERATORS: dict[str, Lower] = {
    "Add": _same("Add"),
    "Const": _constant,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise_convolution,
    "Maximum": _same("Max"),
    "Mean": _mean,
    "Minimum": _same("Min"),
    "Mul": _same("Mul"),
    "Placeholder": _placeholder,
    "Relu": _same("Relu"),
    "Sigmoid": _same("Sigmoid"),
    "Softmax": _same("Softmax", axis=-1),
    "_FusedMatMul": _fused_product,
}
