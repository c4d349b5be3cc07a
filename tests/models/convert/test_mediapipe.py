"""MediaPipe's custom operators against a few lines of NumPy."""

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.onnx_graphs import Floats, floats, run

from onlooker.models.convert import mediapipe
from onlooker.models.convert.graph import Graph


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
