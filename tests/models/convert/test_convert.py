"""Each converter, operator by operator, against a few lines of numpy; models: test_weights."""

import base64
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import msgspec
import numpy as np
import onnx
import pytest
import tflite
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onlooker.models.card import CARDS, Build, Card, WeightsError, card
from onlooker.models.convert import graph_edits, heads, mediapipe, tfjs, weights_manifest
from onlooker.models.convert import tflite as lite
from onlooker.models.convert.graph import Graph

ort = pytest.importorskip("onnxruntime")
Floats = NDArray[np.float32]
RNG = np.random.default_rng(11)


def run(model: onnx.ModelProto, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))


def floats(*shape: int) -> Floats:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


# Naive oracles: one output value at a time, NHWC.


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


# TensorFlow Lite: a file with one operator, made by the format's own builder.


class File:
    """A TensorFlow Lite file that is being written; tensors are numbered as they come."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)
        self._buffers = [self._buffer(b"")]
        self._tensors: list[int] = []

    def tensor(self, name: str, shape: Sequence[int], content: NDArray[Any] | None = None) -> int:
        kinds = {"float32": 0, "float16": 1, "int32": 2}
        buffer = 0
        if content is not None:
            buffer = len(self._buffers)
            self._buffers.append(self._buffer(content.tobytes()))
        label = self.builder.CreateString(name)
        sizes = self._integers(shape, tflite.TensorStartShapeVector)
        tflite.TensorStart(self.builder)
        tflite.TensorAddShape(self.builder, sizes)
        tflite.TensorAddType(self.builder, kinds[str(getattr(content, "dtype", "float32"))])
        tflite.TensorAddBuffer(self.builder, buffer)
        tflite.TensorAddName(self.builder, label)
        self._tensors.append(tflite.TensorEnd(self.builder))
        return len(self._tensors) - 1

    def finish(self, code: int, inputs: Sequence[int], output: int, options: int | None) -> bytes:
        b = self.builder
        takes = self._integers(inputs, tflite.OperatorStartInputsVector)
        gives = self._integers([output], tflite.OperatorStartOutputsVector)
        tflite.OperatorStart(b)
        tflite.OperatorAddInputs(b, takes)
        tflite.OperatorAddOutputs(b, gives)
        if options is not None:
            tflite.OperatorAddBuiltinOptions(b, options)
        operators = self._offsets([tflite.OperatorEnd(b)], tflite.SubGraphStartOperatorsVector)
        tensors = self._offsets(self._tensors, tflite.SubGraphStartTensorsVector)
        first = self._integers(inputs[:1], tflite.SubGraphStartInputsVector)
        last = self._integers([output], tflite.SubGraphStartOutputsVector)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, first)
        tflite.SubGraphAddOutputs(b, last)
        tflite.SubGraphAddOperators(b, operators)
        graphs = self._offsets([tflite.SubGraphEnd(b)], tflite.ModelStartSubgraphsVector)
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, code)
        codes = self._offsets([tflite.OperatorCodeEnd(b)], tflite.ModelStartOperatorCodesVector)
        buffers = self._offsets(self._buffers, tflite.ModelStartBuffersVector)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b))
        return bytes(b.Output())

    def _buffer(self, content: bytes) -> int:
        data = self.builder.CreateByteVector(content) if content else None
        tflite.BufferStart(self.builder)
        if data is not None:
            tflite.BufferAddData(self.builder, data)
        end: int = tflite.BufferEnd(self.builder)
        return end

    def _integers(self, values: Sequence[int], start: Callable[..., Any]) -> int:
        start(self.builder, len(values))
        for value in reversed(values):
            self.builder.PrependInt32(int(value))
        end: int = self.builder.EndVector()
        return end

    def _offsets(self, values: Sequence[int], start: Callable[..., Any]) -> int:
        start(self.builder, len(values))
        for value in reversed(values):
            self.builder.PrependUOffsetTRelative(value)
        end: int = self.builder.EndVector()
        return end


def lower(
    code: int,
    x: Floats,
    shape: Sequence[int],
    *constants: NDArray[Any],
    options: Callable[[flatbuffers.Builder], int] | None = None,
) -> Floats:
    """What the operator, converted, makes of x (1, ...) and the constants."""
    file = File()
    written = options(file.builder) if options else None
    inputs = [file.tensor("x", x.shape)]
    inputs += [file.tensor(f"c{at}", each.shape, each) for at, each in enumerate(constants)]
    output = file.tensor("y", shape)
    model = lite.convert(file.finish(code, inputs, output, written))
    (y,) = run(model, x)
    return np.asarray(y, np.float32)


def striding(kind: str, stride: int, side: int = 0, relu: bool = False) -> Callable[..., int]:
    def options(builder: flatbuffers.Builder) -> int:
        def add(field: str, value: int) -> None:
            getattr(tflite, f"{kind}Add{field}")(builder, value)

        getattr(tflite, f"{kind}Start")(builder)
        add("Padding", tflite.Padding.SAME)
        add("StrideH", stride)
        add("StrideW", stride)
        if side:
            add("FilterHeight", side)
            add("FilterWidth", side)
        add("FusedActivationFunction", tflite.ActivationFunctionType.RELU if relu else 0)
        end: int = getattr(tflite, f"{kind}End")(builder)
        return end

    return options


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(5, 6), (4, 4)])
class TestTfliteWindows:
    def test_convolution(self, stride: int, size: tuple[int, int]) -> None:
        x, filters, bias = floats(1, *size, 3), floats(4, 3, 3, 3), floats(4)
        expected = np.maximum(convolve(x[0], filters.transpose(1, 2, 3, 0), bias, stride), 0)
        y = lower(
            tflite.BuiltinOperator.CONV_2D,
            x,
            [1, *expected.shape],
            filters,
            bias,
            options=striding("Conv2DOptions", stride, relu=True),
        )
        np.testing.assert_allclose(y[0], expected, atol=1e-5)

    def test_depthwise_convolution(self, stride: int, size: tuple[int, int]) -> None:
        x, filters, bias = floats(1, *size, 3), floats(1, 3, 3, 3), floats(3)
        expected = convolve_depthwise(x[0], filters[0], bias, stride)
        y = lower(
            tflite.BuiltinOperator.DEPTHWISE_CONV_2D,
            x,
            [1, *expected.shape],
            filters,
            bias,
            options=striding("DepthwiseConv2DOptions", stride),
        )
        np.testing.assert_allclose(y[0], expected, atol=1e-5)

    def test_max_pool(self, stride: int, size: tuple[int, int]) -> None:
        x = floats(1, *size, 3)
        expected = windows(x[0], 2, stride, -np.inf).max(axis=(2, 3))
        y = lower(
            tflite.BuiltinOperator.MAX_POOL_2D,
            x,
            [1, *expected.shape],
            options=striding("Pool2DOptions", stride, side=2),
        )
        np.testing.assert_array_equal(y[0], expected)


def arithmetic(kind: str) -> Callable[[flatbuffers.Builder], int]:
    def options(builder: flatbuffers.Builder) -> int:
        getattr(tflite, f"{kind}Start")(builder)
        end: int = getattr(tflite, f"{kind}End")(builder)
        return end

    return options


@pytest.mark.parametrize(
    ("code", "options", "oracle"),
    [
        (tflite.BuiltinOperator.ADD, "AddOptions", np.add),
        (tflite.BuiltinOperator.SUB, "SubOptions", np.subtract),
        (tflite.BuiltinOperator.MUL, "MulOptions", np.multiply),
    ],
)
@pytest.mark.parametrize("shape", [(3,), (), (1, 2, 4, 3), (1, 1, 1, 3)])
def test_tflite_arithmetic_with_a_constant(
    code: int, options: str, oracle: Callable[..., Floats], shape: tuple[int, ...]
) -> None:
    x, constant = floats(1, 2, 4, 3), floats(*shape)
    y = lower(code, x, x.shape, constant, options=arithmetic(options))
    np.testing.assert_allclose(y, oracle(x, constant), rtol=1e-6)


def test_tflite_prelu_has_a_slope_for_each_channel() -> None:
    x, slope = floats(1, 2, 4, 3), floats(1, 1, 3)
    y = lower(tflite.BuiltinOperator.PRELU, x, x.shape, slope)
    np.testing.assert_allclose(y, np.where(x > 0, x, x * slope), rtol=1e-6)


def test_tflite_relu_and_abs() -> None:
    x = floats(1, 2, 4, 3)
    relu = lower(tflite.BuiltinOperator.RELU, x, x.shape)
    np.testing.assert_array_equal(relu, np.maximum(x, 0))
    np.testing.assert_array_equal(lower(tflite.BuiltinOperator.ABS, x, x.shape), abs(x))


def test_tflite_pad() -> None:
    x, pads = floats(1, 2, 4, 3), np.array([[0, 0], [1, 2], [0, 1], [0, 4]], np.int32)
    expected = np.pad(x, pads)
    y = lower(tflite.BuiltinOperator.PAD, x, expected.shape, pads)
    np.testing.assert_array_equal(y, expected)


def test_tflite_reshape_keeps_the_files_order() -> None:
    x = floats(1, 2, 4, 3)
    flat = lower(tflite.BuiltinOperator.RESHAPE, x, (1, 24))
    np.testing.assert_array_equal(flat, x.reshape(1, 24))
    folded = lower(tflite.BuiltinOperator.RESHAPE, x, (1, 4, 3, 2))
    np.testing.assert_array_equal(folded, x.reshape(1, 4, 3, 2))


def test_tflite_strided_slice() -> None:
    def options(builder: flatbuffers.Builder) -> int:
        tflite.StridedSliceOptionsStart(builder)
        tflite.StridedSliceOptionsAddBeginMask(builder, 0b0001)
        tflite.StridedSliceOptionsAddEndMask(builder, 0b0100)
        end: int = tflite.StridedSliceOptionsEnd(builder)
        return end

    x = floats(1, 5, 4, 3)
    bounds = ([0, 1, 2, 0], [1, 5, 0, 2], [1, 2, 1, 1])
    constants = [np.array(each, np.int32) for each in bounds]
    y = lower(tflite.BuiltinOperator.STRIDED_SLICE, x, (1, 2, 2, 2), *constants, options=options)
    np.testing.assert_array_equal(y, x[:, 1:5:2, 2:, :2])


def test_an_operator_that_is_not_known_is_named() -> None:
    with pytest.raises(WeightsError, match="TensorFlow Lite's FLOOR"):
        lower(tflite.BuiltinOperator.FLOOR, floats(1, 3), (1, 3))


# MediaPipe's custom operators.


def custom(
    operator: str,
    options: dict[str, Any],
    size: tuple[int, int],
    *inputs: Floats,
) -> NDArray[Any]:
    graph = Graph()
    names = [graph.input(f"x{at}", list(each.shape)) for at, each in enumerate(inputs)]
    value = mediapipe.OPERATORS[operator](graph, names, options, size)
    graph.output("y", value, ["n"] * inputs[0].ndim)
    (y,) = run(graph.model("custom"), *inputs)
    return y


RECTANGLE = {
    "subset_idxs": [0, 1, 2, 3],
    "left_rotation_idx": 0,
    "right_rotation_idx": 1,
    "scale_x": 1.5,
    "scale_y": 2.0,
    "output_width": 8,
    "output_height": 4,
}


@settings(max_examples=20, deadline=None)
@given(angle=st.floats(-3, 3), x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_the_rectangle_of_turned_landmarks_is_turned(angle: float, x: float, y: float) -> None:
    # Four corners of a 10 x 6 rectangle round (x, y); corners 0 and 1 are level before the turn.
    corners = np.array([[-5, -3], [5, -3], [5, 3], [-5, 3]])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    landmarks = np.zeros((1, 5, 3), np.float32)
    landmarks[0, :4, :2] = corners @ turn.T + [x, y]
    landmarks[0, 4] = [1e3, 1e3, 1e3]  # not in the subset
    matrix = custom("Landmarks2TransformMatrix", RECTANGLE, (5, 3), landmarks)[0]
    # The output's corners lie on the rectangle, enlarged, and its middle on the middle.
    for out, enlarged in (((0, 0), (-7.5, -6)), ((8, 4), (7.5, 6)), ((4, 2), (0, 0))):
        mapped = matrix[:2, :2] @ out + matrix[:2, 3]
        np.testing.assert_allclose(mapped, turn @ enlarged + [x, y], atol=1e-3)
    np.testing.assert_array_equal(matrix[2:], [[0, 0, 1, 0], [0, 0, 0, 1]])


def affine() -> Floats:
    matrix = np.eye(4, dtype=np.float32)[None]
    matrix[0, :2, :2] = [[0.9, -0.4], [0.5, 1.1]]
    matrix[0, :2, 3] = [1.5, -0.75]
    return matrix


def test_features_are_cut_bilinearly_with_zeros_outside() -> None:
    features, matrix = floats(1, 2, 6, 5), affine()
    cut = custom(
        "TransformTensorBilinear",
        {"output_height": 4, "output_width": 3},
        (6, 5),
        features,
        matrix,
    )
    assert cut.shape == (1, 2, 4, 3)
    padded = np.pad(features[0], ((0, 0), (9, 9), (9, 9)))
    for row, column in np.ndindex(4, 3):
        x, y = matrix[0, :2, :2] @ (column, row) + matrix[0, :2, 3]
        left, top = math.floor(x), math.floor(y)
        fx, fy = x - left, y - top
        four = padded[:, top + 9 : top + 11, left + 9 : left + 11]
        weights = np.array([[1 - fy], [fy]]) * np.array([1 - fx, fx])
        expected = (four * weights).sum(axis=(1, 2))
        np.testing.assert_allclose(cut[0, :, row, column], expected, atol=1e-5)


def test_landmarks_are_put_back() -> None:
    landmarks, matrix = floats(1, 7, 2), affine()
    whole = custom("TransformLandmarks", {}, (7, 2), landmarks, matrix)
    expected = [matrix[0, :2, :2] @ point + matrix[0, :2, 3] for point in landmarks[0]]
    np.testing.assert_allclose(whole[0], expected, rtol=1e-5)


# TensorFlow.js.


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


def test_tfjs_names_what_it_does_not_know() -> None:
    with pytest.raises(WeightsError, match=r"TensorFlow.js's Erf"):
        graph_model([{"name": "y", "op": "Erf", "input": ["x"]}], {}, (3,))


def test_weight_lists_are_widened() -> None:
    manifest: list[dict[str, Any]] = [
        {
            "weights": [
                {
                    "name": "bytes",
                    "shape": [2, 2],
                    "dtype": "float32",
                    "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1},
                },
                {
                    "name": "halves",
                    "shape": [3],
                    "dtype": "float32",
                    "quantization": {"dtype": "float16"},
                },
            ]
        },
        {"weights": [{"name": "number", "shape": [], "dtype": "int32"}]},
    ]
    halves = np.array([0.5, -2, 7], np.float16)
    data = bytes([0, 1, 2, 255]) + halves.tobytes() + np.int32(-3).tobytes()
    tensors = weights_manifest.read(manifest, data)
    np.testing.assert_array_equal(tensors["bytes"], [[-1, -0.5], [0, 126.5]])
    np.testing.assert_array_equal(tensors["halves"], [0.5, -2, 7])
    assert tensors["number"] == -3
    assert tensors["bytes"].dtype == tensors["halves"].dtype == np.float32
    with pytest.raises(WeightsError, match="describes 14 bytes, its file has 15"):
        weights_manifest.read(manifest, data + b"x")


# Edits.


def test_denormal_weights_are_zeroed_and_no_others() -> None:
    graph = Graph()
    tiny = np.finfo(np.float32).tiny
    weights = np.array([1, tiny, tiny / 2, -tiny / 4, 0, -tiny], np.float32)
    total = graph.node("Add", graph.input("x", [6]), graph.floats(weights))
    graph.output("y", total, [6])
    model = graph.model("small")
    assert graph_edits.count_denormals(model.SerializeToString()) == 2
    graph_edits.zero_denormals(model)
    assert graph_edits.count_denormals(model.SerializeToString()) == 0
    (kept,) = (numpy_helper.to_array(each) for each in model.graph.initializer)
    np.testing.assert_array_equal(kept, [1, tiny, 0, 0, 0, -tiny])


def reader(alphabet: str) -> tuple[onnx.ModelProto, Floats, Floats]:
    """A linear layer and a softmax over blank, alphabet and space; its weights and bias."""
    weights, bias = floats(5, len(alphabet) + 2), floats(len(alphabet) + 2)
    graph = Graph()
    product = graph.node("MatMul", graph.input("x", ["n", "columns", 5]), graph.floats(weights))
    logits = graph.node("Identity", graph.node("Add", product, graph.floats(bias)))
    graph.node("Softmax", logits, axis=2)
    graph.output("unused", logits, [])
    model = graph.model("reader")
    del model.graph.node[-1:], model.graph.output[:]  # the graph ends in the softmax
    helper.set_model_props(model, {"character": "\n".join(alphabet)})
    return model, weights, bias


def greedy_card(vocabulary: Any) -> Card:
    build = Build(format="onnx", edits=("greedy",), vocabulary=vocabulary)
    return msgspec.structs.replace(card("ppocrv6_rec_small"), build=build)


@pytest.mark.parametrize(
    ("vocabulary", "kept", "characters"),
    [("latin", [0, 1, 3, 5], "a\né\n "), ("all", [0, 1, 2, 3, 4, 5], "a\n中\né\n♥\n ")],
)
def test_greedy_answers_with_the_best_class_of_the_vocabulary(
    vocabulary: str, kept: list[int], characters: str
) -> None:
    model, weights, bias = reader("a中é♥")
    graph_edits.greedy(model, greedy_card(vocabulary))
    x = floats(2, 7, 5)
    index, probability = run(model, x)
    exponent = np.exp((x @ weights + bias)[..., kept])
    ratios = exponent / exponent.sum(axis=2, keepdims=True)
    np.testing.assert_array_equal(index, ratios.argmax(axis=2))
    np.testing.assert_allclose(probability, ratios.max(axis=2), rtol=1e-5)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["character"] == characters


def test_greedy_refuses_a_graph_that_is_not_a_reader() -> None:
    graph = Graph()
    graph.output("y", graph.input("x", [1, 2, 3]), [1, 2, 3])
    model = graph.model("none")
    helper.set_model_props(model, {"character": "a"})
    with pytest.raises(WeightsError, match="ends in Identity, not in Softmax"):
        graph_edits.greedy(model, greedy_card("latin"))
    model, _, _ = reader("ab")
    helper.set_model_props(model, {"character": "a\nb\n中"})
    with pytest.raises(WeightsError, match="0 weights have 5 classes"):
        graph_edits.greedy(model, greedy_card("latin"))
    with pytest.raises(WeightsError, match=r"needs build.vocabulary"):
        graph_edits.greedy(model, greedy_card(None))


def two_convolutions(unused: int, *, twice: bool) -> tuple[onnx.ModelProto, str, str]:
    """64 channels, of which the second convolution has (denormal) nothing for `unused`."""
    graph = Graph()
    first, second = floats(64, 8, 1, 1), floats(24, 64, 1, 1)
    second[:, RNG.permutation(64)[:unused]] = 1e-39
    names = graph.floats(first), graph.floats(second)
    middle = graph.node("Conv", graph.input("x", [1, 8, 5, 7]), names[0])
    middle = graph.node("Add", middle, graph.floats(floats(1, 64, 1, 1)))
    middle = graph.node("Mul", middle, graph.node("Erf", middle))
    graph.output("y", graph.node("Conv", middle, names[1]), [1, 24, 5, 7])
    if twice:
        graph.output("z", graph.node("GlobalAveragePool", middle), [1, 64, 1, 1])
    return graph.model("block"), *names


@pytest.mark.parametrize(("unused", "left"), [(0, 64), (10, 64), (16, 48), (31, 48), (50, 16)])
def test_unused_channels_are_dropped_and_nothing_changes(unused: int, left: int) -> None:
    model, first, second = two_convolutions(unused, twice=False)
    x = floats(1, 8, 5, 7)
    before = run(model, x)
    graph_edits.drop_unused(model, card("ppocrv6_det_small"))
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    assert (shapes[first][0], shapes[second][1]) == (left, left)
    np.testing.assert_allclose(run(model, x), before, atol=1e-5)


def test_channels_that_something_else_looks_at_stay() -> None:
    model, first, _ = two_convolutions(32, twice=True)
    graph_edits.drop_unused(model, card("ppocrv6_det_small"))
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    assert shapes[first][0] == 64
    run(model, floats(1, 8, 5, 7))


def test_a_free_size_is_free() -> None:
    graph = Graph()
    pooled = graph.node("MaxPool", graph.input("x", [1, 3, 8, 8]), kernel_shape=[2, 2])
    cells = graph.node("Reshape", pooled, graph.integers([1, -1, 3]))
    graph.output("cells", cells, [1, 49, 3])
    model = graph.model("detector")
    graph_edits.free_size(model, card("yunet"))
    (y,) = run(model, floats(1, 3, 5, 9))
    assert y.shape == (1, 4 * 8, 3)


@pytest.mark.parametrize("colour", ["BGR", "RGB"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("mean", "scale"),
    [((0, 0, 0), (1, 1, 1)), ((0, 0, 0), (1 / 255, 0.3, 2)), ((123.7, 116.3, 103.5), (0.1, 2, 1))],
)
def test_a_model_takes_pictures_as_its_card_says(
    colour: Any, layout: Any, mean: Any, scale: Any
) -> None:
    shape: list[Any] = (
        ["n", 3, "height", "width"] if layout == "NCHW" else ["n", "height", "width", 3]
    )
    graph = Graph()
    graph.output("y", graph.node("Neg", graph.input("x", shape)), shape)
    model = graph.model("network")
    takes = {"colour": colour, "layout": layout, "mean": mean, "scale": scale}
    graph_edits.take_images(model, msgspec.structs.replace(card("yunet"), **takes))
    [taken] = model.graph.input
    sizes = [each.dim_value or each.dim_param for each in taken.type.tensor_type.shape.dim]
    assert sizes == ["n", "height", "width", 3]

    pictures = RNG.integers(0, 256, (2, 5, 7, 3), np.uint8)
    [y] = run(model, pictures)
    turned = pictures[..., ::-1] if colour == "RGB" else pictures
    expected = -(turned - np.array(mean, np.float32)) * np.array(scale, np.float32)
    expected = expected.transpose(0, 3, 1, 2) if layout == "NCHW" else expected
    np.testing.assert_array_equal(y, expected)


def test_a_model_that_takes_more_than_a_picture_is_refused() -> None:
    graph = Graph()
    total = graph.node("Add", graph.input("x", [1, 3, 4, 4]), graph.input("weights", [1]))
    graph.output("y", total, [1, 3, 4, 4])
    with pytest.raises(WeightsError, match=r'yunet: the graph takes x, weights, .*"own_weights"'):
        graph_edits.take_images(graph.model("old"), card("yunet"))


def test_weights_that_are_inputs_too_become_weights_only() -> None:
    weights = numpy_helper.from_array(floats(2, 2), "weights")
    inputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 2])
        for name in ("x", "weights")
    ]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 2])
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    graph = helper.make_graph([node], "old", inputs, [output], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=3)
    graph_edits.own_weights(model, card("centerface"))
    assert [each.name for each in model.graph.input] == ["x"]
    onnx.checker.check_model(model)
    x = floats(2, 2)
    [y] = run(model, x)
    np.testing.assert_allclose(y, x @ numpy_helper.to_array(weights), rtol=1e-5)


def features(channels: int) -> onnx.ModelProto:
    """A map (n, 7, 7, channels), pooled as faceres does, with an age beside it."""
    shape: list[str | int | None] = ["n", 7, 7, channels]
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
    outputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", channels])
        for name in ("age_pred_Softmax", "global_pooling_Mean")
    ]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["pooled"], axes=[1, 2], keepdims=0),
        helper.make_node("Identity", ["pooled"], ["global_pooling_Mean"]),
        helper.make_node("Softmax", ["pooled"], ["age_pred_Softmax"]),
    ]
    graph = helper.make_graph(nodes, "trunk", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_heads_look_at_the_rows_of_the_map() -> None:
    faceres = card("faceres")
    assert faceres.build.heads is not None
    model = features(1024)
    heads.heads(model, faceres)
    assert [each.name for each in model.graph.output] == ["age_pred_Softmax", "heads"]
    onnx.checker.check_model(model)
    x = np.random.default_rng(3).uniform(0, 3, (2, 7, 7, 1024)).astype(np.float32)
    _, odds = run(model, x)
    with np.load(CARDS / faceres.build.heads.file) as own:
        rows = x.mean(2).reshape(2, -1)
        expected = rows @ own["weights"].astype(np.float32) + own["offsets"]
    np.testing.assert_allclose(odds, expected, rtol=1e-3, atol=1e-3)


def test_heads_of_another_file_are_refused() -> None:
    faceres = card("faceres")
    assert faceres.build.heads is not None
    other = msgspec.structs.replace(faceres.build.heads, sha256="0" * 64)
    wrong = msgspec.structs.replace(
        faceres, build=msgspec.structs.replace(faceres.build, heads=other)
    )
    with pytest.raises(WeightsError, match=r"the card of faceres has 0000.*if you trained it"):
        heads.heads(features(8), wrong)
    with pytest.raises(WeightsError, match=r"the edit heads needs build\.heads"):
        heads.heads(features(8), card("yunet"))
