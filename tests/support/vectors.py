"""Vectors with a known cosine."""

import math

import numpy as np

from onlooker.identity.faces import Vectors


def at(cosine: float) -> Vectors:
    """Return a unit vector (192,) at this cosine from the first axis."""
    vector = np.zeros(192, dtype=np.float32)
    vector[0], vector[1] = cosine, math.sqrt(1 - cosine**2)
    return vector
