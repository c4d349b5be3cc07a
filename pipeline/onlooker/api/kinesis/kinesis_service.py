"""The table of the operations of Amazon Kinesis Data Streams that are answered: those that read."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from onlooker.api.access_keys import Key
from onlooker.api.errors import Refusal
from onlooker.api.kinesis import data_stream_requests as requests
from onlooker.api.kinesis import data_streams, shard_iterators, shard_records
from onlooker.api.kinesis.data_stream_responses import ListStreams
from onlooker.api.kinesis.kinesis_context import KinesisContext
from onlooker.api.service import Operation, Resource, Service
from onlooker.api.wire_form import CBOR, CBOR_CONTENT_TYPE
from onlooker.errors import OnlookerError

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(requests.ListStreams, data_streams.list_streams),
        Operation(requests.DescribeStream, data_streams.describe_stream),
        Operation(requests.DescribeStreamSummary, data_streams.describe_stream_summary),
        Operation(requests.ListShards, data_streams.list_shards),
        Operation(requests.GetShardIterator, shard_records.get_shard_iterator),
        Operation(requests.GetRecords, shard_records.get_records, polled=True),
    )
}


def resources(request: Any, context: KinesisContext) -> Sequence[Resource]:
    """Return the data stream that a request is about."""
    if isinstance(request, requests.GetRecords):
        stream = shard_iterators.stream_of(context.table.secret, request.ShardIterator or "")
    elif isinstance(request, requests.OfStream):
        stream = data_streams.named(request, context)
    else:
        stream = None
    if stream is None:
        return ()
    return (Resource("stream", stream, data_streams.stream_arn(context, stream)),)


def refusal(error: OnlookerError) -> Refusal | None:
    """Return None: errors of the log are the server's own."""
    return None


def response(
    operation: Operation, answer: msgspec.Struct, key: Key | None, context: KinesisContext
) -> Any:
    """Return an answer without streams that are not the key's; a page of them may be short."""
    if key is not None and isinstance(answer, ListStreams):
        known = {name for name in answer.StreamNames if key.reaches("stream", name)}
        summaries = tuple(each for each in answer.StreamSummaries if each.StreamName in known)
        names = tuple(each.StreamName for each in summaries)
        return replace(answer, StreamNames=names, StreamSummaries=summaries)
    return answer


KINESIS = Service(
    name=data_streams.SERVICE,
    target="Kinesis_20131202",
    content_type="application/x-amz-json-1.1",
    operations=OPERATIONS,
    resources=resources,
    refusal=refusal,
    response=response,
    forms={CBOR_CONTENT_TYPE: CBOR},
    limit_error="ValidationException",
)
