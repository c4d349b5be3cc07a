"""Face embeddings: vectors that are near each other for one person."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onlooker.config import schema
from onlooker.media.picture import Picture
from onlooker.models import card, session
from onlooker.models.card import WeightsError
from onlooker.vision import geometry
from onlooker.vision.crops import batch
from onlooker.vision.mesh import STABLE, MeshedFace


class FaceEmbedder:
    """The embedder, or the embedders side by side, that the settings name.

    Upright chips of one size are aligned to the points of each face's mesh; if no mesh fits, to the
    detector's five, which follow a profile, but not a leaning head.
    """

    @staticmethod
    def cards(settings: schema.Faces) -> list[str]:
        """Return the names of the model cards that the embedder needs.

        Raises WeightsError if the settings name a model that is no face embedder.
        """
        try:
            return card.space(settings.embedder).name.split("+")
        except WeightsError as error:
            raise WeightsError(f"[faces] embedder: {error}") from error

    def __init__(self, settings: schema.Faces, provider: str) -> None:
        self.space = card.space(settings.embedder)
        self._parts = [
            _Embedder(name, provider, settings.mirrored) for name in self.cards(settings)
        ]

    def __call__(
        self, pictures: Sequence[Picture], faces: Sequence[MeshedFace]
    ) -> NDArray[np.float32]:
        """Return (n, space.dim): a vector for each face, which is in the picture of its place."""
        points = [
            np.array(each.mesh.points[STABLE, :2] if each.mesh and each.fits else each.face.points)
            for each in faces
        ]
        parts = [part(pictures, points) for part in self._parts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


class _Embedder:
    """One model; if `mirrored`, its mean over the chip and the mirrored chip."""

    def __init__(self, name: str, provider: str, mirrored: bool) -> None:
        self._model = session.load(name, provider)
        self._card = self._model.card
        if self._card.embedder is None:
            raise WeightsError(f"{name} is no face embedder; it {self._card.task}")
        self._embedder = self._card.embedder
        self._templates = {
            len(places): np.array(places)
            for places in (self._embedder.template, self._embedder.mesh_template)
        }
        self._mirrored = mirrored

    def __call__(
        self, pictures: Sequence[Picture], points: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.float32]:
        """Return (n, dim): vectors of length 1 for a cosine embedder, raw ones for others."""
        if not points:
            return np.empty((0, self._embedder.dim), np.float32)
        matrices = (geometry.similarity(each, self._templates[len(each)]) for each in points)
        chips = batch(pictures, matrices, self._card)
        (vectors,) = self._model(chips)
        if self._mirrored:
            (other,) = self._model(np.ascontiguousarray(np.flip(chips, 2)))
            vectors = (vectors + other) / 2
        if self._embedder.calibration.metric == "cosine":
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors, np.float32)
