"""The best vectors of a face's track, and their mean, which is more like its person than each."""

import functools
import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from onlooker.types import Face

MAX_EXEMPLARS = 5
MAX_CACHED_MEANS = 256
"""Tracks whose mean is not computed again while their exemplars are the same."""
APART_SECONDS = 0.3
"""Frames nearer than this hardly differ: only the best one of them is kept."""
FULL_WIDTH = 80.0
"""Width in pixels from which a wider face is no better for the embedder."""

SHARPNESS = (40.0, 90.0)
"""Sharpness at which a face tells next to nothing, and from which a sharper one tells no more."""

Vector = NDArray[np.float32]


class Exemplar(msgspec.Struct, frozen=True):
    """A vector of the track, as float32 in the machine's order, with its weight, 0 to 1."""

    weight: float
    time: float
    vector: bytes


class Gallery(msgspec.Struct):
    """The exemplars of a track, heaviest first."""

    exemplars: list[Exemplar] = []

    def add(self, vector: bytes, weight: float, time: float) -> bool:
        """Keep the vector if it is among the best; return whether it is."""
        near = next((e for e in self.exemplars if abs(e.time - time) < APART_SECONDS), None)
        if near is not None:
            if near.weight >= weight:
                return False
            self.exemplars.remove(near)
        self.exemplars.append(Exemplar(weight, time, vector))
        self.exemplars.sort(key=lambda each: (-each.weight, each.time))
        dropped = self.exemplars[MAX_EXEMPLARS:]
        del self.exemplars[MAX_EXEMPLARS:]
        return not any(each.time == time for each in dropped)

    @property
    def weight(self) -> float:
        """The weight of the best exemplar; 0 if there is none."""
        return self.exemplars[0].weight if self.exemplars else 0.0

    def mean(self) -> Vector | None:
        """Return the mean (dim,) by weight, as long as the exemplars are; None if there is none.

        It may be that of the call before: it cannot be written to.
        """
        return _mean(tuple(self.exemplars)) if self.exemplars else None


@functools.lru_cache(MAX_CACHED_MEANS)
def _mean(exemplars: tuple[Exemplar, ...]) -> Vector:
    vectors = np.stack([vector(each.vector) for each in exemplars])
    weights = np.array([max(each.weight, 1e-6) for each in exemplars], np.float32)
    mean = weights @ vectors / weights.sum()
    length = float(np.linalg.norm(mean))
    if length > 0:
        # Averaging shortens vectors; embedders with Euclidean distances expect the full length.
        lengths = np.linalg.norm(vectors, axis=1)
        mean *= float(weights @ lengths / weights.sum()) / length
    result = np.asarray(mean, np.float32)
    result.flags.writeable = False
    return result


def vector(data: bytes) -> Vector:
    """Return the vector (dim,) that `Face.vector` holds."""
    return np.frombuffer(data, np.float32)


def weight(face: Face) -> float:
    """Return how much a face tells about its person, 0 to 1: size, sharpness and frontality."""
    width = max(0.0, face.box[2] - face.box[0])
    frontal = math.cos(math.radians(face.pose.yaw)) * math.cos(math.radians(face.pose.pitch))
    size = min(1.0, width / FULL_WIDTH)
    blurred, sharp = SHARPNESS
    sharpness = min(max((face.quality.sharpness - blurred) / (sharp - blurred), 0.1), 1.0) ** 2
    return size * sharpness * max(0.1, frontal) * face.score
