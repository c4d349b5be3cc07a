"""The analysis of images: find faces and text, fit meshes, describe, select, embed, read."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker.config import schema
from onlooker.config.load import load
from onlooker.config.schema import Config
from onlooker.config.tracking import Tracks
from onlooker.media.picture import Picture, Still
from onlooker.models.card import card, space
from onlooker.types import Attributes, Face, Pose, Quality, TextLine, TextQuad
from onlooker.vision.attributes import EVERYTHING, FaceDescriber
from onlooker.vision.embed import FaceEmbedder
from onlooker.vision.face_detectors import Yunet
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesh, MeshedFace
from onlooker.vision.mesher import Mesher
from onlooker.vision.text_finder import TextFinder
from onlooker.vision.text_lines import in_reading_order
from onlooker.vision.text_reader import TextReader
from onlooker.vision.unindexed_reasons import Reasons, Select, passing


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parts of an analysis to make."""

    faces: bool = True
    text: bool = True
    finer: bool = False
    """Search for text at a higher resolution, unless that is done thoroughly anyway."""
    max_faces: int | None = None
    """Analyse the largest faces only, this many at most; the others are counted."""
    mesh: bool = False
    """Fit a mesh to each face, even if `[faces] mesh` is off."""
    attributes: frozenset[str] = frozenset()
    """Fields of `onlooker.types.Attributes` to describe."""
    select: Select | None = None
    """The choice of the faces to embed; None embeds none."""


ALL = Wanted(mesh=True, attributes=EVERYTHING, select=passing("NONE"))


@dataclass(frozen=True, slots=True)
class Detection:
    """The places of faces and text in an image."""

    faces: tuple[Face, ...] = ()
    """Largest first."""
    quads: tuple[TextQuad, ...] = ()


@dataclass(frozen=True, slots=True)
class AnalysedFace:
    """A face, and what was found out about it."""

    face: Face
    """With the mesh's points and pose if it fits, and with the attributes that were wanted."""
    mesh: Mesh | None = None
    reasons: Reasons = ()
    """Amazon's reasons why it was not selected to be embedded."""
    vector: NDArray[np.float32] | None = None
    """(dim,) in the configured space; None if the face was not embedded."""

    @property
    def row(self) -> NDArray[np.float32]:
        """(1, dim): the vector of a face that was embedded. Raises ValueError for any other."""
        if self.vector is None:
            raise ValueError(f"the face was not embedded: {', '.join(self.reasons)}")
        return self.vector[None]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The results for an image."""

    faces: tuple[AnalysedFace, ...] = ()
    """Largest first."""
    quads: tuple[TextQuad, ...] = ()
    """Each with the lines that were read in it."""
    faces_found: int = 0
    """Faces before `Wanted.max_faces`."""

    @property
    def lines(self) -> tuple[TextLine, ...]:
        """The lines of all quads, in reading order."""
        return in_reading_order([line for each in self.quads for line in each.lines or ()])


def configured(config: Config) -> Wanted:
    """Return what records made with `config` hold; of attributes all, or none."""
    return Wanted(
        faces=config.faces.enabled,
        text=config.text.enabled,
        attributes=EVERYTHING if config.faces.attributes else frozenset(),
        select=passing(config.faces.quality) if config.embeds else None,
    )


class Analyser:
    """All models, each loaded when it is first needed.

    Its methods take several images, and what is wanted of each, so that a model can run on all of
    them in one batch. The results are those of one image at a time.

    Not for two threads at once, except on CUDA: there the images of all threads share batches, once
    `warm_up`, or the methods that prepare, have loaded the models.

    config: None means the configuration file in force. Raises ConfigError if it cannot be used.

        [analysis] = onlooker.Analyser()([image.read("family.jpg")])
        print(len(analysis.faces), [line.text for line in analysis.lines])
    """

    def __init__(self, config: Config | None = None) -> None:
        self._config = load() if config is None else config
        self._provider = self._config.runtime.provider

    def __call__(
        self, pictures: Sequence[Picture], wanted: Sequence[Wanted] | None = None
    ) -> list[Analysis]:
        """Return the analysis of each picture; `wanted` of None means what is configured."""
        if wanted is None:
            wanted = [configured(self._config)] * len(pictures)
        return self.recognise(pictures, self.detect(pictures, wanted), wanted)

    def detect(self, pictures: Sequence[Picture], wanted: Sequence[Wanted]) -> list[Detection]:
        """Find the faces and the text of each picture."""
        with_faces = [n for n, want in enumerate(wanted) if want.faces]
        with_text = [n for n, want in enumerate(wanted) if want.text]
        faces = self._find_faces([pictures[n] for n in with_faces]) if with_faces else []
        finer = [wanted[n].finer for n in with_text]
        quads = self._find_text([pictures[n] for n in with_text], finer) if with_text else []
        faces_of = dict(zip(with_faces, faces, strict=True))
        quads_of = dict(zip(with_text, quads, strict=True))
        return [Detection(faces_of.get(n, ()), quads_of.get(n, ())) for n in range(len(pictures))]

    def recognise(
        self, pictures: Sequence[Picture], found: Sequence[Detection], wanted: Sequence[Wanted]
    ) -> list[Analysis]:
        """Describe and embed the faces that were found in each picture, and read its text."""
        crowds = [
            [_Subject(picture, want, face) for face in detection.faces[: want.max_faces]]
            if want.faces
            else []
            for picture, detection, want in zip(pictures, found, wanted, strict=True)
        ]
        subjects = list(chain.from_iterable(crowds))
        self._fit(subjects)
        self._describe(subjects)
        for crowd in crowds:
            self._select(crowd)
        self._embed(subjects)
        quads = self._read(
            pictures,
            [each.quads if want.text else () for each, want in zip(found, wanted, strict=True)],
        )
        return [
            Analysis(tuple(one.result() for one in crowd), text, len(detection.faces))
            for crowd, text, detection in zip(crowds, quads, found, strict=True)
        ]

    def prepare_detection(self, wanted: Wanted) -> None:
        """Load the models that `detect` needs for `wanted`."""
        if wanted.faces:
            _ = self._find_faces
        if wanted.text:
            _ = self._find_text

    def prepare_recognition(self, wanted: Wanted) -> None:
        """Load the models that `recognise` needs for `wanted`, except those of attributes."""
        if wanted.faces and (self._config.faces.mesh or wanted.mesh):
            _ = self._mesher
        if wanted.faces and wanted.select is not None:
            _ = self._embedder
        if wanted.text:
            _ = self._reader

    def warm_up(self, wanted: Wanted) -> None:
        """Run all models that `wanted` needs on a made-up image, before a request waits for it."""
        picture = Still(np.zeros((128, 128, 3), np.uint8))
        face = Face(
            box=(32.0, 32.0, 96.0, 96.0),
            score=1.0,
            points=((48.0, 56.0), (80.0, 56.0), (64.0, 70.0), (52.0, 82.0), (76.0, 82.0)),
            pose=Pose(roll=0.0, yaw=0.0, pitch=0.0),
            quality=Quality(brightness=0.0, sharpness=0.0),
        )
        quad = TextQuad(quad=((8.0, 8.0), (120.0, 8.0), (120.0, 24.0), (8.0, 24.0)), score=1.0)
        self.detect([picture], [wanted])
        self.recognise([picture], [Detection((face,), (quad,))], [wanted])
        if wanted.faces and wanted.select is not None:
            # No filter passes the made-up face, whose mesh shows no way up.
            self._embedder([picture], [MeshedFace(face)])

    def _fit(self, subjects: Sequence["_Subject"]) -> None:
        meshed = self._config.faces.mesh
        chosen = [one for one in subjects if meshed or one.wanted.mesh or one.wanted.attributes]
        if chosen:
            fitted = self._mesher([one.picture for one in chosen], [one.face for one in chosen])
            for one, found in zip(chosen, fitted, strict=True):
                one.meshed = found

    def _describe(self, subjects: Sequence["_Subject"]) -> None:
        for attributes in {one.wanted.attributes for one in subjects} - {frozenset()}:
            chosen = [one for one in subjects if one.wanted.attributes == attributes]
            described = self._describer(
                [one.picture for one in chosen], [one.meshed for one in chosen], attributes
            )
            for one, found in zip(chosen, described, strict=True):
                one.attributes = found

    def _select(self, crowd: Sequence["_Subject"]) -> None:
        if not crowd or (select := crowd[0].wanted.select) is None:
            return
        smallest = space(self._config.faces.embedder).smallest
        reasons = select([one.meshed.face for one in crowd], smallest)
        for one, why in zip(crowd, reasons, strict=True):
            one.reasons, one.selected = why, not why

    def _embed(self, subjects: Sequence["_Subject"]) -> None:
        chosen = [one for one in subjects if one.selected]
        if chosen:
            # Without `[faces] mesh` chips are aligned to the detector's points, even if a mesh was
            # fitted: the vectors of one collection must all be made in one way.
            meshed = self._config.faces.mesh
            faces = [one.meshed if meshed else MeshedFace(one.face) for one in chosen]
            vectors = self._embedder([one.picture for one in chosen], faces)
            for one, vector in zip(chosen, vectors, strict=True):
                one.vector = vector

    def _read(
        self, pictures: Sequence[Picture], quads: Sequence[Sequence[TextQuad]]
    ) -> list[tuple[TextQuad, ...]]:
        if not any(quads):
            return [()] * len(pictures)
        read = self._reader.read(pictures, quads)
        return [
            tuple(
                replace(quad, lines=tuple(lines)) for quad, lines in zip(some, found, strict=True)
            )
            for some, found in zip(quads, read, strict=True)
        ]

    @cached_property
    def _find_faces(self) -> FaceFinder:
        return FaceFinder(self._config.faces, self._provider, self._detector)

    @cached_property
    def _find_text(self) -> TextFinder:
        return TextFinder(self._config.text, self._provider)

    @cached_property
    def _mesher(self) -> Mesher:
        return Mesher(self._provider, self._detector)

    @cached_property
    def _detector(self) -> Yunet:
        return Yunet(self._provider)

    @cached_property
    def _describer(self) -> FaceDescriber:
        return FaceDescriber(self._provider)

    @cached_property
    def _embedder(self) -> FaceEmbedder:
        return FaceEmbedder(self._config.faces, self._provider)

    @cached_property
    def _reader(self) -> TextReader:
        return TextReader(self._config.text, self._provider)


@dataclass(slots=True)
class _Subject:
    """A face while it is analysed."""

    picture: Picture
    wanted: Wanted
    face: Face
    """As it was detected."""
    meshed: MeshedFace = field(init=False)
    attributes: Attributes | None = None
    reasons: Reasons = ()
    selected: bool = False
    vector: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        self.meshed = MeshedFace(self.face)

    def result(self) -> AnalysedFace:
        face = self.meshed.face
        if self.attributes is not None:
            face = replace(face, attributes=self.attributes)
        return AnalysedFace(face, self.meshed.mesh, self.reasons, self.vector)


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
        if wanted.select is not None:
            names += embedders
    if wanted.text:
        names += [*finders, *readers]
    return list(dict.fromkeys(names))


def weights_digest(config: Config) -> str:
    """Return 64 hex digits that change whenever the weights of a model change that `config` uses.

    They cover what the models' cards say of the archives, the build and the decoding, so that no
    model needs to be built for them. Raises as `cards` does.
    """
    return _weights_digest(config.faces, config.text, config.match, config.tracks)


@lru_cache
def _weights_digest(
    faces: schema.Faces, text: schema.Text, match: schema.Match, tracks: Tracks
) -> str:
    used = [
        card(name) for name in cards(Config(faces=faces, text=text, match=match, tracks=tracks))
    ]
    parts = [[each.name, each.digest, each.decode, each.embedder] for each in used]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
