"""Tesseract's line recognisers: the LSTM network in a `.traineddata` file becomes ONNX.

The file is a table of offsets and the parts at them: the network (its layers depth first, each with
its weights), the characters ("unicharset", text), and the code of each character ("recoder"), which
is a class of the network. The network reads a grey line of a fixed height; its last layer has one
class more, CTC's blank. Source of the format: Tesseract 5, `src/lstm` and `src/ccutil`.
"""

import gzip
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from onlooker.models.card import WeightsError
from onlooker.models.convert.graph import Graph

NETWORK, UNICHARSET, RECODER = 17, 21, 22
"""Numbers of the parts."""
KINDS = (
    *("Invalid", "Input", "Convolve", "Maxpool", "Parallel", "Replicated", "ParBidiLSTM"),
    *("DepParUDLSTM", "Par2dLSTM", "Series", "Reconfig", "RTLReversed", "TTBReversed"),
    *("XYTranspose", "LSTM", "SummLSTM", "Logistic", "LinLogistic", "LinTanh", "Tanh", "Relu"),
    *("Linear", "Softmax"),
)
"""The kinds of layers by number. Newer files have 0, and then the name."""
INTEGERS, DOUBLES = 1, 128
"""Bits of a matrix's mode: weights are bytes with a scale a row; scales and weights are doubles."""
OWN_RATES = 64
"""Bit of a layer's flags: learning rates of its parts follow."""
GATES = 4
"""Of an LSTM along one line: cell input, input, forget, output."""
ONNX_GATES = (1, 3, 2, 0)
"""The same in the order of ONNX: input, output, forget, cell input."""
# Of the local minima and maxima of brightness along the middle row, Tesseract takes these parts for
# ink and paper.
INK_PART, PAPER_PART = 0.25, 0.75
GREY = (0.114, 0.587, 0.299)
"""Shares of blue, green and red in brightness (ITU-R BT.601)."""

Matrix = NDArray[np.float32]
Layer = Callable[[Graph, str], str]
"""Adds itself to a graph: from the name of its input to the name of its output."""


def convert(data: bytes) -> onnx.ModelProto:
    """Return the recogniser in a `.traineddata` file, which may be compressed with gzip.

    Its input is (n, 3, height, width) BGR, 0 to 255, of any height, and its output the
    probabilities (n, columns, classes). Class 0 is the blank and the last one the space; the
    metadata `character` has one line for each of the others. Raises WeightsError if it is no such
    file, or if its network has layers that are not known here.
    """
    try:
        parts = _parts(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        reader = _Reader(parts[NETWORK])
        height, layers, last = _network(reader)
        reader.string()  # the network's description
        _, _, _, blank = reader.take("4i")  # flags and iterations of the training
        characters = _characters(parts[UNICHARSET], parts[RECODER])
    except KeyError as error:
        raise WeightsError(
            f"the file has no part {error}; only Tesseract's LSTM models can be used, not those of "
            "version 3"
        ) from error
    except (struct.error, OSError, EOFError, ValueError, IndexError) as error:
        raise WeightsError(f"no traineddata file of Tesseract: {error}") from error
    space = next((code for code, text in characters.items() if text == " "), None)
    if space is None or blank in characters:
        raise WeightsError("the network has no class for the space, or none for the blank")
    named = sorted(set(characters) - {space})
    classes = [blank, *named, space]

    graph = Graph()
    value = graph.input("x", ["n", 3, "height", "width"])
    value = _normalised(graph, value, height)
    for layer in layers:
        value = layer(graph, value)
    weights = last[classes]
    value = graph.node("MatMul", value, graph.floats(weights[:, :-1].T))
    value = graph.node("Add", value, graph.floats(weights[:, -1]))
    value = graph.node("Softmax", value, axis=-1)
    graph.output("y", value, ["n", "columns", len(classes)])
    model = graph.model("tesseract")
    # Other recognisers end in Softmax itself: `graph_edits.ranked_with_space`.
    model.graph.node.pop()
    model.graph.node[-1].output[0] = "y"
    helper.set_model_props(model, {"character": "\n".join(characters[each] for each in named)})
    return model


class _Reader:
    """Little-endian values, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self._data, self._place)
        self._place += struct.calcsize(f"<{form}")
        return values

    def one(self, form: str) -> Any:
        return self.take(form)[0]

    def string(self) -> str:
        (value,) = self.take(f"{self.one('I')}s")
        return bytes(value).decode()

    def array(self, kind: str, *sizes: int) -> NDArray[Any]:
        count = int(np.prod(sizes))
        values = np.frombuffer(self._data, kind, count, self._place).reshape(sizes)
        self._place += values.nbytes
        return values


def _parts(data: bytes) -> dict[int, bytes]:
    """Return the parts of the file by their numbers."""
    (count,) = struct.unpack_from("<i", data)
    if not 0 < count < 100:
        raise ValueError(f"it would have {count} parts")
    offsets = struct.unpack_from(f"<{count}q", data, 4)
    ends = [*sorted(offset for offset in offsets if offset >= 0), len(data)]
    return {
        number: data[offset : ends[ends.index(offset) + 1]]
        for number, offset in enumerate(offsets)
        if offset >= 0
    }


def _characters(unicharset: bytes, recoder: bytes) -> dict[int, str]:
    """Return the character of each code. Characters of several codes are left out."""
    texts = [line.split(" ")[0] for line in unicharset.decode().split("\n")[1:]]
    reader = _Reader(recoder)
    found: dict[int, str] = {}
    for number in range(reader.one("I")):
        reader.one("b")
        codes = reader.take(f"{reader.one('i')}i")
        if number == 0:
            found[codes[0]] = " "  # written NULL
        elif number > 2 and len(codes) == 1:  # 1 and 2 stand for joined and broken characters
            found.setdefault(codes[0], texts[number])
    return found


def _network(reader: _Reader) -> tuple[int, list[Layer], Matrix]:
    """Return the height of the lines, the layers, and the weights of the last one."""
    kind, flags = _head(reader)
    if kind != "Series":
        raise WeightsError(f"the network is one {kind}, not a series of layers")
    count = reader.one("I")
    kind, _ = _head(reader)
    _, height, _, depth, _ = reader.take("5i")
    if kind != "Input" or depth != 1 or not height:
        raise WeightsError(f"the network takes {depth} channels {height} pixels high; one grey can")
    layers = [_layer(reader) for _ in range(count - 2)]
    kind, _ = _head(reader)
    if kind != "Softmax":
        raise WeightsError(f"the network ends in {kind}, not in Softmax")
    weights = _weights(reader)
    _skip_rates(reader, flags)
    return height, layers, weights


def _skip_rates(reader: _Reader, flags: int) -> None:
    if flags & OWN_RATES:
        reader.array("<f4", reader.one("I"))


def _head(reader: _Reader) -> tuple[str, int]:
    """Return a layer's kind and flags."""
    number = reader.one("b")
    kind = KINDS[number] if number else reader.string()
    _, _, flags, *_ = reader.take("2b4i")
    reader.string()  # its name
    return kind, flags


def _layer(reader: _Reader) -> Layer:
    kind, flags = _head(reader)
    if kind == "Maxpool":
        return _pool(*reader.take("2i"))
    if kind == "LSTM":
        return _along_x(_lstm(reader), "forward")
    parts = reader.one("I") if kind in ("Series", "RTLReversed", "XYTranspose") else 0
    inner = [_head(reader)[0]] if parts else []
    made: Layer | None = None
    if (kind, inner) == ("RTLReversed", ["LSTM"]):
        made = _along_x(_lstm(reader), "reverse")
    elif (kind, inner) == ("XYTranspose", ["SummLSTM"]):
        made = _down(_lstm(reader))
    elif (kind, inner, parts) == ("Series", ["Convolve"], 2):
        half_x, half_y = reader.take("2i")
        inner += [_head(reader)[0]]
        if inner[1] == "Tanh":
            made = _convolution(half_x, half_y, _weights(reader))
    if made is None:
        raise WeightsError(
            f"the network has a layer {' of '.join([kind, *inner])}, which is not known here"
        )
    _skip_rates(reader, flags)
    return made


def _weights(reader: _Reader) -> Matrix:
    """Return a matrix (outputs, inputs + 1); the last column is the bias."""
    mode = reader.one("B")
    if not mode & DOUBLES:
        raise WeightsError("the weights are in the format of Tesseract 4.0 alpha; take newer ones")
    rows, columns = reader.take("2i")
    if not mode & INTEGERS:
        reader.one("d")
        return reader.array("<f8", rows, columns).astype(np.float32)
    reader.one("b")
    integers = reader.array("i1", rows, columns)
    # There may be more scales than rows: padding.
    scales = reader.array("<f8", reader.one("I"))[:rows]
    weights: Matrix = (integers * scales[:, None]).astype(np.float32)
    return weights


def _lstm(reader: _Reader) -> list[Matrix]:
    """Return the matrices of the gates; their inputs are the values, then the states."""
    reader.one("i")
    return [_weights(reader) for _ in range(GATES)]


def _normalised(graph: Graph, value: str, height: int) -> str:
    """Return the line in grey, `height` pixels high, its ink about -1 and its paper about 1.

    Light text on a dark ground is inverted: its mean is nearer to that of its ink.
    """
    grey = graph.node("Conv", value, graph.floats(np.reshape(GREY, (1, 3, 1, 1))))
    # Sizes (n, 1, height, width): the width by the same factor, rounded.
    shape = graph.node("Shape", grey)
    sides = graph.node("Gather", shape, graph.integers([2, 3]), axis=0)
    numbers = graph.node("Cast", sides, to=onnx.TensorProto.FLOAT)
    old = graph.node("Gather", numbers, graph.integers([0]), axis=0)
    factor = graph.node("Div", graph.floats([height]), old)
    scaled = graph.node("Round", graph.node("Mul", numbers, factor))
    least = graph.node("Max", scaled, graph.floats([height, 3]))
    size = graph.node("Cast", least, to=onnx.TensorProto.INT64)
    batch = graph.node("Gather", shape, graph.integers([0, 1]), axis=0)
    grey = graph.node(
        "Resize", grey, "", "", graph.node("Concat", batch, size, axis=0), mode="linear"
    )

    row = graph.node("Gather", grey, graph.integers([height // 2]), axis=2)
    row = graph.node("Squeeze", row, graph.integers([2]))  # (n, 1, width)
    ink = _quantile(graph, row, INK_PART)
    paper = graph.node("Neg", _quantile(graph, graph.node("Neg", row), 1 - PAPER_PART))
    half = graph.node("Mul", graph.node("Sub", paper, ink), graph.floats(0.5))
    half = graph.node("Max", half, graph.floats(1))
    middle = graph.node("Add", ink, half)
    value = graph.node("Div", graph.node("Sub", grey, middle), half)
    value = graph.node("Clip", value, graph.floats(-1), graph.floats(1))
    mean = graph.node("ReduceMean", value, axes=[2, 3])
    dark = graph.node("Less", mean, graph.floats(0))
    sign = graph.node("Where", dark, graph.floats(-1), graph.floats(1))
    return graph.node("Mul", value, sign)


def _quantile(graph: Graph, row: str, part: float) -> str:
    """Return the value (n, 1, 1, 1) below which `part` of the local minima of (n, 1, width) are.

    If there are none, it is that of all pixels.
    """
    before, here, after = (
        graph.node("Slice", row, *(graph.integers([each]) for each in (start, stop, 2)))
        for start, stop in ((0, -2), (1, -1), (2, 2**31 - 1))
    )
    falls = graph.node("Less", here, before)
    rises = graph.node("Less", here, after)
    not_below = graph.node("And", graph.node("LessOrEqual", here, before), rises)
    lowest = graph.node("Or", graph.node("And", falls, graph.node("LessOrEqual", here, after)),
                        not_below)  # fmt: skip
    counts = graph.node("Cast", lowest, to=onnx.TensorProto.FLOAT)
    count = graph.node("ReduceSum", counts, graph.integers([2]))  # (n, 1, 1)
    some = graph.node("Less", graph.floats(0), count)
    kept = graph.node("Or", lowest, graph.node("Not", some))
    width = graph.node("Gather", graph.node("Shape", here), graph.integers([2]), axis=0)
    every = graph.node("Cast", width, to=onnx.TensorProto.FLOAT)
    count = graph.node("Where", some, count, every)
    values = graph.node("Where", kept, here, graph.floats(1e6))
    ordered = graph.node("TopK", values, width, axis=2, largest=0)
    place = graph.node("Floor", graph.node("Mul", count, graph.floats(part)))
    index = graph.node("Cast", place, to=onnx.TensorProto.INT64)
    found = graph.node("GatherElements", ordered, index, axis=2)
    return graph.node("Unsqueeze", found, graph.integers([3]))


def _convolution(half_x: int, half_y: int, weights: Matrix) -> Layer:
    """Return a layer on windows of the image, column by column: linear, then tanh.

    Beyond the image Tesseract puts noise of mean 0, and this 0.
    """
    wide, high = 2 * half_x + 1, 2 * half_y + 1
    kernel = weights[:, :-1].reshape(len(weights), wide, high, -1).transpose(0, 3, 2, 1)

    def add(graph: Graph, value: str) -> str:
        value = graph.node(
            "Conv",
            value,
            graph.floats(kernel),
            graph.floats(weights[:, -1]),
            pads=[half_y, half_x, half_y, half_x],
        )
        return graph.node("Tanh", value)

    return add


def _pool(across: int, down: int) -> Layer:
    sides = [down, across]
    return lambda graph, value: graph.node("MaxPool", value, kernel_shape=sides, strides=sides)


def _down(gates: list[Matrix]) -> Layer:
    """Read each column downwards, and keep the last state: (n, c, h, w) to (n, w, k)."""

    def add(graph: Graph, value: str) -> str:
        shape = graph.node("Shape", value)
        columns = graph.node("Transpose", value, perm=[2, 0, 3, 1])  # (h, n, w, c)
        size = graph.node("Gather", graph.node("Shape", columns), graph.integers([0, 3]), axis=0)
        row, depth = (graph.node("Gather", size, graph.integers([n]), axis=0) for n in (0, 1))
        flat = graph.node("Concat", row, graph.integers([-1]), depth, axis=0)
        states = _recurrent(graph, graph.node("Reshape", columns, flat), gates, "forward")
        last = graph.node("Gather", states, graph.integers([-1]), axis=0)  # (1, n w, k)
        batch, width = (graph.node("Gather", shape, graph.integers([n]), axis=0) for n in (0, 3))
        deep = graph.integers([len(gates[0])])
        return graph.node("Reshape", last, graph.node("Concat", batch, width, deep, axis=0))

    return add


def _along_x(gates: list[Matrix], direction: str) -> Layer:
    """Read a line (n, w, k), or against its direction."""

    def add(graph: Graph, value: str) -> str:
        columns = graph.node("Transpose", value, perm=[1, 0, 2])
        states = _recurrent(graph, columns, gates, direction)
        return graph.node("Transpose", states, perm=[1, 0, 2])

    return add


def _recurrent(graph: Graph, value: str, gates: list[Matrix], direction: str) -> str:
    """Return the states (steps, n, k) of an LSTM for (steps, n, c)."""
    size = len(gates[0])
    matrix = np.concatenate([gates[n] for n in ONNX_GATES])
    inputs, states, bias = matrix[:, : -size - 1], matrix[:, -size - 1 : -1], matrix[:, -1]
    biases = np.concatenate([bias, np.zeros_like(bias)])
    weights = (graph.floats(each[None]) for each in (inputs, states, biases))
    states_of = graph.node("LSTM", value, *weights, hidden_size=size, direction=direction)
    return graph.node("Squeeze", states_of, graph.integers([1]))
