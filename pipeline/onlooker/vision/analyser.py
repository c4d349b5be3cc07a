"""All that looks at pictures, loaded once: one set of models, for one thread at a time."""

from collections.abc import Collection, Sequence
from typing import cast

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker.config.schema import Config, QualityFilter
from onlooker.media.image import Picture, Still
from onlooker.models.card import space
from onlooker.rekognition.face_detail import face_detail, fields
from onlooker.rekognition.shapes import FaceDetail, Reason
from onlooker.types import Face, Pose, Quality, TextLine
from onlooker.vision.attributes import FaceDescriber
from onlooker.vision.embed import FaceEmbedder
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesher, Seen
from onlooker.vision.quality import reasons
from onlooker.vision.text import TextFinder, TextReader


class Analyser:
    """Finds, describes and embeds faces, and reads text. Not for two threads at once."""

    def __init__(self, settings: Config) -> None:
        provider = settings.runtime.provider
        self.space = space(settings.faces.embedder)
        self._meshed = settings.faces.mesh
        self._find = FaceFinder(settings.faces, provider)
        self._lay = Mesher(provider)
        self._describe = FaceDescriber(provider)
        self._embed = FaceEmbedder(settings.faces, provider)
        self._find_text = TextFinder(settings.text, provider)
        self._read = TextReader(settings.text, provider)

    def warm(self) -> None:
        """Load what is loaded when first needed, so that no request waits for it."""
        picture = Still(np.zeros((128, 128, 3), np.uint8))
        face = Face(
            box=(32.0, 32.0, 96.0, 96.0),
            score=1.0,
            points=((48.0, 56.0), (80.0, 56.0), (64.0, 70.0), (52.0, 82.0), (76.0, 82.0)),
            pose=Pose(roll=0.0, yaw=0.0, pitch=0.0),
            quality=Quality(brightness=0.0, sharpness=0.0),
        )
        self.find(picture)
        self.text(picture)
        seen = self.lay(picture, [face])
        self.details(picture, seen, ["ALL"])
        self.vectors(picture, seen)

    def find(self, picture: Picture) -> tuple[Face, ...]:
        """The faces of a picture, largest first."""
        return self._find(picture)

    def lay(self, picture: Picture, faces: Sequence[Face]) -> list[Seen]:
        """The same faces with their meshes."""
        return self._lay(picture, faces)

    def details(
        self, picture: Picture, seen: Sequence[Seen], attributes: Collection[str]
    ) -> list[FaceDetail]:
        """What Amazon's `attributes` ask for of each face."""
        told = self._describe(picture, seen, fields(attributes))
        size = picture.width, picture.height
        return [
            face_detail(replace(one.face, attributes=some), size, attributes)
            for one, some in zip(seen, told, strict=True)
        ]

    def vectors(self, picture: Picture, seen: Sequence[Seen]) -> NDArray[np.float32]:
        """(n, dim): one row for each face, of the space that collections are in."""
        if not self._meshed:
            seen = [Seen(one.face, None) for one in seen]
        return self._embed(picture, seen)

    def reasons(self, seen: Seen, level: QualityFilter) -> tuple[Reason, ...]:
        """Amazon's reasons not to compare a face; none where it is good enough."""
        return cast(tuple[Reason, ...], reasons(seen.face, level, self.space.smallest))

    def text(self, picture: Picture) -> tuple[TextLine, ...]:
        """The lines of a picture, in reading order."""
        return self._read(picture, self._find_text(picture))
