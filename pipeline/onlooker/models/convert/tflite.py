"""TensorFlow Lite to ONNX, for float convolutional networks (32 or 16 bit weights).

Four-dimensional values, NHWC in the file, are NCHW inside the ONNX graph; the inputs and outputs
stay NHWC, between transposes. The batch is left free.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray

from onlooker.models.card import WeightsError
from onlooker.models.convert import mediapipe
from onlooker.models.convert.graph import Graph

TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
TO_END = np.iinfo(np.int32).max


def convert(data: bytes) -> onnx.ModelProto:
    """Return the model of the TensorFlow Lite file `data`. Raises WeightsError."""
    return Lowering(data).model()


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of the file; inputs and output are tensor numbers."""

    name: str
    inputs: tuple[int, ...]
    output: int
    table: Any
    """The flatbuffers table, for the options."""

    def options(self, kind: type) -> Any:
        """Return the operator's options, which are of the tflite class `kind`."""
        options = kind()
        place = self.table.BuiltinOptions()
        options.Init(place.Bytes, place.Pos)
        return options


class Lowering:
    """A file during its conversion: the ONNX name of each tensor so far."""

    def __init__(self, data: bytes) -> None:
        self.graph = Graph()
        self._file = tflite.Model.GetRootAsModel(data, 0)
        self._net = self._file.Subgraphs(0)
        tensors = [self._net.Tensors(number) for number in range(self._net.TensorsLength())]
        self.shapes = [
            [int(size) for size in tensor.ShapeAsNumpy()] if tensor.ShapeLength() else []
            for tensor in tensors
        ]
        self._constants: dict[int, NDArray[Any]] = {}
        for number, tensor in enumerate(tensors):
            content = self._file.Buffers(tensor.Buffer()).DataAsNumpy()
            # DataAsNumpy returns 0 for an empty buffer: the tensor is computed.
            if not isinstance(content, int) and len(content):
                array = np.frombuffer(content.tobytes(), TYPES[tensor.Type()])
                self._constants[number] = array.reshape(self.shapes[number])
        self._values: dict[int, str] = {}

    def model(self) -> onnx.ModelProto:
        """Return the whole net, operator by operator."""
        for number in map(int, self._net.InputsAsNumpy()):
            given = self.graph.input(self._name(number), ["n", *self.shapes[number][1:]])
            self._values[number] = self.from_file_layout(given, number)
        for place in range(self._net.OperatorsLength()):
            operator = self._operator(place)
            lower = OPERATORS.get(operator.name)
            if lower is None:
                raise WeightsError(f"no conversion of TensorFlow Lite's {operator.name}")
            lower(self, operator)
        for number in map(int, self._net.OutputsAsNumpy()):
            value = self.in_file_layout(number)
            self.graph.output(self._name(number), value, ["n", *self.shapes[number][1:]])
        return self.graph.model("tflite")

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Return the tensor's content as in the file; None if it is computed."""
        return self._constants.get(tensor)

    def weights(self, tensor: int) -> NDArray[np.float32]:
        """Return the content of a tensor that must be constant."""
        return self._constants[tensor].astype(np.float32)

    def integers(self, tensor: int) -> NDArray[np.int64]:
        """Return the content of a tensor that must be constant."""
        return self._constants[tensor].astype(np.int64)

    def value(self, tensor: int) -> str:
        """Return the ONNX name of a tensor, NCHW if it has four dimensions."""
        if tensor not in self._values:
            array = self.weights(tensor)
            layout = array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
            self._values[tensor] = self.graph.floats(layout)
        return self._values[tensor]

    def define(self, tensor: int, value: str, activation: int = 0) -> None:
        """Set the ONNX value of `tensor` to `value` after an activation of TensorFlow Lite."""
        kinds = tflite.ActivationFunctionType
        if activation == kinds.RELU:
            value = self.graph.node("Relu", value)
        elif activation != kinds.NONE:
            raise WeightsError(f"no conversion of TensorFlow Lite's activation {activation}")
        self._values[tensor] = value

    def define_constant(self, tensor: int, content: NDArray[Any]) -> None:
        """Set the content of `tensor`."""
        self._constants[tensor] = content

    def in_file_layout(self, tensor: int) -> str:
        """Return the ONNX name of a tensor, NHWC if it has four dimensions."""
        value = self.value(tensor)
        if len(self.shapes[tensor]) != 4:
            return value
        return self.graph.node("Transpose", value, perm=[0, 2, 3, 1])

    def from_file_layout(self, value: str, tensor: int) -> str:
        """Return the value, NHWC if `tensor` has four dimensions, in the graph's layout."""
        if len(self.shapes[tensor]) != 4:
            return value
        return self.graph.node("Transpose", value, perm=[0, 3, 1, 2])

    def _name(self, tensor: int) -> str:
        name: str = self._net.Tensors(tensor).Name().decode()
        return name.split(":")[0].replace("/", "_")

    def _operator(self, place: int) -> Operator:
        table = self._net.Operators(place)
        kind = self._file.OperatorCodes(table.OpcodeIndex())
        name = NAMES[kind.BuiltinCode()]
        if name == "CUSTOM":
            name = kind.CustomCode().decode()
        inputs = tuple(map(int, table.InputsAsNumpy()))
        return Operator(name, inputs, int(table.OutputsAsNumpy()[0]), table)


def _dequantize(net: Lowering, operator: Operator) -> None:
    # In float models it only converts 16-bit weights to 32 bits.
    net.define_constant(operator.output, net.weights(operator.inputs[0]))


def _convolution(net: Lowering, operator: Operator) -> None:
    options = operator.options(tflite.Conv2DOptions)
    filters = net.weights(operator.inputs[1]).transpose(0, 3, 1, 2)
    _convolve(net, operator, options, filters, groups=1)


def _depthwise_convolution(net: Lowering, operator: Operator) -> None:
    options = operator.options(tflite.DepthwiseConv2DOptions)
    filters = net.weights(operator.inputs[1]).transpose(3, 0, 1, 2)
    _convolve(net, operator, options, filters, groups=net.shapes[operator.inputs[0]][3])


def _convolve(
    net: Lowering, operator: Operator, options: Any, filters: NDArray[np.float32], groups: int
) -> None:
    kernel = filters.shape[2:]
    if (options.DilationHFactor(), options.DilationWFactor()) != (1, 1):
        raise WeightsError("no conversion of TensorFlow Lite's dilated convolutions")
    result = net.graph.node(
        "Conv",
        net.value(operator.inputs[0]),
        net.graph.floats(filters),
        net.graph.floats(net.weights(operator.inputs[2])),
        kernel_shape=kernel,
        group=groups,
        **_strides_and_pads(net, operator, options, kernel),
    )
    net.define(operator.output, result, options.FusedActivationFunction())


def _max_pool(net: Lowering, operator: Operator) -> None:
    options = operator.options(tflite.Pool2DOptions)
    kernel = (options.FilterHeight(), options.FilterWidth())
    placing = _strides_and_pads(net, operator, options, kernel)
    source = net.value(operator.inputs[0])
    result = net.graph.node("MaxPool", source, kernel_shape=kernel, **placing)
    net.define(operator.output, result, options.FusedActivationFunction())


def _strides_and_pads(
    net: Lowering, operator: Operator, options: Any, kernel: Sequence[int]
) -> dict[str, list[int]]:
    """Return ONNX attributes. SAME padding depends on the input's size; an odd pixel comes last."""
    strides = [options.StrideH(), options.StrideW()]
    if options.Padding() == tflite.Padding.VALID:
        return {"strides": strides, "pads": [0, 0, 0, 0]}
    sizes = net.shapes[operator.inputs[0]][1:3]
    total = [
        max(0, (-(-size // stride) - 1) * stride + length - size)
        for size, stride, length in zip(sizes, strides, kernel, strict=True)
    ]
    before = [each // 2 for each in total]
    after = [each - half for each, half in zip(total, before, strict=True)]
    return {"strides": strides, "pads": [*before, *after]}


def _arithmetic(onnx_operator: str, kind: type) -> Callable[[Lowering, Operator], None]:
    def lower(net: Lowering, operator: Operator) -> None:
        four = len(net.shapes[operator.output]) == 4
        values = []
        for tensor in operator.inputs:
            content = net.constant(tensor)
            if content is not None and content.ndim < 2 and four:
                # One number for each channel, which is the last dimension in the file only.
                values.append(net.graph.floats(content.astype(np.float32).reshape(-1, 1, 1)))
            else:
                values.append(net.value(tensor))
        result = net.graph.node(onnx_operator, *values)
        net.define(operator.output, result, operator.options(kind).FusedActivationFunction())

    return lower


def _single(onnx_operator: str) -> Callable[[Lowering, Operator], None]:
    def lower(net: Lowering, operator: Operator) -> None:
        net.define(operator.output, net.graph.node(onnx_operator, net.value(operator.inputs[0])))

    return lower


def _prelu(net: Lowering, operator: Operator) -> None:
    slope = net.weights(operator.inputs[1])
    slope = slope.reshape((1,) * (3 - slope.ndim) + slope.shape).transpose(2, 0, 1)
    source = net.value(operator.inputs[0])
    net.define(operator.output, net.graph.node("PRelu", source, net.graph.floats(slope)))


def _pad(net: Lowering, operator: Operator) -> None:
    pads = net.integers(operator.inputs[1])
    if len(pads) == 4:
        pads = pads[[0, 3, 1, 2]]
    both = net.graph.integers(pads.T.ravel())
    net.define(operator.output, net.graph.node("Pad", net.value(operator.inputs[0]), both))


def _reshape(net: Lowering, operator: Operator) -> None:
    shape = net.graph.integers([-1, *net.shapes[operator.output][1:]])
    result = net.graph.node("Reshape", net.in_file_layout(operator.inputs[0]), shape)
    net.define(operator.output, net.from_file_layout(result, operator.output))


def _strided_slice(net: Lowering, operator: Operator) -> None:
    options = operator.options(tflite.StridedSliceOptions)
    if options.ShrinkAxisMask() or options.EllipsisMask() or options.NewAxisMask():
        raise WeightsError("no conversion of slices that add or drop dimensions")
    begin, end, step = (net.integers(tensor) for tensor in operator.inputs[1:4])
    axes = np.arange(len(begin))
    begin = np.where(options.BeginMask() >> axes & 1, 0, begin)
    # The batch is free: a slice that takes its one image takes them all.
    end = np.where((options.EndMask() >> axes & 1).astype(bool) | (axes == 0), TO_END, end)
    bounds = (net.graph.integers(each) for each in (begin, end, axes, step))
    result = net.graph.node("Slice", net.in_file_layout(operator.inputs[0]), *bounds)
    net.define(operator.output, net.from_file_layout(result, operator.output))


def _custom(lower_values: mediapipe.Lower) -> Callable[[Lowering, Operator], None]:
    def lower(net: Lowering, operator: Operator) -> None:
        values = [net.value(tensor) for tensor in operator.inputs]
        empty = operator.table.CustomOptionsIsNone()
        options = {} if empty else mediapipe.options(operator.table.CustomOptionsAsNumpy())
        size = net.shapes[operator.inputs[0]][1:3]
        net.define(operator.output, lower_values(net.graph, values, options, size))

    return lower


OPERATORS: dict[str, Callable[[Lowering, Operator], None]] = {
    "ABS": _single("Abs"),
    "ADD": _arithmetic("Add", tflite.AddOptions),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise_convolution,
    "DEQUANTIZE": _dequantize,
    "MAX_POOL_2D": _max_pool,
    "MUL": _arithmetic("Mul", tflite.MulOptions),
    "PAD": _pad,
    "PRELU": _prelu,
    "RELU": _single("Relu"),
    "RESHAPE": _reshape,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _arithmetic("Sub", tflite.SubOptions),
    **{name: _custom(lower) for name, lower in mediapipe.OPERATORS.items()},
}
