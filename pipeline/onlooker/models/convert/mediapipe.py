"""MediaPipe's three custom operators of the attention mesh, in standard ONNX.

The net refines eyes and lips: from the first landmarks it computes the rectangle of a part, turned
so that two of its points are level (Landmarks2TransformMatrix), cuts it out of its own features
(TransformTensorBilinear), and maps the landmarks found in there back to the input
(TransformLandmarks). Landmarks are (n, points, 2 or 3), x and y in pixels of the input;
a matrix is (n, 4, 4), of which the first two rows map output pixels to input pixels:
x_in = m00 x + m01 y + m03, y_in = m10 x + m11 y + m13.

Definitions: MediaPipe, `mediapipe/util/tflite/operations` (Apache-2.0).
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from onlooker.models.convert.graph import Graph

Options: TypeAlias = dict[str, Any]
Lower: TypeAlias = Callable[[Graph, Sequence[str], Options, Sequence[int]], str]
"""Graph, input values, options, and height and width of the first input -> output value."""

X, Y = 0, 1


def options(data: NDArray[np.uint8]) -> Options:
    """Return a custom operator's options, which are a flexbuffers map."""
    return dict(flexbuffers.Loads(bytearray(data)))


def landmarks_to_matrix(
    graph: Graph, values: Sequence[str], options: Options, size: Sequence[int]
) -> str:
    """(n, points, 3) -> (n, 4, 4): the turned rectangle round a subset of the landmarks."""
    (landmarks,) = values
    points = _slice(graph, landmarks, 0, 2, axis=2)
    left, right = (
        graph.node("Gather", points, graph.integers([options[name]]), axis=1)
        for name in ("left_rotation_idx", "right_rotation_idx")
    )
    across = graph.node("Sub", right, left)
    squares = graph.node("Mul", across, across)
    length = graph.node("Sqrt", graph.node("ReduceSum", squares, graph.integers([2]), keepdims=1))
    direction = graph.node("Div", across, length)  # (n, 1, 2): cosine and sine of the turn
    cosine, sine = (_slice(graph, direction, at, at + 1, axis=2) for at in (X, Y))
    first_row = graph.node("Concat", cosine, graph.node("Neg", sine), axis=2)
    second_row = graph.node("Concat", sine, cosine, axis=2)
    turn = graph.node("Concat", first_row, second_row, axis=1)

    subset = graph.node("Gather", points, graph.integers(options["subset_idxs"]), axis=1)
    level = graph.node("MatMul", subset, turn)  # row vectors times R: turned back by the angle
    low = graph.node("ReduceMin", level, axes=[1], keepdims=1)
    high = graph.node("ReduceMax", level, axes=[1], keepdims=1)
    centre = graph.node("Mul", graph.node("Add", low, high), graph.floats(0.5))
    enlarge = graph.floats([options["scale_x"], options["scale_y"]])
    extent = graph.node("Mul", graph.node("Sub", high, low), enlarge)

    # in = R (centre + step * (out - size / 2)), step being input pixels for one output pixel.
    width, height = options["output_width"], options["output_height"]
    step = graph.node("Mul", extent, graph.floats([1 / width, 1 / height]))
    half = graph.node("Mul", step, graph.floats([width / 2, height / 2]))
    corner = graph.node("Transpose", graph.node("Sub", centre, half), perm=[0, 2, 1])
    shift = graph.node("MatMul", turn, corner)
    zero = graph.node("Mul", shift, graph.floats(0))
    top = graph.node("Concat", graph.node("Mul", turn, step), zero, shift, axis=2)
    rest = graph.floats([[0, 0, 1, 0], [0, 0, 0, 1]])
    bottom = graph.node("Add", graph.node("Mul", top, graph.floats(0)), rest)
    return graph.node("Concat", top, bottom, axis=1)


def cut_features(graph: Graph, values: Sequence[str], options: Options, size: Sequence[int]) -> str:
    """Features (n, c, H, W) and a matrix -> (n, c, h, w), bilinear, zeros outside."""
    features, matrix = values
    turn, shift = _affine(graph, matrix)
    height, width = options["output_height"], options["output_width"]
    rows, columns = np.mgrid[:height, :width]
    outputs = np.stack([columns, rows], axis=-1).reshape(1, -1, 2)
    inputs = _map(graph, graph.floats(outputs), turn, shift)
    # GridSample counts from -1 at one edge to 1 at the other; pixel centres are at + 0.5.
    centred = graph.node("Add", inputs, graph.floats(0.5))
    scale = graph.floats([2 / size[1], 2 / size[0]])
    ratios = graph.node("Sub", graph.node("Mul", centred, scale), graph.floats(1))
    grid = graph.node("Reshape", ratios, graph.integers([-1, height, width, 2]))
    return graph.node(
        "GridSample", features, grid, mode="bilinear", padding_mode="zeros", align_corners=0
    )


def landmarks_to_whole(
    graph: Graph, values: Sequence[str], options: Options, size: Sequence[int]
) -> str:
    """Landmarks (n, points, 2) inside the rectangle and its matrix -> pixels of the input."""
    landmarks, matrix = values
    return _map(graph, landmarks, *_affine(graph, matrix))


OPERATORS: dict[str, Lower] = {
    "Landmarks2TransformMatrix": landmarks_to_matrix,
    "TransformTensorBilinear": cut_features,
    "TransformLandmarks": landmarks_to_whole,
}


def _affine(graph: Graph, matrix: str) -> tuple[str, str]:
    """(n, 4, 4) -> its 2 x 2 part transposed, for row vectors, and its shift (n, 1, 2)."""
    rows = _slice(graph, matrix, 0, 2, axis=1)
    turn, shift = _slice(graph, rows, 0, 2, axis=2), _slice(graph, rows, 3, 4, axis=2)
    return (
        graph.node("Transpose", turn, perm=[0, 2, 1]),
        graph.node("Transpose", shift, perm=[0, 2, 1]),
    )


def _map(graph: Graph, points: str, turn: str, shift: str) -> str:
    return graph.node("Add", graph.node("MatMul", points, turn), shift)


def _slice(graph: Graph, value: str, begin: int, end: int, axis: int) -> str:
    bounds = (graph.integers([at]) for at in (begin, end, axis))
    return graph.node("Slice", value, *bounds)
