"""TensorFlow Lite's operators, one file each, against a few lines of NumPy."""

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tflite
from numpy.typing import NDArray
from tests.support.onnx_graphs import Floats, convolve, convolve_depthwise, floats, run, windows

from onlooker.models.card import WeightsError
from onlooker.models.convert import tflite as lite


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


def test_an_unknown_operator_is_named_in_the_error() -> None:
    with pytest.raises(WeightsError, match="TensorFlow Lite's FLOOR"):
        lower(tflite.BuiltinOperator.FLOOR, floats(1, 3), (1, 3))
