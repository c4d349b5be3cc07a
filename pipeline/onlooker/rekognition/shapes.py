"""Amazon's structures, under Amazon's names and in Amazon's spelling.

The stream record is the payload that Rekognition Video writes to a Kinesis data stream; what is
ours stands in further top-level keys, which a consumer of Amazon's records passes over. Boxes and
points are ratios of the picture and may leave 0 to 1 at its edge; confidences and similarities
are 0 to 100; a member without a value is left out.
"""

from __future__ import annotations  # members are named as their types are

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onlooker.errors import OnlookerError

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
"""In the order of Amazon's answers; left and right as in the image."""
EmotionType = Literal["HAPPY", "SAD", "ANGRY", "CONFUSED", "DISGUSTED", "SURPRISED", "CALM", "FEAR"]
Reason = Literal[
    "EXCEEDS_MAX_FACES",
    "EXTREME_POSE",
    "LOW_BRIGHTNESS",
    "LOW_SHARPNESS",
    "LOW_CONFIDENCE",
    "SMALL_BOUNDING_BOX",
    "LOW_FACE_QUALITY",
]
TextType = Literal["LINE", "WORD"]


class Shape(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What all structures share."""


class BoundingBox(Shape, frozen=True, kw_only=True):
    Width: float
    Height: float
    Left: float
    Top: float


class Landmark(Shape, frozen=True, kw_only=True):
    Type: LandmarkType
    X: float
    Y: float


class Pose(Shape, frozen=True, kw_only=True):
    """Degrees."""

    Roll: float
    Yaw: float
    Pitch: float


class ImageQuality(Shape, frozen=True, kw_only=True):
    Brightness: float
    Sharpness: float


class AgeRange(Shape, frozen=True, kw_only=True):
    """Years."""

    Low: int
    High: int


class Likely(Shape, frozen=True, kw_only=True):
    """Whether something is so, and how sure that is: 50 is not at all, 100 is quite."""

    Value: bool
    Confidence: float


class Gender(Shape, frozen=True, kw_only=True):
    Value: Literal["Male", "Female"]
    Confidence: float


class Emotion(Shape, frozen=True, kw_only=True):
    Type: EmotionType
    Confidence: float


class EyeDirection(Shape, frozen=True, kw_only=True):
    """Degrees, from the camera's view."""

    Yaw: float
    Pitch: float
    Confidence: float


class DetectedFace(Shape, frozen=True, kw_only=True):
    """A face in the stream record, and in the same form the ComparedFace of CompareFaces.

    Botocore's model has Emotions and Smile for the latter, which the recorded answers do not.
    What comes after Quality is in no record of Amazon's, and in ours where it is asked for.
    """

    BoundingBox: BoundingBox
    Confidence: float
    Landmarks: tuple[Landmark, ...]
    Pose: Pose
    Quality: ImageQuality
    AgeRange: AgeRange | None = None
    Smile: Likely | None = None
    Eyeglasses: Likely | None = None
    Sunglasses: Likely | None = None
    Gender: Gender | None = None
    Beard: Likely | None = None
    Mustache: Likely | None = None
    EyesOpen: Likely | None = None
    MouthOpen: Likely | None = None
    Emotions: tuple[Emotion, ...] | None = None
    FaceOccluded: Likely | None = None
    EyeDirection: EyeDirection | None = None


class FaceDetail(Shape, frozen=True, kw_only=True):
    """A face in a picture; the members that nobody asked for are left out."""

    BoundingBox: BoundingBox
    AgeRange: AgeRange | None = None
    Smile: Likely | None = None
    Eyeglasses: Likely | None = None
    Sunglasses: Likely | None = None
    Gender: Gender | None = None
    Beard: Likely | None = None
    Mustache: Likely | None = None
    EyesOpen: Likely | None = None
    MouthOpen: Likely | None = None
    Emotions: tuple[Emotion, ...] | None = None
    """Every type, the likeliest first."""
    Landmarks: tuple[Landmark, ...]
    Pose: Pose
    Quality: ImageQuality
    Confidence: float
    FaceOccluded: Likely | None = None
    EyeDirection: EyeDirection | None = None


class UnindexedFace(Shape, frozen=True, kw_only=True):
    """A face that was found but not put into the collection, and why."""

    Reasons: tuple[Reason, ...]
    FaceDetail: FaceDetail


class Face(Shape, frozen=True, kw_only=True):
    """A face of a collection."""

    FaceId: str
    BoundingBox: BoundingBox
    ImageId: str
    ExternalImageId: str | None = None
    Confidence: float
    IndexFacesModelVersion: str | None = None
    UserId: str | None = None


class FaceMatch(Shape, frozen=True, kw_only=True):
    Similarity: float
    Face: Face


class FaceSearch(Shape, frozen=True, kw_only=True):
    """A face of the frame, and who it was found to be, best first; nobody: an empty list."""

    DetectedFace: DetectedFace
    MatchedFaces: tuple[FaceMatch, ...]


class Point(Shape, frozen=True, kw_only=True):
    X: float
    Y: float


class Geometry(Shape, frozen=True, kw_only=True):
    BoundingBox: BoundingBox
    """Upright, around the polygon."""
    Polygon: tuple[Point, ...]
    """Four corners, clockwise from the top-left of the text itself."""


class TextDetection(Shape, frozen=True, kw_only=True):
    DetectedText: str
    Type: TextType
    Id: int
    """Unique in the record: lines 0 to L-1, then their words in reading order."""
    ParentId: int | None = None
    """Id of a word's line; a line has none."""
    Confidence: float
    Geometry: Geometry


class DetectionFilter(Shape, frozen=True, kw_only=True):
    """Which words are wanted."""

    MinConfidence: Annotated[float, Meta(ge=0, le=100)] | None = None
    MinBoundingBoxHeight: Annotated[float, Meta(ge=0, le=1)] | None = None
    MinBoundingBoxWidth: Annotated[float, Meta(ge=0, le=1)] | None = None


class RegionOfInterest(Shape, frozen=True, kw_only=True):
    """A box or a polygon; where both are given, the box counts."""

    BoundingBox: BoundingBox | None = None
    Polygon: Annotated[tuple[Point, ...], Meta(min_length=3, max_length=10)] | None = None


class TextFilters(Shape, frozen=True, kw_only=True):
    """Filters of DetectText and of StartTextDetection."""

    WordFilter: DetectionFilter | None = None
    RegionsOfInterest: Annotated[tuple[RegionOfInterest, ...], Meta(max_length=10)] = ()


class KinesisVideo(Shape, frozen=True, kw_only=True):
    StreamArn: str
    FragmentNumber: str
    """Decimal digits that grow along a stream: the group of pictures that holds the frame."""
    ServerTimestamp: float
    ProducerTimestamp: float
    """Both in epoch seconds and of the fragment, not of the frame."""
    FrameOffsetInSeconds: float
    """From the fragment's start to the frame."""


class InputInformation(Shape, frozen=True, kw_only=True):
    KinesisVideo: KinesisVideo


class StreamProcessorInformation(Shape, frozen=True, kw_only=True):
    Status: Literal["RUNNING"]


class FrameInformation(Shape, frozen=True, kw_only=True):
    """Ours: which frame of the video it was."""

    Index: int
    """0, 1, 2 ... in presentation order."""
    Pts: int
    """Presentation time as the container has it."""
    Time: float
    """The same in seconds."""
    Width: int
    Height: int
    Same: bool = False
    """Hardly anything had changed: what was seen and read is the result of the frame before."""
    Error: str | None = None
    """Why the frame could not be looked at; its lists are empty then."""


class StreamRecord(Shape, frozen=True, kw_only=True):
    """All that is said about one frame."""

    InputInformation: InputInformation
    StreamProcessorInformation: StreamProcessorInformation
    FaceSearchResponse: tuple[FaceSearch, ...]
    TextDetections: tuple[TextDetection, ...]
    RecordId: str
    """The same frame looked at in the same way has the same id: drop a record seen before."""
    Sequence: int
    """1, 2, 3 ... along a stream; a gap is a record that was missed."""
    FrameInformation: FrameInformation
    FaceModelVersion: str | None = None
    """The embedder's card; absent where no faces are looked for."""
    TextModelVersion: str | None = None
    """The reader's card; absent where no text is looked for."""

    @property
    def stream(self) -> str:
        """The stream's name, as its ARN spells it."""
        return self.InputInformation.KinesisVideo.StreamArn.split("/")[1]

    @property
    def time(self) -> float:
        """The frame's time in seconds: of the video, or since 1970 where the stream is live."""
        fragment = self.InputInformation.KinesisVideo
        return fragment.ProducerTimestamp + fragment.FrameOffsetInSeconds


class RecordError(OnlookerError):
    """Bytes that are not a stream record."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StreamRecord)


def encode(record: StreamRecord) -> bytes:
    """The record as one line of compact JSON, without the newline; equal records, equal bytes."""
    return _encoder.encode(record)


def decode(line: bytes) -> StreamRecord:
    """The record that `encode` made; RecordError for anything else, unknown members included."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        shown = line[:60].decode(errors="replace")
        raise RecordError(f"not a stream record: {error}; it begins {shown!r}") from error
