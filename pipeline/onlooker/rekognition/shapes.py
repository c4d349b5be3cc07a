"""Amazon Rekognition's structures, under Amazon's names and in Amazon's spelling.

The stream record is the payload that Rekognition Video writes to a Kinesis data stream. Onlooker's
own members are further top-level keys, which a consumer of Amazon's records ignores. Boxes and
points are ratios of the image's width and height, and may be below 0 or above 1 at its edge.
Confidences and similarities are 0 to 100. A member without a value is left out.
"""

from __future__ import annotations  # members are named as their types are

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onlooker.errors import OnlookerError
from onlooker.types import UNREADABLE, LandmarkType

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
    """The form that all structures share."""


class BoundingBox(Shape, frozen=True, kw_only=True):
    """Ratios of the image's width and height."""

    Width: float
    Height: float
    Left: float
    Top: float


class Landmark(Shape, frozen=True, kw_only=True):
    """A point of a face, in ratios of the image."""

    Type: LandmarkType
    X: float
    Y: float


class Pose(Shape, frozen=True, kw_only=True):
    """Degrees."""

    Roll: float
    Yaw: float
    Pitch: float


class ImageQuality(Shape, frozen=True, kw_only=True):
    """Of the face, 0 to 100."""

    Brightness: float
    Sharpness: float


class AgeRange(Shape, frozen=True, kw_only=True):
    """Years."""

    Low: int
    High: int


class Likely(Shape, frozen=True, kw_only=True):
    """A yes or no with its confidence: 50 is a guess, 100 is certain."""

    Value: bool
    Confidence: float


class Gender(Shape, frozen=True, kw_only=True):
    """The look of a face, which need not be what the person is."""

    Value: Literal["Male", "Female"]
    Confidence: float


class Emotion(Shape, frozen=True, kw_only=True):
    """The look of a face, which need not be what the person feels."""

    Type: EmotionType
    Confidence: float


class EyeDirection(Shape, frozen=True, kw_only=True):
    """Degrees, from the camera's view."""

    Yaw: float
    Pitch: float
    Confidence: float


class DetectedFace(Shape, frozen=True, kw_only=True):
    """A face of a stream record, and the ComparedFace of CompareFaces.

    It has the members of FaceDetail in another order, which is Amazon's. Amazon's own records have
    none after Quality, and Onlooker's only those that are asked for.
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
    """A face in an image; members that were not asked for are left out."""

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
    """A detected face that was not indexed, with the reasons."""

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
    """A face of the collection, and how alike it is: 80 is a false match rate of 1 in 10,000."""

    Similarity: float
    Face: Face


class FaceSearch(Shape, frozen=True, kw_only=True):
    """A face of the frame and its matches, best first; an empty list means no match."""

    DetectedFace: DetectedFace
    MatchedFaces: tuple[FaceMatch, ...]


class Point(Shape, frozen=True, kw_only=True):
    """Ratios of the image."""

    X: float
    Y: float


class Geometry(Shape, frozen=True, kw_only=True):
    """The place of a text."""

    BoundingBox: BoundingBox
    """Upright box around the polygon."""
    Polygon: tuple[Point, ...]
    """Four corners, clockwise from the top-left of the text itself."""


class TextDetection(Shape, frozen=True, kw_only=True):
    """A line of text, or a word of one."""

    DetectedText: str
    Type: TextType
    Id: int
    """Unique in the record: first the lines, then their words in reading order."""
    ParentId: int | None = None
    """Id of the line that a word belongs to; None for a line."""
    Confidence: float
    Geometry: Geometry


class DetectionFilter(Shape, frozen=True, kw_only=True):
    """The confidence and size that words must have, as ratios of the image."""

    MinConfidence: Annotated[float, Meta(ge=0, le=100)] | None = None
    MinBoundingBoxHeight: Annotated[float, Meta(ge=0, le=1)] | None = None
    MinBoundingBoxWidth: Annotated[float, Meta(ge=0, le=1)] | None = None


class RegionOfInterest(Shape, frozen=True, kw_only=True):
    """A box or a polygon; the box counts if both are given."""

    BoundingBox: BoundingBox | None = None
    Polygon: Annotated[tuple[Point, ...], Meta(min_length=3, max_length=10)] | None = None


class TextFilters(Shape, frozen=True, kw_only=True):
    """Filters of DetectText and of StartTextDetection."""

    WordFilter: DetectionFilter | None = None
    RegionsOfInterest: Annotated[tuple[RegionOfInterest, ...], Meta(max_length=10)] = ()


class KinesisVideo(Shape, frozen=True, kw_only=True):
    """The place of the frame in its stream, as Amazon tells it."""

    StreamArn: str
    """Its second part, between slashes, is the stream's name."""
    FragmentNumber: str
    """47 digits that grow along a stream: the number of the frame's group of pictures."""
    ServerTimestamp: float
    """As ProducerTimestamp."""
    ProducerTimestamp: float
    """Time of the fragment's start, not the frame's: seconds of the video, or since 1970 if the
    stream is live."""
    FrameOffsetInSeconds: float
    """Seconds from the fragment's start to the frame."""


class InputInformation(Shape, frozen=True, kw_only=True):
    """The origin of the frame."""

    KinesisVideo: KinesisVideo


class StreamProcessorInformation(Shape, frozen=True, kw_only=True):
    """Always RUNNING: Amazon's consumers look for it."""

    Status: Literal["RUNNING"]


class FrameInformation(Shape, frozen=True, kw_only=True):
    """The frame itself. Onlooker's own."""

    Index: int
    """0, 1, 2 ... in presentation order."""
    Pts: int
    """Presentation time in the video's time base."""
    Time: float
    """Presentation time in seconds."""
    Width: int
    """Pixels of the frame as it is analysed, upright."""
    Height: int
    """As Width."""
    Same: bool = False
    """Hardly anything had changed: the result is that of an earlier frame."""
    Carried: bool = False
    """It was not searched: faces and text of the frames before were followed."""
    Error: str | None = None
    """Cause for which the frame could not be analysed; its lists are empty then."""


class Track(Shape, frozen=True, kw_only=True):
    """A person in a frame, followed over time. Onlooker's own."""

    TrackId: str
    """The same in all records of the person's appearance."""
    Index: int
    """0, 1, 2 ... along the stream, as Person.Index of Rekognition Video."""
    Face: int
    """Place in FaceSearchResponse, from 0."""
    Person: str | None = None
    """User, ExternalImageId or FaceId; absent if the track has no name yet."""
    Carried: bool = False
    """Whether landmarks, pose and attributes are those of an earlier frame, moved along; absent if
    not."""


class LineTrack(Shape, frozen=True, kw_only=True):
    """A line of text in a frame, followed over time. Onlooker's own."""

    TrackId: str
    """The same in all records of the line."""
    Index: int
    """0, 1, 2 ... along the stream."""
    Line: int
    """Id in TextDetections."""
    DetectedText: str
    """The reading of all of its frames so far."""
    Carried: bool = False
    """Whether it was read in an earlier frame, since which its pixels have not changed; absent if
    not."""


class Reading(Shape, frozen=True, kw_only=True):
    """An event about one line of text: it has come, is read differently, or has gone.

    Onlooker's own.
    """

    ReadingId: str
    """The same in all events of a line: the TrackId."""
    State: Literal["new", "update", "end"]
    """The event: it has begun, is known better, or is over."""
    Index: int
    """That of the track."""
    Start: float
    """Time of the first detection, in seconds of the video, or since 1970 if the stream is live."""
    End: float
    """Time of the last detection so far, likewise."""
    Frames: int
    """Frames in which it was there so far."""
    DetectedText: str
    """The reading of all of its frames."""
    Confidence: float
    """Of that reading, 0 to 100."""
    RunnerUp: str | None = None
    """The reading that came second; absent if all frames agree."""
    Geometry: Geometry
    """Its place in the frame in which it was the largest and surest."""
    RecordId: str
    """The record of that frame."""
    Time: float
    """The time of that frame."""


class Appearance(Shape, frozen=True, kw_only=True):
    """An event about one person's visit: it has begun, has changed, or is over. Onlooker's own."""

    AppearanceId: str
    """The same in all events of a visit: the TrackId."""
    State: Literal["new", "update", "end"]
    """The event: it has begun, is known better, or is over."""
    Index: int
    """That of the track."""
    Start: float
    """Time of the first detection, in seconds of the video, or since 1970 if the stream is live."""
    End: float
    """Time of the last detection so far, likewise."""
    Frames: int
    """Frames in which the person was detected so far."""
    Person: str | None = None
    """User, ExternalImageId or FaceId; or the id of an unknown person, without a Match then."""
    Match: FaceMatch | None = None
    """The best match of the person so far."""
    DetectedFace: DetectedFace
    """The best image of the face; its attributes are means over the visit."""
    RecordId: str
    """The record of that image's frame."""
    Time: float
    """The time of that frame."""
    Clarity: float
    """How much that image shows of the face, 0 to 100: size, sharpness, frontality."""
    Together: tuple[str, ...] = ()
    """Other appearances that were in an image at the same time: of other people, therefore."""
    Quiet: bool = False
    """The person was here within the cooldown: the event is not published."""


class StreamRecord(Shape, frozen=True, kw_only=True):
    """The record of one frame."""

    InputInformation: InputInformation
    """The stream and the time of the frame."""
    StreamProcessorInformation: StreamProcessorInformation
    """As in Amazon's records."""
    FaceSearchResponse: tuple[FaceSearch, ...]
    """Each face of the frame with its matches."""
    TextDetections: tuple[TextDetection, ...]
    """Lines, then their words, as DetectText has them."""
    RecordId: str
    """The same for the same frame, settings and models: drop a record that came before."""
    Sequence: int
    """1, 2, 3 ... along a stream; a gap means a missed record."""
    FrameInformation: FrameInformation
    """The frame itself, and how it was analysed."""
    FaceModelVersion: str | None = None
    """Card of the embedder; absent if faces are not detected."""
    Tracks: tuple[Track, ...] = ()
    """One for each face that is followed; absent if there is none."""
    Appearances: tuple[Appearance, ...] = ()
    """The events about people that the frame causes; absent if there is none."""
    LineTracks: tuple[LineTrack, ...] = ()
    """One for each line of text; absent if there is none."""
    Readings: tuple[Reading, ...] = ()
    """The events about lines of text that the frame causes; absent if there is none."""
    TextModelVersion: str | None = None
    """Cards of the text detector and the reader, joined by "+"; absent if text is not detected."""

    @property
    def stream(self) -> str:
        """Name of the stream, as its ARN spells it."""
        return self.InputInformation.KinesisVideo.StreamArn.split("/")[1]

    @property
    def time(self) -> float:
        """Time of the frame in seconds of the video, or since 1970 if the stream is live."""
        fragment = self.InputInformation.KinesisVideo
        return fragment.ProducerTimestamp + fragment.FrameOffsetInSeconds


class RecordError(OnlookerError):
    """Bytes that are not a stream record."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StreamRecord)


def encode(record: StreamRecord) -> bytes:
    """Return the record as one line of compact JSON without the newline.

    Equal records give equal bytes.
    """
    return _encoder.encode(record)


def decode(line: bytes) -> StreamRecord:
    """Return the record that `encode` made. Raises RecordError for anything else."""
    try:
        return _decoder.decode(line)
    except UNREADABLE as error:
        shown = line[:60].decode(errors="replace")
        raise RecordError(f"not a stream record: {error}; it begins {shown!r}") from error
