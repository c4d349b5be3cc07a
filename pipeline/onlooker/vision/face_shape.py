"""The shape of faces: the mean mesh, and what a mesh of another shape says.

In a crop that is turned against its face, the mesh model still shows an upright face. Its points
fit badly then, and how they do tells the angle: a small network of our own reads it from them.
`models/training/face_shape.py` makes both.
"""

import numpy as np
from numpy.typing import NDArray

from onlooker.models import own_weights
from onlooker.models.card import OwnWeights

EVERY = 4
"""The network takes one in so many points of the mesh."""


class FaceShape:
    """The mean face, and the network that finds the way up of a face by its mesh."""

    def __init__(self, own: OwnWeights) -> None:
        """Load both. Raises WeightsError if the file has another sha256 than the card."""
        arrays = own_weights.read(own)
        self.mean = arrays["mean"].astype(np.float64)
        """(468, 3): a face that looks at the viewer, about its middle; z points away."""
        self._layers = [
            (arrays[f"weights_{n}"].astype(np.float32), arrays[f"offsets_{n}"].astype(np.float32))
            for n in range(len(arrays) // 2)
        ]

    def lean(self, meshes: NDArray[np.float32]) -> list[complex]:
        """Return how faces are turned against their crops, by their meshes (n, 468, 3) in these.

        The argument of each number is the angle in radians, clockwise; its modulus, 0 to about 1,
        is how certain that is.
        """
        values = features(meshes)
        *hidden, (weights, offsets) = self._layers
        for each, level in hidden:
            values = np.maximum(values @ each + level, 0)
        return [complex(x, y) for x, y in (values @ weights + offsets).tolist()]


def features(meshes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, 351), the network's input: some points about their middle, all of one size."""
    some = meshes[:, ::EVERY]
    centred = some - some.mean(1, keepdims=True)
    size = np.sqrt(np.square(centred[..., :2]).sum((1, 2), keepdims=True) / some.shape[1])
    return np.asarray((centred / size).reshape(len(meshes), -1), np.float32)
