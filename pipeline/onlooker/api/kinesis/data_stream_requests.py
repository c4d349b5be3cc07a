"""The requests of Amazon Kinesis Data Streams, with Amazon's limits of every member.

As in `onlooker.api.rekognition.requests`; the tests compare all of this with botocore's model. The
limit of `GetRecords.Limit` is the operation's own, since Amazon has another error for it.
"""

from __future__ import annotations  # members are named as their types are

from typing import Annotated

import msgspec

from onlooker.api.validation import Limit, required

StreamName = Annotated[str, Limit(1, 128, "[a-zA-Z0-9_.-]+")]
StreamARN = Annotated[str, Limit(1, 2048, r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+")]
StreamId = Annotated[str, Limit(1, 24, "[a-z0-9]{20}-[a-z0-9]{3}")]
ShardId = Annotated[str, Limit(1, 128, "[a-zA-Z0-9_.-]+")]
SequenceNumber = Annotated[str, Limit(pattern=r"^(0|([1-9]\d{0,128}))$")]
NextToken = Annotated[str, Limit(1, 1_048_576)]
Page = Annotated[int, Limit(1, 10_000)]
ShardIteratorType = Annotated[
    str,
    Limit(
        choices=(
            "AT_SEQUENCE_NUMBER",
            "AFTER_SEQUENCE_NUMBER",
            "TRIM_HORIZON",
            "LATEST",
            "AT_TIMESTAMP",
        )
    ),
]
ShardFilterType = Annotated[
    str,
    Limit(
        choices=(
            "AFTER_SHARD_ID",
            "AT_TRIM_HORIZON",
            "FROM_TRIM_HORIZON",
            "AT_LATEST",
            "AT_TIMESTAMP",
            "FROM_TIMESTAMP",
        )
    ),
]


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The root of all requests. Unknown members are ignored, as by Amazon."""


class OfStream(Request, frozen=True, kw_only=True):
    """A request about one stream, which it names in one way or another."""

    StreamName: StreamName | None = None
    StreamARN: StreamARN | None = None
    StreamId: StreamId | None = None


class ListStreams(Request, frozen=True, kw_only=True):
    Limit: Page | None = None
    ExclusiveStartStreamName: StreamName | None = None
    NextToken: NextToken | None = None


class DescribeStream(OfStream, frozen=True, kw_only=True):
    Limit: Page | None = None
    ExclusiveStartShardId: ShardId | None = None


class DescribeStreamSummary(OfStream, frozen=True, kw_only=True):
    pass


class ShardFilter(Request, frozen=True, kw_only=True):
    Type: ShardFilterType = required()
    ShardId: ShardId | None = None
    Timestamp: float | None = None


class ListShards(OfStream, frozen=True, kw_only=True):
    NextToken: NextToken | None = None
    ExclusiveStartShardId: ShardId | None = None
    MaxResults: Page | None = None
    StreamCreationTimestamp: float | None = None
    ShardFilter: ShardFilter | None = None


class GetShardIterator(OfStream, frozen=True, kw_only=True):
    ShardId: ShardId = required()
    ShardIteratorType: ShardIteratorType = required()
    StartingSequenceNumber: SequenceNumber | None = None
    Timestamp: float | None = None
    DryRun: bool | None = None


class GetRecords(Request, frozen=True, kw_only=True):
    ShardIterator: Annotated[str, Limit(1, 512)] = required()
    Limit: Annotated[int, Limit(1)] | None = None
    StreamARN: StreamARN | None = None
    StreamId: StreamId | None = None
    DryRun: bool | None = None
