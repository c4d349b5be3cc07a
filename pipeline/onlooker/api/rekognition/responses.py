"""The response of each operation. A member without a value is left out, as in Amazon's."""

from __future__ import annotations  # members are named as their types are

from typing import Literal, TypeAlias

import msgspec

from onlooker.jobs.job import JobState, VideoMetadata
from onlooker.rekognition.shapes import (
    BoundingBox,
    DetectedFace,
    Face,
    FaceDetail,
    FaceMatch,
    Reason,
    Shape,
    TextDetection,
    UnindexedFace,
)

Orientation = Literal["ROTATE_0", "ROTATE_90", "ROTATE_180", "ROTATE_270"]
UserStatus = Literal["CREATED", "ACTIVE", "UPDATING", "CREATING"]


class Empty(Shape, frozen=True, kw_only=True):
    """Response without members."""


class DetectFaces(Shape, frozen=True, kw_only=True):
    FaceDetails: tuple[FaceDetail, ...]
    OrientationCorrection: Orientation | None = None


class DetectText(Shape, frozen=True, kw_only=True):
    TextDetections: tuple[TextDetection, ...]
    TextModelVersion: str | None = None


class ComparedSourceImageFace(Shape, frozen=True, kw_only=True):
    BoundingBox: BoundingBox
    Confidence: float


class CompareFacesMatch(Shape, frozen=True, kw_only=True):
    Similarity: float
    Face: DetectedFace


class CompareFaces(Shape, frozen=True, kw_only=True):
    SourceImageFace: ComparedSourceImageFace
    FaceMatches: tuple[CompareFacesMatch, ...]
    UnmatchedFaces: tuple[DetectedFace, ...]
    SourceImageOrientationCorrection: Orientation | None = None
    TargetImageOrientationCorrection: Orientation | None = None


class CreateCollection(Shape, frozen=True, kw_only=True):
    StatusCode: int
    CollectionArn: str
    FaceModelVersion: str


class DescribeCollection(Shape, frozen=True, kw_only=True):
    FaceCount: int
    FaceModelVersion: str
    CollectionARN: str
    CreationTimestamp: float
    """Epoch seconds."""
    UserCount: int


class DeleteCollection(Shape, frozen=True, kw_only=True):
    StatusCode: int


class ListCollections(Shape, frozen=True, kw_only=True):
    CollectionIds: tuple[str, ...]
    NextToken: str | None = None
    FaceModelVersions: tuple[str, ...]
    """One per entry of CollectionIds."""


class FaceRecord(Shape, frozen=True, kw_only=True):
    Face: Face
    FaceDetail: FaceDetail


class IndexFaces(Shape, frozen=True, kw_only=True):
    FaceRecords: tuple[FaceRecord, ...]
    OrientationCorrection: Orientation | None = None
    FaceModelVersion: str
    UnindexedFaces: tuple[UnindexedFace, ...] | None
    """None in responses of 2017."""


class ListFaces(Shape, frozen=True, kw_only=True):
    Faces: tuple[Face, ...]
    NextToken: str | None = None
    FaceModelVersion: str


class SearchFaces(Shape, frozen=True, kw_only=True):
    SearchedFaceId: str
    FaceMatches: tuple[FaceMatch, ...]
    FaceModelVersion: str


class SearchFacesByImage(Shape, frozen=True, kw_only=True):
    SearchedFaceBoundingBox: BoundingBox
    SearchedFaceConfidence: float
    FaceMatches: tuple[FaceMatch, ...]
    FaceModelVersion: str


class UnsuccessfulFace(Shape, frozen=True, kw_only=True):
    """A face that could not be deleted, associated or disassociated, with the reasons."""

    FaceId: str
    UserId: str | None = None
    Confidence: float | None = None
    Reasons: tuple[str, ...]


class DeleteFaces(Shape, frozen=True, kw_only=True):
    DeletedFaces: tuple[str, ...]
    UnsuccessfulFaceDeletions: tuple[UnsuccessfulFace, ...] | None
    """None in responses of 2017."""


class User(Shape, frozen=True, kw_only=True):
    UserId: str
    UserStatus: UserStatus


class ListUsers(Shape, frozen=True, kw_only=True):
    Users: tuple[User, ...]
    NextToken: str | None = None


class AssociatedFace(Shape, frozen=True, kw_only=True):
    """A face that was associated or disassociated, or by which users were searched."""

    FaceId: str


class AssociateFaces(Shape, frozen=True, kw_only=True):
    AssociatedFaces: tuple[AssociatedFace, ...]
    UnsuccessfulFaceAssociations: tuple[UnsuccessfulFace, ...]
    UserStatus: UserStatus


class DisassociateFaces(Shape, frozen=True, kw_only=True):
    DisassociatedFaces: tuple[AssociatedFace, ...]
    UnsuccessfulFaceDisassociations: tuple[UnsuccessfulFace, ...]
    UserStatus: UserStatus


class UserMatch(Shape, frozen=True, kw_only=True):
    Similarity: float
    User: User


class SearchedUser(Shape, frozen=True, kw_only=True):
    UserId: str


class SearchUsers(Shape, frozen=True, kw_only=True):
    UserMatches: tuple[UserMatch, ...]
    FaceModelVersion: str
    SearchedFace: AssociatedFace | None = None
    SearchedUser: SearchedUser | None = None


class SearchedFaceDetails(Shape, frozen=True, kw_only=True):
    FaceDetail: FaceDetail


UnsearchedReason: TypeAlias = Reason | Literal["FACE_NOT_LARGEST"]


class UnsearchedFace(Shape, frozen=True, kw_only=True):
    FaceDetails: FaceDetail
    Reasons: tuple[UnsearchedReason, ...]


class SearchUsersByImage(Shape, frozen=True, kw_only=True):
    UserMatches: tuple[UserMatch, ...]
    FaceModelVersion: str
    SearchedFace: SearchedFaceDetails
    UnsearchedFaces: tuple[UnsearchedFace, ...]


class ListTagsForResource(Shape, frozen=True, kw_only=True):
    Tags: dict[str, str]


class StartJob(Shape, frozen=True, kw_only=True):
    JobId: str


class S3Object(Shape, frozen=True, kw_only=True):
    Bucket: str
    Name: str
    Version: str | None = None


class Video(Shape, frozen=True, kw_only=True):
    S3Object: S3Object


class GetJob(Shape, frozen=True, kw_only=True):
    """The members that the results of all jobs have."""

    JobStatus: JobState
    StatusMessage: str | None = None
    VideoMetadata: VideoMetadata | None = None
    """None until the job has succeeded."""
    NextToken: str | None = None
    JobId: str
    Video: Video
    JobTag: str | None = None


class VideoFace(Shape, frozen=True, kw_only=True):
    Timestamp: int
    """Milliseconds from the beginning of the video."""
    Face: msgspec.Raw


class GetFaceDetection(GetJob, frozen=True, kw_only=True):
    Faces: tuple[VideoFace, ...]


class VideoText(Shape, frozen=True, kw_only=True):
    Timestamp: int
    TextDetection: msgspec.Raw


class GetTextDetection(GetJob, frozen=True, kw_only=True):
    TextDetections: tuple[VideoText, ...]
    TextModelVersion: str


class PersonDetail(Shape, frozen=True, kw_only=True):
    Index: int
    Face: msgspec.Raw


class PersonMatch(Shape, frozen=True, kw_only=True):
    Timestamp: int
    Person: PersonDetail
    FaceMatches: msgspec.Raw | None = None
    """Left out if nobody of the collection matches."""


class GetPersons(GetJob, frozen=True, kw_only=True):
    """The response of GetFaceSearch and GetPersonTracking."""

    Persons: tuple[PersonMatch, ...]
