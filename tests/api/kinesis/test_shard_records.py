"""Records of a shard: from where on, in batches, and how far behind the newest one."""

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.kinesis import SHARD, streams, write_log
from tests.support.kinesis_contexts import kinesis_context

from onlooker.api.errors import Refusal
from onlooker.api.kinesis import data_stream_requests as requests
from onlooker.api.kinesis import data_stream_responses as responses
from onlooker.api.kinesis import shard_records
from onlooker.api.kinesis.kinesis_context import KinesisContext
from onlooker.api.kinesis.shard_iterators import sequence_number
from onlooker.api.kinesis.shard_records import get_records, get_shard_iterator
from onlooker.config.schema import SourceConfig
from onlooker.record.log.reader import Log
from onlooker.record.log.writer import Writer

DOOR = [1, 2, 3, 4, 5, 11, 12, 13]
"""Positions of the records of "door", in three commits; those between are of "yard"."""
TIMES = {1: 1000.0, 4: 1010.0, 11: 1020.0}
"""Times of the commits, by the position of the first record."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("log")
    door, yard = streams(8, "door"), streams(5, "yard")
    with Writer(place / "r.db") as log, pytest.MonkeyPatch.context() as patch:
        for now, records in (
            (1000.0, door[:3]),
            (1010.0, [*door[3:5], *yard]),
            (1020.0, door[5:]),
        ):
            patch.setattr(time, "time", lambda now=now: now)
            log.append(records)
    return place


@pytest.fixture(scope="module")
def context(folder: Path) -> Iterator[KinesisContext]:
    with kinesis_context(folder) as made:
        yield made


def iterator(context: KinesisContext, kind: str, stream: str = "door", **more: Any) -> str:
    request = requests.GetShardIterator(
        StreamName=stream, ShardId=SHARD, ShardIteratorType=kind, **more
    )
    return get_shard_iterator(request, context).ShardIterator


def read(
    context: KinesisContext, token: str, limit: int | None = None
) -> tuple[list[int], responses.GetRecords]:
    answer = get_records(requests.GetRecords(ShardIterator=token, Limit=limit), context)
    return [int(record.SequenceNumber[4:]) for record in answer.Records], answer


def all_from(context: KinesisContext, token: str, limit: int) -> list[int]:
    """Return the positions of all records that come, in batches."""
    found: list[int] = []
    while True:
        numbers, answer = read(context, token, limit)
        assert len(numbers) <= limit
        if not numbers:
            return found
        found += numbers
        token = answer.NextShardIterator


def test_the_records_are_those_of_the_log(context: KinesisContext, folder: Path) -> None:
    before = sha256((folder / "r.db").read_bytes()).digest()
    _, answer = read(context, iterator(context, "TRIM_HORIZON"))
    with Log(folder / "r.db") as log:
        bodies = {entry.position: entry.body for entry in log.after(0)}
    assert [record.Data for record in answer.Records] == [bodies[each] for each in DOOR]
    assert {record.PartitionKey for record in answer.Records} == {"door"}
    times = [record.ApproximateArrivalTimestamp for record in answer.Records]
    assert times == [1000.0] * 3 + [1010.0] * 2 + [1020.0] * 3
    assert sha256((folder / "r.db").read_bytes()).digest() == before


@pytest.mark.parametrize("limit", [1, 2, 3, 10_000])
def test_batches_have_every_record_once(context: KinesisContext, limit: int) -> None:
    assert all_from(context, iterator(context, "TRIM_HORIZON"), limit) == DOOR


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 13), st.integers(1, 4), st.floats(990, 1030))
def test_every_kind_of_iterator_as_by_reading_all(
    context: KinesisContext, position: int, limit: int, moment: float
) -> None:
    number = sequence_number(position)
    at = iterator(context, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=number)
    assert all_from(context, at, limit) == [each for each in DOOR if each >= position]
    after = iterator(context, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number)
    assert all_from(context, after, limit) == [each for each in DOOR if each > position]
    since = iterator(context, "AT_TIMESTAMP", Timestamp=moment)
    written = {each: TIMES[max(p for p in TIMES if p <= each)] for each in DOOR}
    assert all_from(context, since, limit) == [each for each in DOOR if written[each] >= moment]


def test_the_newest_are_those_that_come_from_now_on(tmp_path: Path) -> None:
    write_log(tmp_path / "r.db", streams(3, "door"))
    with kinesis_context(tmp_path) as context:
        token = iterator(context, "LATEST")
        since = iterator(context, "AT_TIMESTAMP", Timestamp=time.time())
        assert read(context, token)[0] == read(context, since)[0] == []
        write_log(tmp_path / "r.db", [*streams(4, "yard"), *streams(6, "door")[3:]])
        assert read(context, token)[0] == read(context, since)[0] == [8, 9, 10]


def test_how_far_behind_the_newest_record_a_reader_is(context: KinesisContext) -> None:
    now = time.time()
    numbers, answer = read(context, iterator(context, "TRIM_HORIZON"), 3)
    assert numbers == [1, 2, 3]
    assert abs(answer.MillisBehindLatest - (now - 1010.0) * 1000) < 60_000
    numbers, answer = read(context, answer.NextShardIterator)
    assert answer.MillisBehindLatest == 0


def test_an_idle_reader_keeps_its_place(
    context: KinesisContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer's iterator is five minutes from that answer, also if it had no record."""
    now = time.time()
    token = iterator(context, "LATEST")
    for minute in range(4, 40, 4):
        monkeypatch.setattr(time, "time", lambda minute=minute: now + 60 * minute)
        numbers, answer = read(context, token)
        assert numbers == []
        assert answer.NextShardIterator != token
        before, token = token, answer.NextShardIterator
    monkeypatch.setattr(time, "time", lambda: now + 60 * 38)
    with pytest.raises(Refusal, match="Iterator expired"):
        read(context, before)


def test_an_answer_has_a_limit_of_bytes(
    context: KinesisContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, answer = read(context, iterator(context, "TRIM_HORIZON"))
    size = len(answer.Records[0].Data)
    monkeypatch.setattr(shard_records, "MAX_BYTES", 3 * size)
    assert len(read(context, iterator(context, "TRIM_HORIZON"))[0]) in (2, 3)
    monkeypatch.setattr(shard_records, "MAX_BYTES", 1)
    assert read(context, iterator(context, "TRIM_HORIZON"))[0] == [1]
    assert all_from(context, iterator(context, "TRIM_HORIZON"), 5) == DOOR


def test_pages_of_the_log_are_read_until_the_limit(
    context: KinesisContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_records, "PAGE_RECORDS", 3)
    for limit in (1, 3, 4, 8, 9):
        assert read(context, iterator(context, "TRIM_HORIZON"), limit)[0] == DOOR[:limit]


def test_there_may_be_no_log_yet(tmp_path: Path) -> None:
    with kinesis_context(tmp_path) as context:
        context.table.add("door", SourceConfig(url="test://moving"))
        token = iterator(context, "LATEST")
        numbers, answer = read(context, token)
        assert (numbers, answer.MillisBehindLatest) == ([], 0)
        write_log(tmp_path / "r.db", streams(2, "door"))
        assert read(context, token)[0] == [1, 2]


@pytest.mark.parametrize(
    ("members", "name", "text"),
    [
        (
            {"ShardIteratorType": "LATEST", "StartingSequenceNumber": sequence_number(1)},
            "InvalidArgumentException",
            "Request specified LATEST and also a StartingSequenceNumber.",
        ),
        (
            {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
            "InvalidArgumentException",
            "Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber.",
        ),
        (
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "12"},
            "InvalidArgumentException",
            "StartingSequenceNumber 12 used in GetShardIterator on shard shardId-000000000000 in "
            "stream door under account 000000000000 is invalid.",
        ),
        (
            {
                "ShardIteratorType": "AT_SEQUENCE_NUMBER",
                "StartingSequenceNumber": sequence_number(14),
            },
            "InvalidArgumentException",
            "is invalid.",
        ),
        ({"ShardIteratorType": "AT_TIMESTAMP"}, "InvalidArgumentException", "Must specify"),
        (
            {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 9e12},
            "InvalidArgumentException",
            "is in the future",
        ),
        (
            {"ShardIteratorType": "LATEST", "StreamName": "cellar"},
            "ResourceNotFoundException",
            "Stream cellar under account 000000000000 not found.",
        ),
        (
            {"ShardIteratorType": "LATEST", "ShardId": "door"},
            "ResourceNotFoundException",
            "Could not find shard door in stream door under account 000000000000.",
        ),
        (
            {"ShardIteratorType": "LATEST", "ShardId": "shardId-000000000009"},
            "ResourceNotFoundException",
            "Shard shardId-000000000009 in stream door under account 000000000000 does not exist",
        ),
    ],
)
def test_iterators_that_cannot_be_had(
    context: KinesisContext, members: dict[str, Any], name: str, text: str
) -> None:
    request = requests.GetShardIterator(**{"StreamName": "door", "ShardId": SHARD, **members})
    with pytest.raises(Refusal) as raised:
        get_shard_iterator(request, context)
    assert raised.value.name == name
    assert raised.value.text.endswith(text) or text in raised.value.text


def test_records_that_cannot_be_had(context: KinesisContext) -> None:
    token = iterator(context, "LATEST")
    for request, text in (
        (requests.GetRecords(ShardIterator=token, Limit=10_001), "Limit is 10001"),
        (requests.GetRecords(ShardIterator=token[:-4] + "AAA="), "Invalid ShardIterator."),
        (
            requests.GetRecords(
                ShardIterator=token,
                StreamARN="arn:aws:kinesis:us-east-1:000000000000:stream/yard",
            ),
            "Invalid ShardIterator.",
        ),
    ):
        with pytest.raises(Refusal, match=text) as raised:
            get_records(request, context)
        assert raised.value.name == "InvalidArgumentException"
