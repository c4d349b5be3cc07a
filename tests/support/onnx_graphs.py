"""ONNX graphs under test: run, and compared with naive oracles, NHWC, one value at a time."""

import math
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

ort = pytest.importorskip("onnxruntime")
Floats = NDArray[np.float32]
RNG = np.random.default_rng(11)


def run(model: onnx.ModelProto, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))


def with_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with an operator for each of its weights, as Paddle's exporter writes it."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    weights = [
        helper.make_node("Constant", [], [each.name], value=each) for each in graph.initializer
    ]
    nodes = [*weights, *graph.node]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    return changed


def floats(*shape: int) -> Floats:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def windows(x: Floats, side: int, stride: int, fill: float) -> Floats:
    """(h, w, c) -> (h', w', side, side, c): what each output sees under SAME padding."""
    height, width, channels = x.shape
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    out = np.full((rows, columns, side, side, channels), fill, np.float32)
    top = max(0, (rows - 1) * stride + side - height) // 2
    left = max(0, (columns - 1) * stride + side - width) // 2
    for r, c, i, j in np.ndindex(rows, columns, side, side):
        y, z = r * stride + i - top, c * stride + j - left
        if 0 <= y < height and 0 <= z < width:
            out[r, c, i, j] = x[y, z]
    return out


def convolve(x: Floats, filters: Floats, bias: Floats, stride: int) -> Floats:
    """filters: (side, side, in, out)."""
    seen = windows(x, filters.shape[0], stride, 0.0)
    return np.asarray(np.einsum("rcijk,ijko->rco", seen, filters) + bias, np.float32)


def convolve_depthwise(x: Floats, filters: Floats, bias: Floats, stride: int) -> Floats:
    """filters: (side, side, channels)."""
    seen = windows(x, filters.shape[0], stride, 0.0)
    return np.asarray(np.einsum("rcijk,ijk->rck", seen, filters) + bias, np.float32)
