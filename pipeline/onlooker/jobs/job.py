"""Jobs: what is asked of one, and its state."""

from typing import Literal

import msgspec

from onlooker.rekognition.shapes import Shape, TextFilters

JobKind = Literal["FaceDetection", "FaceSearch", "TextDetection", "PersonTracking"]
"""Amazon's operations, without "Start"."""
JobState = Literal["IN_PROGRESS", "SUCCEEDED", "FAILED"]


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parameters of a job, with defaults filled in."""

    kind: JobKind
    bucket: str
    name: str
    version: str | None = None
    attributes: Literal["DEFAULT", "ALL"] = "DEFAULT"
    """Of FaceDetection."""
    collection: str | None = None
    """Of FaceSearch."""
    threshold: float = 80.0
    """Least Similarity, 0 to 100, of FaceSearch."""
    filters: TextFilters | None = None
    """Of TextDetection."""
    topic: str | None = None
    """ARN to which the end is announced; None means that it is not."""
    tag: str | None = None
    """The client's JobTag."""


class VideoMetadata(Shape, frozen=True, kw_only=True):
    """Amazon's description of a video."""

    Codec: str
    DurationMillis: int
    Format: str
    FrameRate: float
    FrameHeight: int
    FrameWidth: int
    ColorRange: Literal["FULL", "LIMITED"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is now. Times are epoch seconds."""

    id: str
    request: Request
    state: JobState
    message: str | None
    """Why it failed."""
    metadata: VideoMetadata | None
    """None until its end."""
    progress: float
    """Share of the video, 0 to 1, that is done."""
    frames: int
    """Frames that were analysed."""
    results: int
    """Entries of its results; 0 until its end."""
    created: float
    begun: float | None
    ended: float | None
