"""face-api's networks: the package has weights only, so the graphs are written here.

Both take RGB pixels 0 to 255, NCHW, and normalise inside.
"""

import json
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onlooker.models.convert import weights_manifest
from onlooker.models.convert.graph import Graph

MEAN = np.reshape([122.782, 117.001, 104.298], (1, 3, 1, 1))
"""Mean pixel of both networks' training data, as face-api subtracts it."""


def expression(manifest: bytes, data: bytes) -> onnx.ModelProto:
    """Return the expression net, (n, 3, 112, 112) -> (n, 7): four densely connected blocks."""
    net = Expression(manifest, data)
    graph = net.graph
    centred = graph.node("Sub", graph.input("input", ["n", 3, 112, 112]), graph.floats(MEAN))
    value = graph.node("Div", centred, graph.floats(255))
    for block in ("dense0", "dense1", "dense2", "dense3"):
        value = net.dense_block(value, block)
    pooled = graph.node("AveragePool", value, kernel_shape=[7, 7], strides=[2, 2])
    weights, bias = (graph.floats(net.weights[f"fc/{each}"]) for each in ("weights", "bias"))
    logits = graph.node("Gemm", graph.node("Flatten", pooled), weights, bias)
    graph.output("prob", graph.node("Softmax", logits, axis=1), ["n", 7])
    return graph.model("face_expression")


def embedding(manifest: bytes, data: bytes) -> onnx.ModelProto:
    """Return dlib's face recognition ResNet v1: (n, 3, 150, 150) -> (n, 128), not normalised."""
    net = Embedding(manifest, data)
    graph = net.graph
    centred = graph.node("Sub", graph.input("input", ["n", 3, 150, 150]), graph.floats(MEAN))
    value = graph.node("Mul", centred, graph.floats(1 / 256))
    value = graph.node("Relu", net.convolution(value, "conv32_down", stride=2))
    value = graph.node("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2])
    value = net.blocks(value, "conv32", 3)
    size = 35
    for stage, more, count in (("conv64", 32, 3), ("conv128", 64, 2), ("conv256", 128, 2)):
        value, size = net.down_block(value, f"{stage}_down", more, size)
        value = net.blocks(value, stage, count)
    value, size = net.down_block(value, "conv256_down_out", 0, size)
    pooled = graph.node("Flatten", graph.node("GlobalAveragePool", value))
    product = graph.node("MatMul", pooled, graph.floats(net.weights["fc"]))
    graph.output("embedding", product, ["n", 128])
    return graph.model("dlib_face_recognition_resnet_v1")


class Expression:
    """The expression net while it is being built."""

    def __init__(self, manifest: bytes, data: bytes) -> None:
        self.graph = Graph()
        self.weights = weights_manifest.read(json.loads(manifest), data)

    def dense_block(self, value: str, name: str) -> str:
        """Add four convolutions, each fed with the sum of all before; the first halves the size."""
        if name == "dense0":
            filters = self.weights["dense0/conv0/filters"].transpose(3, 2, 0, 1)
            first = self._convolution(value, filters, self.weights["dense0/conv0/bias"], stride=2)
        else:
            first = self._separable(value, f"{name}/conv0", stride=2)
        total = self.graph.node("Relu", first)
        total = self.graph.node("Add", total, self._separable(total, f"{name}/conv1"))
        for layer in ("conv2", "conv3"):
            fresh = self._separable(self.graph.node("Relu", total), f"{name}/{layer}")
            total = self.graph.node("Add", total, fresh)
        return self.graph.node("Relu", total)

    def _separable(self, value: str, name: str, stride: int = 1) -> str:
        depthwise = self.weights[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1)
        pointwise = self.weights[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1)
        value = self._convolution(value, depthwise, None, stride, groups=len(depthwise))
        return self._convolution(value, pointwise, self.weights[f"{name}/bias"])

    def _convolution(
        self,
        value: str,
        filters: NDArray[Any],
        bias: NDArray[Any] | None,
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        inputs = [value, self.graph.floats(filters)]
        if bias is not None:
            inputs.append(self.graph.floats(bias))
        return self.graph.node(
            "Conv",
            *inputs,
            kernel_shape=filters.shape[2:],
            strides=[stride, stride],
            group=groups,
            auto_pad="SAME_UPPER",
        )


class Embedding:
    """The embedding net while it is being built."""

    def __init__(self, manifest: bytes, data: bytes) -> None:
        self.graph = Graph()
        self.weights = weights_manifest.read(json.loads(manifest), data)

    def blocks(self, value: str, stage: str, count: int) -> str:
        """Add two convolutions beside an identity, `count` times."""
        for number in range(1, 1 + count):
            inner = self._two_convolutions(value, f"{stage}_{number}", stride=1)
            value = self.graph.node("Relu", self.graph.node("Add", inner, value))
        return value

    def down_block(self, value: str, name: str, more: int, size: int) -> tuple[str, int]:
        """Add two convolutions that halve `size`, beside a pooling that gets `more` zero channels.

        The two branches may differ by one pixel; dlib pads with zeros. Returns the new size.
        """
        inner = self._two_convolutions(value, name, stride=2)
        pooled = self.graph.node("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])
        inner_size, pooled_size = (size - 3) // 2 + 1, (size - 2) // 2 + 1
        largest = max(inner_size, pooled_size)
        inner = self._fill(inner, 0, largest - inner_size)
        pooled = self._fill(pooled, more, largest - pooled_size)
        return self.graph.node("Relu", self.graph.node("Add", inner, pooled)), largest

    def convolution(self, value: str, name: str, stride: int) -> str:
        """Add a convolution, with the affine layer after it folded in."""
        scale = self.weights[f"{name}/scale/weights"].astype(np.float64)
        filters = self.weights[f"{name}/conv/filters"].astype(np.float64) * scale
        bias = self.weights[f"{name}/conv/bias"] * scale + self.weights[f"{name}/scale/biases"]
        side = filters.shape[0]
        # dlib pads only if the size is to stay.
        pad = side // 2 if stride == 1 else 0
        return self.graph.node(
            "Conv",
            value,
            self.graph.floats(filters.transpose(3, 2, 0, 1)),
            self.graph.floats(bias),
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[pad] * 4,
        )

    def _two_convolutions(self, value: str, name: str, stride: int) -> str:
        inner = self.graph.node("Relu", self.convolution(value, f"{name}/conv1", stride))
        return self.convolution(inner, f"{name}/conv2", stride=1)

    def _fill(self, value: str, channels: int, pixels: int) -> str:
        if not channels and not pixels:
            return value
        pads = self.graph.integers([0, 0, 0, 0, 0, channels, pixels, pixels])
        return self.graph.node("Pad", value, pads)
