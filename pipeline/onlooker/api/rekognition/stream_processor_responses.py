"""The responses of stream processors. Times are epoch seconds."""

from __future__ import annotations  # members are named as their types are

from onlooker.rekognition.shapes import Shape
from onlooker.stream.processors import State


class CreateStreamProcessor(Shape, frozen=True, kw_only=True):
    StreamProcessorArn: str


class KinesisVideoStream(Shape, frozen=True, kw_only=True):
    Arn: str


class StreamProcessorInput(Shape, frozen=True, kw_only=True):
    KinesisVideoStream: KinesisVideoStream


class KinesisDataStream(Shape, frozen=True, kw_only=True):
    Arn: str


class StreamProcessorOutput(Shape, frozen=True, kw_only=True):
    KinesisDataStream: KinesisDataStream


class FaceSearchSettings(Shape, frozen=True, kw_only=True):
    CollectionId: str
    FaceMatchThreshold: float | None = None


class StreamProcessorSettings(Shape, frozen=True, kw_only=True):
    FaceSearch: FaceSearchSettings


class DescribeStreamProcessor(Shape, frozen=True, kw_only=True):
    Name: str
    StreamProcessorArn: str
    Status: State
    StatusMessage: str | None = None
    CreationTimestamp: float
    LastUpdateTimestamp: float
    Input: StreamProcessorInput
    Output: StreamProcessorOutput
    RoleArn: str
    Settings: StreamProcessorSettings


class StreamProcessor(Shape, frozen=True, kw_only=True):
    Name: str
    Status: State


class ListStreamProcessors(Shape, frozen=True, kw_only=True):
    StreamProcessors: tuple[StreamProcessor, ...]
    NextToken: str | None = None
