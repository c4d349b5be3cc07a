"""The requests of stream processors, as `onlooker.api.rekognition.requests` has the others."""

from __future__ import annotations  # members are named as their types are

from typing import Annotated

from onlooker.api.rekognition.requests import (
    CollectionId,
    PaginationToken,
    Percent,
    RegionOfInterest,
    Request,
    Tags,
)
from onlooker.api.validation import Limit, required

ProcessorName = Annotated[str, Limit(1, 128, r"[a-zA-Z0-9_.\-]+")]
VideoArn = Annotated[str, Limit(pattern=r"(^arn:([a-z\d-]+):kinesisvideo:([a-z\d-]+):\d{12}:.+$)")]
DataArn = Annotated[str, Limit(pattern=r"(^arn:([a-z\d-]+):kinesis:([a-z\d-]+):\d{12}:.+$)")]
RoleArn = Annotated[str, Limit(pattern=r"arn:aws:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")]
TopicArn = Annotated[str, Limit(pattern=r"(^arn:aws:sns:.*:\w{12}:.+$)")]
KmsKeyId = Annotated[str, Limit(1, 2048, "^[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}$")]
Labels = Annotated[tuple[str, ...], Limit(1, 128)]
Regions = Annotated[tuple[RegionOfInterest, ...], Limit(0, 10)]
Parameter = Annotated[str, Limit(choices=("ConnectedHomeMinConfidence", "RegionsOfInterest"))]


class KinesisVideoStream(Request, frozen=True, kw_only=True):
    Arn: VideoArn | None = None


class StreamProcessorInput(Request, frozen=True, kw_only=True):
    KinesisVideoStream: KinesisVideoStream | None = None


class KinesisDataStream(Request, frozen=True, kw_only=True):
    Arn: DataArn | None = None


class S3Destination(Request, frozen=True, kw_only=True):
    Bucket: Annotated[str, Limit(3, 255, r"[0-9A-Za-z\.\-_]*")] | None = None
    KeyPrefix: Annotated[str, Limit(None, 1024)] | None = None


class StreamProcessorOutput(Request, frozen=True, kw_only=True):
    KinesisDataStream: KinesisDataStream | None = None
    S3Destination: S3Destination | None = None


class FaceSearchSettings(Request, frozen=True, kw_only=True):
    CollectionId: CollectionId | None = None
    FaceMatchThreshold: Percent | None = None


class ConnectedHomeSettings(Request, frozen=True, kw_only=True):
    Labels: Labels = required()
    MinConfidence: Percent | None = None


class StreamProcessorSettings(Request, frozen=True, kw_only=True):
    FaceSearch: FaceSearchSettings | None = None
    ConnectedHome: ConnectedHomeSettings | None = None


class StreamProcessorNotificationChannel(Request, frozen=True, kw_only=True):
    SNSTopicArn: TopicArn = required()


class StreamProcessorDataSharingPreference(Request, frozen=True, kw_only=True):
    OptIn: bool = required()


class OfProcessor(Request, frozen=True, kw_only=True):
    """A request about one stream processor."""

    Name: ProcessorName = required()


class CreateStreamProcessor(OfProcessor, frozen=True, kw_only=True):
    Input: StreamProcessorInput = required()
    Output: StreamProcessorOutput = required()
    Settings: StreamProcessorSettings = required()
    RoleArn: RoleArn = required()
    Tags: Tags | None = None
    NotificationChannel: StreamProcessorNotificationChannel | None = None
    KmsKeyId: KmsKeyId | None = None
    RegionsOfInterest: Regions | None = None
    DataSharingPreference: StreamProcessorDataSharingPreference | None = None


class DescribeStreamProcessor(OfProcessor, frozen=True, kw_only=True):
    pass


class ListStreamProcessors(Request, frozen=True, kw_only=True):
    NextToken: PaginationToken | None = None
    MaxResults: Annotated[int, Limit(1)] | None = None


class KinesisVideoStreamStartSelector(Request, frozen=True, kw_only=True):
    ProducerTimestamp: Annotated[int, Limit(0)] | None = None
    FragmentNumber: Annotated[str, Limit(1, 128, "^[0-9]+$")] | None = None


class StreamProcessingStartSelector(Request, frozen=True, kw_only=True):
    KVSStreamStartSelector: KinesisVideoStreamStartSelector | None = None


class StreamProcessingStopSelector(Request, frozen=True, kw_only=True):
    MaxDurationInSeconds: Annotated[int, Limit(1, 120)] | None = None


class StartStreamProcessor(OfProcessor, frozen=True, kw_only=True):
    StartSelector: StreamProcessingStartSelector | None = None
    StopSelector: StreamProcessingStopSelector | None = None


class StopStreamProcessor(OfProcessor, frozen=True, kw_only=True):
    pass


class DeleteStreamProcessor(OfProcessor, frozen=True, kw_only=True):
    pass


class ConnectedHomeSettingsForUpdate(Request, frozen=True, kw_only=True):
    Labels: Labels | None = None
    MinConfidence: Percent | None = None


class StreamProcessorSettingsForUpdate(Request, frozen=True, kw_only=True):
    ConnectedHomeForUpdate: ConnectedHomeSettingsForUpdate | None = None


class UpdateStreamProcessor(OfProcessor, frozen=True, kw_only=True):
    SettingsForUpdate: StreamProcessorSettingsForUpdate | None = None
    RegionsOfInterestForUpdate: Regions | None = None
    DataSharingPreferenceForUpdate: StreamProcessorDataSharingPreference | None = None
    ParametersToDelete: tuple[Parameter, ...] | None = None
