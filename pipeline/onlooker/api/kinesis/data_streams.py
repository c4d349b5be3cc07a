"""Data streams: the topics of the log, each with one shard."""

import re
import time

from onlooker import page_token
from onlooker.api.errors import Refusal
from onlooker.api.kinesis import data_stream_requests as requests
from onlooker.api.kinesis import data_stream_responses as responses
from onlooker.api.kinesis.kinesis_context import KinesisContext
from onlooker.api.kinesis.shard_iterators import FIRST, SHARD

SERVICE = "kinesis"
MAX_STREAMS = 100
"""Streams and shards of one page, as Amazon has it."""
MAX_HASH_KEY = 2**128 - 1
MAX_RETENTION_HOURS = 8760
"""Amazon's longest; a log without limit answers with it."""
SHARDS = (
    responses.Shard(
        ShardId=SHARD,
        HashKeyRange=responses.HashKeyRange(StartingHashKey="0", EndingHashKey=str(MAX_HASH_KEY)),
        SequenceNumberRange=responses.SequenceNumberRange(StartingSequenceNumber=FIRST),
    ),
)
MODE = responses.StreamModeDetails(StreamMode="PROVISIONED")
TOKEN_SECONDS = 300.0

_ARN = re.compile(r"arn:aws[a-z-]*:kinesis:[a-z\d-]*:(\d{12}):stream/([a-zA-Z0-9_.-]{1,128})")


def invalid_argument(why: str) -> Refusal:
    """Return the error of an argument that the operation cannot use."""
    return Refusal("InvalidArgumentException", why)


def stream_arn(context: KinesisContext, name: str) -> str:
    """Return the ARN of a data stream."""
    return context.arn(SERVICE, f"stream/{name}")


def named(request: requests.OfStream, context: KinesisContext) -> str | None:
    """Return the name of the stream that a request names, whether or not there is one."""
    if request.StreamARN is None:
        return request.StreamName
    found = _ARN.fullmatch(request.StreamARN)
    return found[2] if found and found[1] == context.settings.record.account else None


def stream_of(request: requests.OfStream, context: KinesisContext) -> tuple[str, float]:
    """Return name and time of creation of the stream that a request names. Raises Refusal."""
    name, arn = named(request, context), request.StreamARN
    if name is None and arn is None:
        raise invalid_argument("Either StreamName or StreamARN must be given.")
    if request.StreamName is not None and name != request.StreamName:
        raise invalid_argument("StreamARN and StreamName name two streams; give one of them.")
    created = None if name is None else context.streams().get(name)
    if name is None or created is None:
        account = context.settings.record.account
        raise Refusal(
            "ResourceNotFoundException", f"Stream {name or arn} under account {account} not found."
        )
    return name, created


def list_streams(request: requests.ListStreams, context: KinesisContext) -> responses.ListStreams:
    start = request.ExclusiveStartStreamName or ""
    if request.NextToken is not None:
        if start:
            raise invalid_argument(
                "NextToken and ExclusiveStartStreamName cannot be provided together."
            )
        start = _start(request.NextToken, context)
    names = {name: created for name, created in context.streams().items() if name > start}
    shown = dict(list(names.items())[: min(request.Limit or MAX_STREAMS, MAX_STREAMS)])
    more = len(shown) < len(names)
    return responses.ListStreams(
        StreamNames=tuple(shown),
        HasMoreStreams=more,
        NextToken=_token(list(shown)[-1], context) if more else None,
        StreamSummaries=tuple(
            responses.StreamSummary(
                StreamName=name,
                StreamARN=stream_arn(context, name),
                StreamStatus="ACTIVE",
                StreamModeDetails=MODE,
                StreamCreationTimestamp=created,
            )
            for name, created in shown.items()
        ),
    )


def _token(last: str, context: KinesisContext) -> str:
    content = f"{time.time():.3f} {last}".encode()
    return page_token.sign(context.table.secret, ("ListStreams",), content)


def _start(token: str, context: KinesisContext) -> str:
    """Return the name behind which a page begins. Raises Refusal."""
    try:
        content = page_token.verify(context.table.secret, ("ListStreams",), token)
    except page_token.InvalidToken as error:
        raise invalid_argument("Invalid NextToken: it was not made here.") from error
    made, _, last = content.decode().partition(" ")
    if time.time() - float(made) > TOKEN_SECONDS:
        raise Refusal(
            "ExpiredNextTokenException",
            f"NextToken is older than {TOKEN_SECONDS:.0f} s; begin again without one.",
        )
    return last


def describe_stream(
    request: requests.DescribeStream, context: KinesisContext
) -> responses.DescribeStream:
    name, created = stream_of(request, context)
    after = request.ExclusiveStartShardId or ""
    return responses.DescribeStream(
        StreamDescription=responses.StreamDescription(
            StreamName=name,
            StreamARN=stream_arn(context, name),
            StreamStatus="ACTIVE",
            StreamModeDetails=MODE,
            Shards=tuple(shard for shard in SHARDS if shard.ShardId > after),
            HasMoreShards=False,
            RetentionPeriodHours=_retention_hours(context),
            StreamCreationTimestamp=created,
            EnhancedMonitoring=(responses.EnhancedMetrics(),),
            EncryptionType="NONE",
        )
    )


def describe_stream_summary(
    request: requests.DescribeStreamSummary, context: KinesisContext
) -> responses.DescribeStreamSummary:
    name, created = stream_of(request, context)
    return responses.DescribeStreamSummary(
        StreamDescriptionSummary=responses.StreamDescriptionSummary(
            StreamName=name,
            StreamARN=stream_arn(context, name),
            StreamStatus="ACTIVE",
            StreamModeDetails=MODE,
            RetentionPeriodHours=_retention_hours(context),
            StreamCreationTimestamp=created,
            EnhancedMonitoring=(responses.EnhancedMetrics(),),
            EncryptionType="NONE",
            OpenShardCount=len(SHARDS),
            ConsumerCount=0,
        )
    )


def list_shards(request: requests.ListShards, context: KinesisContext) -> responses.ListShards:
    if request.NextToken is not None:
        if request.StreamName is not None or request.StreamARN is not None:
            raise invalid_argument("NextToken and StreamName cannot be provided together.")
        # All shards fit one page, so that no answer has a token.
        raise invalid_argument("Invalid NextToken: it was not made here.")
    if request.StreamName is None and request.StreamARN is None:
        raise invalid_argument("Either NextToken or StreamName should be provided.")
    stream_of(request, context)
    return responses.ListShards(Shards=_filtered(request))


def _filtered(request: requests.ListShards) -> tuple[responses.Shard, ...]:
    """Return the shards that a request asks for. The one shard is open, from the first record on.

    Raises Refusal.
    """
    after, filters = request.ExclusiveStartShardId or "", request.ShardFilter
    if filters is not None:
        if filters.Type == "AFTER_SHARD_ID":
            if filters.ShardId is None:
                raise invalid_argument("A ShardFilter of AFTER_SHARD_ID needs a ShardId.")
            after = max(after, filters.ShardId)
        elif filters.Type.endswith("_TIMESTAMP") and filters.Timestamp is None:
            raise invalid_argument(f"A ShardFilter of {filters.Type} needs a Timestamp.")
    return tuple(shard for shard in SHARDS if shard.ShardId > after)


def _retention_hours(context: KinesisContext) -> int:
    days = context.settings.log.max_age_days
    return max(1, round(days * 24)) if days else MAX_RETENTION_HOURS
