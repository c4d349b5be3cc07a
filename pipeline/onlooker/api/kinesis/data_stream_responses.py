"""The responses of Amazon Kinesis Data Streams. Times are epoch seconds."""

from __future__ import annotations  # members are named as their types are

from typing import Literal

import msgspec


class Response(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The root of all responses. A member that has its default is left out."""


class StreamModeDetails(Response, frozen=True, kw_only=True):
    StreamMode: Literal["PROVISIONED", "ON_DEMAND"]


class StreamSummary(Response, frozen=True, kw_only=True):
    StreamName: str
    StreamARN: str
    StreamStatus: Literal["ACTIVE"]
    StreamModeDetails: StreamModeDetails
    StreamCreationTimestamp: float


class ListStreams(Response, frozen=True, kw_only=True):
    StreamNames: tuple[str, ...]
    HasMoreStreams: bool
    NextToken: str | None = None
    StreamSummaries: tuple[StreamSummary, ...]


class HashKeyRange(Response, frozen=True, kw_only=True):
    StartingHashKey: str
    EndingHashKey: str


class SequenceNumberRange(Response, frozen=True, kw_only=True):
    StartingSequenceNumber: str


class Shard(Response, frozen=True, kw_only=True):
    ShardId: str
    HashKeyRange: HashKeyRange
    SequenceNumberRange: SequenceNumberRange


class EnhancedMetrics(Response, frozen=True, kw_only=True):
    """Amazon's list of metrics for each shard, of which there are none."""


class StreamDescription(StreamSummary, frozen=True, kw_only=True):
    Shards: tuple[Shard, ...]
    HasMoreShards: bool
    RetentionPeriodHours: int
    EnhancedMonitoring: tuple[EnhancedMetrics, ...]
    EncryptionType: Literal["NONE"]


class DescribeStream(Response, frozen=True, kw_only=True):
    StreamDescription: StreamDescription


class StreamDescriptionSummary(StreamSummary, frozen=True, kw_only=True):
    RetentionPeriodHours: int
    EnhancedMonitoring: tuple[EnhancedMetrics, ...]
    EncryptionType: Literal["NONE"]
    OpenShardCount: int
    ConsumerCount: int


class DescribeStreamSummary(Response, frozen=True, kw_only=True):
    StreamDescriptionSummary: StreamDescriptionSummary


class ListShards(Response, frozen=True, kw_only=True):
    Shards: tuple[Shard, ...]


class GetShardIterator(Response, frozen=True, kw_only=True):
    ShardIterator: str


class Record(Response, frozen=True, kw_only=True):
    SequenceNumber: str
    ApproximateArrivalTimestamp: float
    Data: bytes
    PartitionKey: str


class GetRecords(Response, frozen=True, kw_only=True):
    Records: tuple[Record, ...]
    NextShardIterator: str
    MillisBehindLatest: int
