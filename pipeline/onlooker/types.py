"""Frames and the results about them, as they pass through the pipeline.

Coordinates are pixels of the full image, x to the right, y down; `onlooker.rekognition.ratios`
alone makes ratios of them. The structs are immutable, and `onlooker.stream.messages` sends them
between processes as msgpack.
"""

from typing import Literal, TypeAlias, get_args

import msgspec

UNREADABLE = (
    msgspec.DecodeError,
    UnicodeDecodeError,  # of a string's bytes
    RecursionError,
)
"""What msgspec raises over bytes that are no message."""

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


TextSearch = Literal["usual", "finer", "none"]
"""How the text of a frame is searched: in the usual size, at a higher resolution, or not at all,
since nothing in it is new."""


class Like(Result, frozen=True, kw_only=True):
    """The face or the text of an earlier frame that hardly differs: what was found out about that
    one holds for this one, too."""

    frame: int
    """Index of the earlier frame, of the same epoch."""
    number: int
    """Place among that frame's `faces` or `quads`."""
    move: tuple[float, float, float, float]
    """a, b, c, d: from there to here x, y moves to a x - b y + c, b x + a y + d."""


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
    aligned: bool = True
    """Whether its points may be trusted to embed it; False if a mesh was fitted, but none that
    shows a face the right way up."""
    attributes: Attributes | None = None
    """None means not analysed."""
    identities: tuple[Identity, ...] = ()
    """Matches, best first; empty if none is similar enough, or if no search was made."""
    vector: bytes | None = None
    """The embedding, float32, on its way to the tracker; None if the face was not embedded."""
    like: Like | None = None
    """The face whose mesh and attributes are carried over to this one; None if it has its own."""
    track: "TrackRef | None" = None
    """The track that the face belongs to; None before the tracker, or if tracks are off."""


class TrackRef(Result, frozen=True, kw_only=True):
    """The track of a face in a frame."""

    id: str
    """Unique over all streams."""
    number: int
    """0, 1, 2 ... along the stream, in the order in which tracks began."""
    person: str | None = None
    """The name of the track so far."""
    carried: bool = False
    """Whether landmarks, pose and attributes are those of an earlier frame, moved along."""


class BestFace(Result, frozen=True, kw_only=True):
    """The frame of a track that shows the face best."""

    record_id: str
    time: float
    """Of the frame, in seconds of the video, or since 1970 if the stream is live."""
    face: Face
    weight: float
    """How much the face shows, 0 to 1."""


class Appearance(Result, frozen=True, kw_only=True):
    """An event about the visit of one person: it has begun, has changed, or is over."""

    id: str
    """That of the track, the same in all events of the visit."""
    state: Literal["new", "update", "end"]
    stream: str
    number: int
    start: float
    """Time of the first detection, in seconds of the video, or since 1970 if the stream is live."""
    end: float
    """Time of the last detection so far."""
    person: str | None = None
    """User, ExternalImageId or FaceId of the person, or the id of an unknown one; None if nobody
    matched."""
    match: Identity | None = None
    """The best match of the person so far."""
    frames: int
    """Frames in which the person was detected so far."""
    best: BestFace
    """With the means of the attributes over the visit, if any are analysed."""
    quiet: bool = False
    """The same person was here a moment ago: not to be announced again."""
    together: tuple[str, ...] = ()
    """Ids of other visits whose people were in an image at the same time."""
    vector: bytes | None = None
    """Mean embedding, float32; None if the face was never embedded."""


class Chip(Result, frozen=True, kw_only=True):
    """A change of the image that is kept of a track's best face.

    Without `jpeg` and `heir` the image is dropped: the track was no appearance.
    """

    track: str
    jpeg: bytes | None = None
    """The new image."""
    heir: str | None = None
    """The track that has the image from now on: this one has turned out to continue it."""


class Word(Result, frozen=True, kw_only=True):
    """A word of a line."""

    text: str
    score: float
    """Mean score of its characters, 0 to 1."""
    quad: Quad


class LineRef(Result, frozen=True, kw_only=True):
    """The track of a line in a frame."""

    id: str
    """Unique over all streams."""
    number: int
    """0, 1, 2 ... along the stream, in the order in which lines began."""
    text: str
    """The voted reading so far."""
    carried: bool = False
    """Whether it was read in an earlier frame, since which its pixels have not changed."""


class TextLine(Result, frozen=True, kw_only=True):
    """A line of text, with its words in reading order."""

    text: str
    score: float
    quad: Quad
    words: tuple[Word, ...]
    track: LineRef | None = None
    """The track that the line belongs to; None before the tracker, or if tracks are off."""


class Reading(Result, frozen=True, kw_only=True):
    """An event about one line of text: it has come, is read differently, or has gone."""

    id: str
    """That of the track, the same in all events of the line."""
    state: Literal["new", "update", "end"]
    stream: str
    number: int
    start: float
    """Time of the first detection, in seconds of the video, or since 1970 if the stream is live."""
    end: float
    """Time at which it was seen last so far."""
    text: str
    """The voted reading."""
    score: float
    """0 to 1: the surest frame's, times the agreement of the votes."""
    runner_up: str | None = None
    """The reading that came second; None if all frames agree."""
    frames: int
    """Frames in which it was there so far."""
    record_id: str
    """The record of the frame in which it was the largest and surest."""
    time: float
    """Of that frame."""
    quad: Quad


class TextQuad(Result, frozen=True, kw_only=True):
    """A region in which text was detected."""

    quad: Quad
    score: float
    lines: tuple[TextLine, ...] | None = None
    """What was read in it, in no order; None if it was not read, or not yet."""
    like: Like | None = None
    """The region of the same pixels, whose reading is carried over to this one; None if there is
    none."""
    again: bool = False
    """It is read itself although there is one: the surer reading of the two counts."""
    detected: bool = True
    """False if the detector missed it in this frame, but its pixels are there."""

    @property
    def known(self) -> bool:
        """Whether it is not to be read."""
        return self.like is not None and not self.again


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
    """Regions with text on their way to the tracker, which makes lines of them."""
    lines: tuple[TextLine, ...] = ()
    carried: bool = False
    """It is not searched: the faces and the text of the frames before are followed."""
    text: TextSearch = "usual"
    cut: bool = False
    """The image is of another scene than the one before."""
    known: bool = False
    """All that is left to find out about it is known from earlier frames."""
    still: bool = False
    """It is an image of its own, and does not continue the frame before it."""
    last: bool = False
    """It is the last frame of its video."""
    appearances: tuple[Appearance, ...] = ()
    """Events about visits that the frame causes."""
    readings: tuple[Reading, ...] = ()
    """Events about lines of text that the frame causes."""
    chips: tuple[Chip, ...] = ()
    """Changes of the images that are kept of best faces."""
    states: dict[str, bytes] = {}
    """The states of the stateful stages after this frame, by stage."""
    error: str | None = None
    """Why the frame could not be processed; it is recorded as failed."""

    @property
    def time(self) -> float:
        """Presentation time in seconds since pts 0."""
        return _seconds(self.pts, self.time_base)

    @property
    def begun(self) -> tuple[int, int]:
        """Number of appearances and of readings that the frame begins."""
        people = sum(event.state == "new" and not event.quiet for event in self.appearances)
        return people, sum(event.state == "new" for event in self.readings)

    @property
    def fragment_time(self) -> float:
        """Presentation time, in seconds since pts 0, of the key frame of the frame's group."""
        return _seconds(self.fragment_pts, self.time_base)


def _seconds(pts: int, time_base: tuple[int, int]) -> float:
    return pts * time_base[0] / time_base[1]  # integers: rounded once
