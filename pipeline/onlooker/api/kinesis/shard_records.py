"""The records of a shard: from where on, and in batches."""

import time

from onlooker.api.errors import Refusal
from onlooker.api.kinesis import data_stream_requests as requests
from onlooker.api.kinesis import data_stream_responses as responses
from onlooker.api.kinesis import shard_iterators
from onlooker.api.kinesis.data_streams import invalid_argument, stream_of
from onlooker.api.kinesis.kinesis_context import KinesisContext
from onlooker.api.kinesis.shard_iterators import ShardIterator, is_shard, sequence_number

MAX_RECORDS = 10_000
MAX_BYTES = 10 * 1024 * 1024
"""Bytes of the records of one answer, except that it has one record at least."""
PAGE_RECORDS = 500
"""Records read in one query, so that no reader holds an old state of the log for long."""


def get_shard_iterator(
    request: requests.GetShardIterator, context: KinesisContext
) -> responses.GetShardIterator:
    ours = is_shard(request.ShardId)
    account = context.settings.record.account
    if ours is None:
        raise Refusal(
            "ResourceNotFoundException",
            f"Could not find shard {request.ShardId} in stream {request.StreamName} under account "
            f"{account}.",
        )
    stream, _ = stream_of(request, context)
    if not ours:
        raise Refusal(
            "ResourceNotFoundException",
            f"Shard {request.ShardId} in stream {stream} under account {account} does not exist",
        )
    _check_members(request)
    position = _position(request, stream, context)
    iterator = ShardIterator(stream, position)
    token = shard_iterators.sign(context.table.secret, iterator, time.time())
    return responses.GetShardIterator(ShardIterator=token)


def _check_members(request: requests.GetShardIterator) -> None:
    """Check that a request has what its type needs, and nothing else. Raises Refusal."""
    kind, number = request.ShardIteratorType, request.StartingSequenceNumber
    numbered = kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")
    if numbered != (number is not None):
        given = "no StartingSequenceNumber" if numbered else "also a StartingSequenceNumber"
        raise invalid_argument(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
            "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. "
            f"Request specified {kind} and {given}."
        )
    if kind == "AT_TIMESTAMP":
        if request.Timestamp is None:
            raise invalid_argument("Must specify timestamp parameter for iterator of AT_TIMESTAMP.")
        if request.Timestamp > time.time():
            raise invalid_argument(
                f"The Timestamp {request.Timestamp} is in the future; an iterator of AT_TIMESTAMP "
                "begins at a time that has been."
            )


def _position(request: requests.GetShardIterator, stream: str, context: KinesisContext) -> int:
    """Return the position behind which a request reads. Raises Refusal."""
    kind, number = request.ShardIteratorType, request.StartingSequenceNumber
    if kind == "TRIM_HORIZON":
        return 0
    with context.reading() as log:
        newest, end, later = 0, 0, 0
        if log is not None:
            topic, end = log.number_of(stream), log.position
            newest = log.newest_in(topic)
            if request.Timestamp is not None:
                later = log.before_time(topic, request.Timestamp)
    if kind == "LATEST":
        return newest
    if kind == "AT_TIMESTAMP":
        return later
    position = shard_iterators.position_of(number or "")
    if position is None or position > end:
        raise invalid_argument(
            f"StartingSequenceNumber {number} used in GetShardIterator on shard {request.ShardId} "
            f"in stream {stream} under account {context.settings.record.account} is invalid."
        )
    return max(0, position - 1) if kind == "AT_SEQUENCE_NUMBER" else position


def get_records(request: requests.GetRecords, context: KinesisContext) -> responses.GetRecords:
    limit = MAX_RECORDS if request.Limit is None else request.Limit
    if limit > MAX_RECORDS:
        raise invalid_argument(f"Limit is {limit}, and must not be greater than {MAX_RECORDS}.")
    secret = context.table.secret
    stream, position = shard_iterators.verify(secret, request.ShardIterator)
    if request.StreamARN is not None and not request.StreamARN.endswith(f":stream/{stream}"):
        raise invalid_argument("Invalid ShardIterator.")
    records, position, behind = _read(stream, position, limit, context)
    iterator = ShardIterator(stream, position)
    return responses.GetRecords(
        Records=tuple(records),
        # Fresh even if nothing has come, so that a consumer that waits does not lose its place.
        NextShardIterator=shard_iterators.sign(secret, iterator, time.time()),
        MillisBehindLatest=behind,
    )


def _read(
    stream: str, position: int, limit: int, context: KinesisContext
) -> tuple[list[responses.Record], int, int]:
    """Return the next records, the last position, and milliseconds to the newest record."""
    found: list[responses.Record] = []
    size = 0
    with context.reading() as log:
        if log is None:
            return found, position, 0
        topic = log.number_of(stream)
        full = False
        while not full and len(found) < limit:
            page = list(log.records_of(topic, position, min(limit - len(found), PAGE_RECORDS)))
            for record in page:
                size += len(record.body)
                full = size > MAX_BYTES and bool(found)
                if full:
                    break
                found.append(
                    responses.Record(
                        SequenceNumber=sequence_number(record.position),
                        ApproximateArrivalTimestamp=round(record.written, 3),
                        Data=record.body,
                        PartitionKey=record.stream,
                    )
                )
                position = record.position
            full = full or len(page) < PAGE_RECORDS
        written = log.written_after(topic, position)
    behind = 0 if written is None else max(1, round((time.time() - written) * 1000))
    return found, position, behind
