"""Rekognition's Similarity, 0 to 100, of vectors of one embedder's space."""

import math

import numpy as np

from onlooker.identity.faces import Vectors
from onlooker.identity.user_table import Likeness
from onlooker.models.card import Calibration, Space

EQUAL_COSINE = 0.9999
EQUAL_DISTANCE = 0.02
"""Vectors at least this near are of the same image. The distance corresponds to the cosine for
vectors of length 1.4, as dlib's are."""


def similarity(value: float, calibration: Calibration) -> float:
    """Return Rekognition's Similarity, 0 to 100, of a cosine or a Euclidean distance.

    It is the card's logistic curve, 100 / (1 + exp(-slope (value - midpoint))), and exactly 100 for
    the same image, as in the real service.
    """
    cosine = calibration.metric == "cosine"
    if value >= EQUAL_COSINE if cosine else value <= EQUAL_DISTANCE:
        return 100.0
    # The same curve in a form that does not overflow.
    return 50 * (1 + math.tanh(calibration.slope * (value - calibration.midpoint) / 2))


def likeness(space: Space) -> Likeness:
    """Return the function from two vectors (dim,) of `space`, or means of some, to Similarity."""
    calibration = space.calibration

    def similarity_of(one: Vectors, other: Vectors) -> float:
        if calibration.metric == "cosine":
            value = float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
        else:
            value = float(np.linalg.norm(one - other))
        return similarity(value, calibration)

    return similarity_of


def similarities(vector: Vectors, others: Vectors, space: Space) -> list[float]:
    """Return the Similarity of a face's vector (dim,) of `space` to each of others (n, dim)."""
    calibration = space.calibration
    if calibration.metric == "cosine":
        values = others @ vector
    else:
        values = np.linalg.norm(others - vector, axis=1)
    return [similarity(value, calibration) for value in values.tolist()]
