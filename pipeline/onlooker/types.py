"""Frames and the results about them, as they pass through the pipeline.

Coordinates are pixels of the full image, x to the right, y down; `onlooker.rekognition.ratios`
alone makes ratios of them. The structs are immutable, and `onlooker.stream.messages` sends them
between processes as msgpack.
"""

from fractions import Fraction
from typing import Literal, TypeAlias, get_args

import msgspec

Point: TypeAlias = tuple[float, float]
"""x, y in pixels."""

Box: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels; may extend beyond the image."""

Quad: TypeAlias = tuple[Point, Point, Point, Point]
"""Four corners, clockwise from the top-left of the text itself."""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of all structs that are sent between processes."""


class StoredFace(Result, frozen=True, kw_only=True):
    """A face in a collection."""

    face_id: str
    image_id: str
    external_image_id: str | None
    box: Box
    """left, top, width, height as ratios of the image it was indexed from."""
    confidence: float
    """Detection score, 0 to 100."""
    user_id: str | None = None
    """The user of the collection that the face is associated with."""


class Identity(Result, frozen=True, kw_only=True):
    """A stored face that matches a face."""

    similarity: float
    """0 to 100, by the calibration on the embedder's card."""
    face: StoredFace


LandmarkType = Literal[
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
]
"""Amazon's landmark types, in the order of its answers; left and right as in the image."""
LANDMARKS: tuple[LandmarkType, ...] = get_args(LandmarkType)


class Pose(Result, frozen=True, kw_only=True):
    """Rotation of a head in degrees, with Amazon's signs."""

    roll: float
    yaw: float
    pitch: float


class Quality(Result, frozen=True, kw_only=True):
    """Image quality of a face, 0 to 100 each."""

    brightness: float
    sharpness: float


class EyeDirection(Result, frozen=True, kw_only=True):
    """Gaze direction in degrees, with the signs of `Pose`."""

    yaw: float
    pitch: float
    confidence: float
    """0 to 1."""


class Attributes(Result, frozen=True, kw_only=True):
    """Facial attributes; None means not analysed.

    Unless stated otherwise, each is the probability, 0 to 1, that it applies; near 0.5 if it cannot
    be decided.
    """

    age: tuple[int, int] | None = None
    """Likely age in years: lower and upper bound."""
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


class Face(Result, frozen=True, kw_only=True):
    """A detected face."""

    box: Box
    score: float
    """Detection score, 0 to 1."""
    points: tuple[Point, Point, Point, Point, Point]
    """Left eye, right eye, nose, left and right mouth corner; left and right as in the image."""
    pose: Pose
    quality: Quality
    landmarks: tuple[Point, ...] = ()
    """One per entry of `LANDMARKS`; empty if no mesh was fitted."""
    attributes: Attributes | None = None
    """None means not analysed."""
    identities: tuple[Identity, ...] = ()
    """Matches, best first; empty if none is similar enough, or if no search was made."""


class Word(Result, frozen=True, kw_only=True):
    """A word of a line."""

    text: str
    score: float
    """Mean score of its characters, 0 to 1."""
    quad: Quad


class TextLine(Result, frozen=True, kw_only=True):
    """A line of text, with its words in reading order."""

    text: str
    score: float
    quad: Quad
    words: tuple[Word, ...]


class TextQuad(Result, frozen=True, kw_only=True):
    """Text that is detected but not read yet."""

    quad: Quad
    score: float


class Frame(Result, frozen=True, kw_only=True):
    """A frame of a stream, with the results so far.

    The pixels are not included: they are passed along as a `Picture`.
    """

    stream: str
    """The stream's name, unique in one run."""
    feed: int = 0
    """Number of the run's feed that it comes from; the feed has the settings."""
    epoch: str
    """Live: changes whenever the source restarts. Replay: SHA-256 of the video's bytes."""
    index: int
    """0, 1, 2 ... in presentation order."""
    pts: int
    """Presentation time in units of `time_base`, as the container has it."""
    time_base: tuple[int, int]
    """numerator, denominator of the seconds that one unit of `pts` lasts."""
    fragment: int
    """`index` of the key frame that begins the frame's group of pictures."""
    fragment_pts: int
    started: float
    """Unix time of pts 0 for live streams; 0.0 for replays."""
    width: int
    height: int
    origin: tuple[int, int] = (0, 0)
    """Left and top of the analysed region, in pixels."""
    same: int | None = None
    """Index of an analysed frame since which hardly anything has changed; its result is repeated.
    None means that the frame itself is analysed."""
    faces: tuple[Face, ...] = ()
    quads: tuple[TextQuad, ...] = ()
    lines: tuple[TextLine, ...] = ()
    states: dict[str, bytes] = {}
    """The states of the stateful stages after this frame, by stage."""
    error: str | None = None
    """Why the frame could not be processed; it is recorded as failed."""

    @property
    def time(self) -> float:
        """Presentation time in seconds since pts 0."""
        return float(self.pts * Fraction(*self.time_base))

    @property
    def fragment_time(self) -> float:
        """Presentation time, in seconds since pts 0, of the key frame of the frame's group."""
        return float(self.fragment_pts * Fraction(*self.time_base))
