"""The parts of `onlooker.vision` as functions of one image, which is what most tests have."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from onlooker.config import schema
from onlooker.media.picture import Picture
from onlooker.types import Attributes, Face, TextLine, TextQuad
from onlooker.vision import attributes, embed, faces, mesher, text_finder, text_reader
from onlooker.vision.mesh import MeshedFace


class FaceFinder:
    def __init__(self, settings: schema.Faces | None = None, provider: str = "cpu") -> None:
        self.whole = faces.FaceFinder(settings or schema.Faces(), provider)

    def __call__(self, picture: Picture) -> tuple[Face, ...]:
        return self.whole([picture])[0]


class Mesher:
    def __init__(self, provider: str = "cpu") -> None:
        self.whole = mesher.Mesher(provider)

    def __call__(self, picture: Picture, found: Sequence[Face]) -> list[MeshedFace]:
        return self.whole([picture] * len(found), found)


class FaceDescriber:
    def __init__(self, provider: str = "cpu") -> None:
        self.whole = attributes.FaceDescriber(provider)

    def __call__(
        self,
        picture: Picture,
        found: Sequence[MeshedFace],
        wanted: Collection[str] = attributes.EVERYTHING,
    ) -> list[Attributes]:
        return self.whole([picture] * len(found), found, wanted)


class FaceEmbedder:
    def __init__(self, settings: schema.Faces | None = None, provider: str = "cpu") -> None:
        self.whole = embed.FaceEmbedder(settings or schema.Faces(), provider)
        self.space = self.whole.space

    def __call__(self, picture: Picture, found: Sequence[MeshedFace]) -> NDArray[np.float32]:
        return self.whole([picture] * len(found), found)


class TextFinder:
    def __init__(self, settings: schema.Text | None = None, provider: str = "cpu") -> None:
        self.whole = text_finder.TextFinder(settings or schema.Text(), provider)

    def __call__(self, picture: Picture) -> tuple[TextQuad, ...]:
        return self.whole([picture])[0]


class TextReader:
    def __init__(self, settings: schema.Text | None = None, provider: str = "cpu") -> None:
        self.whole = text_reader.TextReader(settings or schema.Text(), provider)

    def __call__(self, picture: Picture, quads: Sequence[TextQuad]) -> tuple[TextLine, ...]:
        return self.whole([picture], [quads])[0]
