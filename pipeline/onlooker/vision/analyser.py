"""All that looks at pictures, loaded once: one set of models, for one thread at a time."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker.config import schema
from onlooker.config.schema import Config, QualityFilter
from onlooker.media.picture import Picture, Still
from onlooker.models.card import card, space
from onlooker.rekognition.face_detail import face_detail, fields
from onlooker.rekognition.shapes import FaceDetail, Reason
from onlooker.types import Face, Pose, Quality, TextLine
from onlooker.vision.attributes import EVERYTHING, FaceDescriber
from onlooker.vision.embed import FaceEmbedder
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesher, Seen
from onlooker.vision.quality import reasons
from onlooker.vision.text import TextFinder, TextReader


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find out about an image."""

    faces: bool = True
    text: bool = True
    mesh: bool = False
    """Lay a mesh over each face, even if `[faces] mesh` is off."""
    attributes: frozenset[str] = frozenset()
    """Fields of `onlooker.types.Attributes`."""
    vectors: bool = False
    """Embed faces."""


ALL = Wanted(mesh=True, attributes=EVERYTHING, vectors=True)


def configured(config: Config) -> Wanted:
    """Return what records made with `config` hold; of attributes all, or none."""
    return Wanted(
        faces=config.faces.enabled,
        text=config.text.enabled,
        attributes=EVERYTHING if config.faces.attributes else frozenset(),
        vectors=config.match.collection is not None,
    )


def cards(config: Config, wanted: Wanted | None = None) -> list[str]:
    """Return the names of the model cards that an Analyser needs for `wanted`.

    None means what `config` asks for. Raises WeightsError if a model that `config` names is
    unknown or cannot do its task.
    """
    wanted = wanted or configured(config)
    embedders = FaceEmbedder.cards(config.faces)
    finders, readers = TextFinder.cards(config.text), TextReader.cards(config.text)
    names: list[str] = []
    if wanted.faces:
        names += FaceFinder.cards(config.faces)
        if config.faces.mesh or wanted.mesh or wanted.attributes:
            names += Mesher.cards()
        if wanted.attributes:
            names += FaceDescriber.cards()
        if wanted.vectors:
            names += embedders
    if wanted.text:
        names += [*finders, *readers]
    return names


def weights_digest(config: Config) -> str:
    """Return 64 hex digits that change whenever the weights of a model change that `config` uses.

    They cover what the models' cards say of the archives, the build and the decoding, so that no
    model needs to be built for them. Raises as `cards` does.
    """
    return _weights_digest(config.faces, config.text, config.match)


@lru_cache
def _weights_digest(faces: schema.Faces, text: schema.Text, match: schema.Match) -> str:
    used = [card(name) for name in cards(Config(faces=faces, text=text, match=match))]
    parts = [[each.name, each.digest, each.decode, each.embedder] for each in used]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


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
