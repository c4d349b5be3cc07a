"""The request of each operation, with Amazon's limits of every member.

A member without `| None` is required: its default stands for a missing one until
`validation.check` finds it. The tests compare all of this with botocore's model.

BoundingBox, Point, RegionOfInterest and DetectionFilter differ from those of
`onlooker.rekognition.shapes`: in requests all their members are optional, as in Amazon's model.
"""

from __future__ import annotations  # members are named as their types are

from typing import Annotated, get_args

import msgspec

from onlooker.api.validation import Limit, required
from onlooker.config.schema import FaceAttribute

COLLECTION_ID = r"[a-zA-Z0-9_.\-]+"
TAG = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*"

CollectionId = Annotated[str, Limit(1, 255, COLLECTION_ID)]
ExternalImageId = Annotated[str, Limit(1, 255, r"[a-zA-Z0-9_.\-:]+")]
FaceId = Annotated[
    str, Limit(pattern="[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
]
UserId = Annotated[str, Limit(1, 128, r"[a-zA-Z0-9_.\-:]+")]
ClientRequestToken = Annotated[str, Limit(1, 64, "^[a-zA-Z0-9-_]+$")]
PaginationToken = Annotated[str, Limit(None, 255)]
PageSize = Annotated[int, Limit(0, 4096)]
MaxFaces = Annotated[int, Limit(1, 4096)]
MaxUsers = Annotated[int, Limit(1, 500)]
Percent = Annotated[float, Limit(0, 100)]
Ratio = Annotated[float, Limit(0, 1)]
QualityFilter = Annotated[str, Limit(choices=("NONE", "AUTO", "LOW", "MEDIUM", "HIGH"))]
Attribute = Annotated[str, Limit(choices=("DEFAULT", *get_args(FaceAttribute)))]
TagKey = Annotated[str, Limit(1, 128, f"^(?!aws:){TAG}$")]
TagValue = Annotated[str, Limit(0, 256, f"^({TAG})$")]
Tags = Annotated[dict[TagKey, TagValue], Limit(0, 200)]
JobId = Annotated[str, Limit(1, 64, "^[a-zA-Z0-9-_]+$")]
JobTag = Annotated[str, Limit(1, 1024, r"[a-zA-Z0-9_.\-:+=\/]+")]
SNSTopicArn = Annotated[str, Limit(pattern=r"(^arn:aws:sns:.*:\w{12}:.+$)")]
RoleArn = Annotated[str, Limit(pattern=r"arn:aws:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")]
MaxResults = Annotated[int, Limit(1)]
SortBy = Annotated[str, Limit(choices=("INDEX", "TIMESTAMP"))]
ResourceArn = Annotated[str, Limit(20, 2048)]


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The root of all requests. Unknown members are ignored, as by Amazon."""


class InCollection(Request, frozen=True, kw_only=True):
    """A request about one collection."""

    CollectionId: CollectionId = required()


class S3Object(Request, frozen=True, kw_only=True):
    Bucket: Annotated[str, Limit(3, 255, r"[0-9A-Za-z\.\-_]*")] | None = None
    Name: Annotated[str, Limit(1, 1024)] | None = None
    Version: Annotated[str, Limit(1, 1024)] | None = None


class Image(Request, frozen=True, kw_only=True):
    """An image; `onlooker.api.rekognition.image_input` decodes it."""

    Bytes: msgspec.Raw = msgspec.Raw()
    """base64 in its JSON quotes, as it came: megabytes that are not copied needlessly."""
    S3Object: S3Object | None = None


class BoundingBox(Request, frozen=True, kw_only=True):
    Width: float | None = None
    Height: float | None = None
    Left: float | None = None
    Top: float | None = None


class Point(Request, frozen=True, kw_only=True):
    X: float | None = None
    Y: float | None = None


class RegionOfInterest(Request, frozen=True, kw_only=True):
    BoundingBox: BoundingBox | None = None
    Polygon: tuple[Point, ...] | None = None


class DetectionFilter(Request, frozen=True, kw_only=True):
    MinConfidence: Percent | None = None
    MinBoundingBoxHeight: Ratio | None = None
    MinBoundingBoxWidth: Ratio | None = None


class DetectTextFilters(Request, frozen=True, kw_only=True):
    WordFilter: DetectionFilter | None = None
    RegionsOfInterest: Annotated[tuple[RegionOfInterest, ...], Limit(0, 10)] | None = None


class DetectText(Request, frozen=True, kw_only=True):
    Image: Image = required()
    Filters: DetectTextFilters | None = None


class DetectFaces(Request, frozen=True, kw_only=True):
    Image: Image = required()
    Attributes: tuple[Attribute, ...] | None = None


class CompareFaces(Request, frozen=True, kw_only=True):
    SourceImage: Image = required()
    TargetImage: Image = required()
    SimilarityThreshold: Percent | None = None
    QualityFilter: QualityFilter | None = None


class CreateCollection(InCollection, frozen=True, kw_only=True):
    Tags: Tags | None = None


class DescribeCollection(InCollection, frozen=True, kw_only=True):
    pass


class DeleteCollection(InCollection, frozen=True, kw_only=True):
    pass


class ListCollections(Request, frozen=True, kw_only=True):
    NextToken: PaginationToken | None = None
    MaxResults: PageSize | None = None


class IndexFaces(InCollection, frozen=True, kw_only=True):
    Image: Image = required()
    ExternalImageId: ExternalImageId | None = None
    DetectionAttributes: tuple[Attribute, ...] | None = None
    MaxFaces: Annotated[int, Limit(1)] | None = None
    QualityFilter: QualityFilter | None = None


class ListFaces(InCollection, frozen=True, kw_only=True):
    NextToken: PaginationToken | None = None
    MaxResults: PageSize | None = None
    UserId: UserId | None = None
    FaceIds: Annotated[tuple[FaceId, ...], Limit(1, 4096)] | None = None


class SearchFaces(InCollection, frozen=True, kw_only=True):
    FaceId: FaceId = required()
    MaxFaces: MaxFaces | None = None
    FaceMatchThreshold: Percent | None = None


class SearchFacesByImage(InCollection, frozen=True, kw_only=True):
    Image: Image = required()
    MaxFaces: MaxFaces | None = None
    FaceMatchThreshold: Percent | None = None
    QualityFilter: QualityFilter | None = None


class DeleteFaces(InCollection, frozen=True, kw_only=True):
    FaceIds: Annotated[tuple[FaceId, ...], Limit(1, 4096)] = required()


class CreateUser(InCollection, frozen=True, kw_only=True):
    UserId: UserId = required()
    ClientRequestToken: ClientRequestToken | None = None


class DeleteUser(InCollection, frozen=True, kw_only=True):
    UserId: UserId = required()
    ClientRequestToken: ClientRequestToken | None = None


class ListUsers(InCollection, frozen=True, kw_only=True):
    MaxResults: MaxUsers | None = None
    NextToken: PaginationToken | None = None


class AssociateFaces(InCollection, frozen=True, kw_only=True):
    UserId: UserId = required()
    FaceIds: Annotated[tuple[FaceId, ...], Limit(1, 100)] = required()
    UserMatchThreshold: Percent | None = None
    ClientRequestToken: ClientRequestToken | None = None


class DisassociateFaces(InCollection, frozen=True, kw_only=True):
    UserId: UserId = required()
    ClientRequestToken: ClientRequestToken | None = None
    FaceIds: Annotated[tuple[FaceId, ...], Limit(1, 100)] = required()


class SearchUsers(InCollection, frozen=True, kw_only=True):
    UserId: UserId | None = None
    FaceId: FaceId | None = None
    UserMatchThreshold: Percent | None = None
    MaxUsers: MaxUsers | None = None


class SearchUsersByImage(InCollection, frozen=True, kw_only=True):
    Image: Image = required()
    UserMatchThreshold: Percent | None = None
    MaxUsers: MaxUsers | None = None
    QualityFilter: QualityFilter | None = None


class TagResource(Request, frozen=True, kw_only=True):
    ResourceArn: ResourceArn = required()
    Tags: Tags = required()


class UntagResource(Request, frozen=True, kw_only=True):
    ResourceArn: ResourceArn = required()
    TagKeys: Annotated[tuple[TagKey, ...], Limit(0, 200)] = required()


class ListTagsForResource(Request, frozen=True, kw_only=True):
    ResourceArn: ResourceArn = required()


class Video(Request, frozen=True, kw_only=True):
    S3Object: S3Object | None = None


class NotificationChannel(Request, frozen=True, kw_only=True):
    SNSTopicArn: SNSTopicArn = required()
    RoleArn: RoleArn = required()


class StartTextDetectionFilters(Request, frozen=True, kw_only=True):
    WordFilter: DetectionFilter | None = None
    RegionsOfInterest: Annotated[tuple[RegionOfInterest, ...], Limit(0, 10)] | None = None


class StartJob(Request, frozen=True, kw_only=True):
    """A request that starts a job over a stored video."""

    Video: Video = required()
    ClientRequestToken: ClientRequestToken | None = None
    NotificationChannel: NotificationChannel | None = None
    JobTag: JobTag | None = None


class StartFaceDetection(StartJob, frozen=True, kw_only=True):
    FaceAttributes: Annotated[str, Limit(choices=("DEFAULT", "ALL"))] | None = None


class StartFaceSearch(StartJob, frozen=True, kw_only=True):
    CollectionId: CollectionId = required()
    FaceMatchThreshold: Percent | None = None


class StartTextDetection(StartJob, frozen=True, kw_only=True):
    Filters: StartTextDetectionFilters | None = None


class StartPersonTracking(StartJob, frozen=True, kw_only=True):
    pass


class GetJob(Request, frozen=True, kw_only=True):
    """A request for a page of a job's results."""

    JobId: JobId = required()
    MaxResults: MaxResults | None = None
    NextToken: PaginationToken | None = None


class GetFaceDetection(GetJob, frozen=True, kw_only=True):
    pass


class GetFaceSearch(GetJob, frozen=True, kw_only=True):
    SortBy: SortBy | None = None


class GetTextDetection(GetJob, frozen=True, kw_only=True):
    pass


class GetPersonTracking(GetJob, frozen=True, kw_only=True):
    SortBy: SortBy | None = None
