"""Faces into vectors that are near each other for one person."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.card import WeightsError
from onlooker.media.image import Picture
from onlooker.types import Face
from onlooker.vision import geometry, pixels, runtime
from onlooker.vision.crops import crop


class FaceEmbedder:
    """Turns faces into vectors that are near each other for one person.

    dim: length of a vector. card: the model's card, with the calibration of Similarity.
    """

    def __init__(self, name: str, provider: str) -> None:
        self._model = runtime.load(name, provider)
        self.card = self._model.card
        embedder = self.card.embedder
        if embedder is None:
            raise WeightsError(f"{name} is no face embedder; it {self.card.task}")
        self.dim = embedder.dim
        self._chip = embedder.chip
        self._template = np.array(embedder.template)
        self._unit = embedder.calibration.metric == "cosine"

    def __call__(self, picture: Picture, faces: Sequence[Face]) -> NDArray[np.float32]:
        """One row (dim,) for each face: of unit length for a cosine embedder, else as it is."""
        if not faces:
            return np.empty((0, self.dim), np.float32)
        chips = np.empty((len(faces), *self._shape()), np.float32)
        for face, chip in zip(faces, chips, strict=True):
            self._fill(chip, picture, face)
        (vectors,) = self._model(chips)
        if self._unit:
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors, np.float32)

    def _shape(self) -> tuple[int, int, int]:
        side = self._chip
        return (3, side, side) if self.card.layout == "NCHW" else (side, side, 3)

    def _fill(self, out: NDArray[np.float32], picture: Picture, face: Face) -> None:
        """The face upright and at the size that the model knows, normalised."""
        matrix = geometry.similarity(np.array(face.points), self._template)
        chip = crop(
            picture,
            matrix,
            self._chip,
            self._chip,
            interpolation=cv2.INTER_LINEAR,
            border=cv2.BORDER_CONSTANT,
        )
        normalise = pixels.to_planes if self.card.layout == "NCHW" else pixels.to_pixels
        normalise(chip, out, self.card.mean, self.card.scale, swap=self.card.colour == "RGB")
