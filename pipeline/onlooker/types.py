"""The nouns that travel through the line.

Everything here is in pixels of the full picture, x to the right, y down; ratios are made in
`onlooker.rekognition.ratios` and nowhere else. The structs are immutable, and msgspec gives each
one msgpack form: what `onlooker.stream.messages` sends between processes.
"""

from fractions import Fraction
from typing import TypeAlias

import msgspec

Point: TypeAlias = tuple[float, float]
"""x, y in pixels."""

Box: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels; may cross the picture's edge."""

Quad: TypeAlias = tuple[Point, Point, Point, Point]
"""Four corners, clockwise from the top-left of the text itself."""


class Noun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all travelling structs share."""


class StoredFace(Noun, frozen=True, kw_only=True):
    """A face in a collection, as the store knows it."""

    face_id: str
    image_id: str
    external_image_id: str | None
    box: Box
    """left, top, width, height as ratios of the picture it was indexed from."""
    confidence: float
    """0 to 100: how sure the detector was that this is a face."""
    user_id: str | None = None
    """The user of the collection whose face it is."""


class Identity(Noun, frozen=True, kw_only=True):
    """A stored face that a face was found to be like."""

    similarity: float
    """0 to 100, by the embedder card's calibration."""
    face: StoredFace


LANDMARKS = (
    "eyeLeft",
    "eyeRight",
    "mouthLeft",
    "mouthRight",
    "nose",
    "leftEyeBrowLeft",
    "leftEyeBrowRight",
    "leftEyeBrowUp",
    "rightEyeBrowLeft",
    "rightEyeBrowRight",
    "rightEyeBrowUp",
    "leftEyeLeft",
    "leftEyeRight",
    "leftEyeUp",
    "leftEyeDown",
    "rightEyeLeft",
    "rightEyeRight",
    "rightEyeUp",
    "rightEyeDown",
    "noseLeft",
    "noseRight",
    "mouthUp",
    "mouthDown",
    "leftPupil",
    "rightPupil",
    "upperJawlineLeft",
    "midJawlineLeft",
    "chinBottom",
    "midJawlineRight",
    "upperJawlineRight",
)
"""Amazon's landmark types, in the order of Amazon's answers; left and right as in the image."""


class Pose(Noun, frozen=True, kw_only=True):
    """Turn of a head in degrees, with Amazon's signs."""

    roll: float
    yaw: float
    pitch: float


class Quality(Noun, frozen=True, kw_only=True):
    """How well a face can be seen, 0 to 100 each."""

    brightness: float
    sharpness: float


class EyeDirection(Noun, frozen=True, kw_only=True):
    """Where the eyes look, in degrees, with the signs of `Pose`."""

    yaw: float
    pitch: float
    confidence: float
    """0 to 1."""


class Attributes(Noun, frozen=True, kw_only=True):
    """What a face looks like; None where nobody asked.

    Where nothing else is said, each is the probability, 0 to 1, that it is so: near 0.5 where it
    cannot be told.
    """

    age: tuple[int, int] | None = None
    """Youngest and oldest it is likely to be, in years."""
    male: float | None = None
    smile: float | None = None
    eyeglasses: float | None = None
    sunglasses: float | None = None
    beard: float | None = None
    mustache: float | None = None
    eyes_open: float | None = None
    mouth_open: float | None = None
    occluded: float | None = None
    emotions: tuple[tuple[str, float], ...] | None = None
    """All of Amazon's types, each with its probability."""
    eye_direction: EyeDirection | None = None


class Face(Noun, frozen=True, kw_only=True):
    """A face in a picture."""

    box: Box
    score: float
    """0 to 1: how likely it is a face at all."""
    points: tuple[Point, Point, Point, Point, Point]
    """Eye on the left of the image, eye on the right, nose, mouth left, mouth right."""
    pose: Pose
    quality: Quality
    landmarks: tuple[Point, ...] = ()
    """One for each of `LANDMARKS`; empty where no mesh was laid over the face."""
    attributes: Attributes | None = None
    """None where nobody asked."""
    identities: tuple[Identity, ...] = ()
    """Best first; empty where nobody is near enough or nobody was looked for."""


class Word(Noun, frozen=True, kw_only=True):
    """One word of a line."""

    text: str
    score: float
    """0 to 1, mean over its characters."""
    quad: Quad


class TextLine(Noun, frozen=True, kw_only=True):
    """A line of text, with its words in reading order."""

    text: str
    score: float
    quad: Quad
    words: tuple[Word, ...]


class TextQuad(Noun, frozen=True, kw_only=True):
    """Where the detector sees text that nobody has read yet."""

    quad: Quad
    score: float


class Frame(Noun, frozen=True, kw_only=True):
    """One picture of a stream and all that is known about it so far.

    The pixels are not in here: they travel beside it as a `Picture`.
    """

    stream: str
    """The stream's name, unique in one run."""
    feed: int = 0
    """Number of the run's feed that it comes from, which says what it is looked at with."""
    epoch: str
    """Live: changes whenever the source restarts. Replay: SHA-256 of the video's bytes."""
    index: int
    """0, 1, 2 ... in presentation order."""
    pts: int
    """Presentation time in units of `time_base`, as the container has it."""
    time_base: tuple[int, int]
    """numerator, denominator of the seconds that one unit of `pts` lasts."""
    fragment: int
    """`index` of the key frame that opens the frame's group of pictures."""
    fragment_pts: int
    started: float
    """Epoch seconds of pts 0: the wall clock for live streams, 0.0 for replay."""
    width: int
    height: int
    origin: tuple[int, int] = (0, 0)
    """Where the part of the picture that is looked at begins: left, top in pixels."""
    same: int | None = None
    """Index of an analysed frame since which hardly anything has changed; its result is repeated.
    None means that the frame itself is analysed."""
    faces: tuple[Face, ...] = ()
    quads: tuple[TextQuad, ...] = ()
    lines: tuple[TextLine, ...] = ()
    states: dict[str, bytes] = {}
    """The states of the stateful stages after this frame, by stage."""
    error: str | None = None
    """Why this frame could not be looked at; such a frame is recorded, as failed."""

    @property
    def time(self) -> float:
        """Presentation time in seconds since pts 0."""
        return float(self.pts * Fraction(*self.time_base))

    @property
    def fragment_time(self) -> float:
        """Presentation time in seconds of the key frame that opens the frame's group."""
        return float(self.fragment_pts * Fraction(*self.time_base))
