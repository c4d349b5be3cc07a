"""Boxes and alignment; the body is ext/vision/geometry.pyx.

A box is x1, y1, x2, y2 in pixels. Pixel i of a row covers i to i + 1, so its centre is at i + 0.5.
All functions raise ValueError if shapes do not fit.
"""

import numpy as np
from numpy.typing import NDArray

def decode_yunet(
    face: NDArray[np.float32],
    thing: NDArray[np.float32],
    boxes: NDArray[np.float32],
    points: NDArray[np.float32],
    columns: int,
    stride: int,
    threshold: float,
) -> NDArray[np.float32]:
    """Return boxes, scores and points of the cells of a stride that score at least `threshold`.

    `face` and `thing` (cells,) are YuNet's outputs cls and obj; the score is the root of their
    product, each clipped to 0 to 1. `boxes` (cells, 4) and `points` (cells, 10) are its
    outputs bbox and kps, relative to the cell and in units of `stride` pixels; width and height
    are logarithms. Cells lie row after row, `columns` to a row.

    Returns (n, 15), in the order of the cells: x1, y1, x2, y2, score, then x, y of eye left in
    the image, eye right, nose, mouth left, mouth right. Source: Wu, Peng, Yu, "YuNet: A Tiny
    Millisecond-level Face Detector", 2023, and OpenCV's FaceDetectorYN.
    """

def decode_centerface(
    heat: NDArray[np.float32],
    sizes: NDArray[np.float32],
    offsets: NDArray[np.float32],
    points: NDArray[np.float32],
    stride: int,
    threshold: float,
) -> NDArray[np.float32]:
    """Return boxes, scores and points of the cells that score at least `threshold`.

    CenterFace's four outputs over (rows, columns) cells of `stride` pixels. `heat` is the score
    that a face's centre lies in the cell. `sizes` (2, ...) are logarithms of height and width in
    cells, `offsets` (2, ...) the centre's y and x from the middle of the cell, in cells.
    `points` (10, ...) are y, x of the five points from the box's corner, in heights and widths of
    the box.

    Returns (n, 15) as `decode_yunet` does. Source: Xu, Yan, Yang and others, "CenterFace: Joint
    Face Detection and Alignment Using Face as Point", 2019, and its code.
    """

def suppress(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float
) -> NDArray[np.intp]:
    """Return indexes of the boxes that no better box overlaps by more than `overlap`, best first.

    Greedy non-maximum suppression over `boxes` (n, 4) and `scores` (n,); `overlap` is
    intersection over union. Of equal scores the earlier one is better.
    """

def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the intersection over union of each box of `a` (n, 4) and of `b` (m, 4), as (n, m)."""

def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation, scale and shift that best maps `source` to `target`, as a 2 x 3 matrix.

    Least squares over n >= 2 pairs of points, both (n, 2). Without reflection there is a closed
    form that needs no singular value decomposition (Umeyama, "Least-squares estimation of
    transformation parameters between two point patterns", 1991, in two dimensions). Raises
    ValueError if all source points are the same.
    """
