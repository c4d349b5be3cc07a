"""Lists and descriptions of data streams and their shard."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.kinesis import SHARD, streams, write_log
from tests.support.kinesis_contexts import kinesis_context

from onlooker.api.errors import Refusal
from onlooker.api.kinesis import data_stream_requests as requests
from onlooker.api.kinesis import data_streams
from onlooker.api.kinesis.kinesis_context import KinesisContext
from onlooker.config.schema import Config, Log, Record

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"
NAMES = [f"s{number:02}" for number in range(25)]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KinesisContext]:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder / "r.db", streams(1, *NAMES))
    with kinesis_context(folder) as made:
        yield made


@pytest.mark.parametrize("by_token", [True, False])
def test_streams_are_listed_in_pages(context: KinesisContext, by_token: bool) -> None:
    found: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = data_streams.list_streams(requests.ListStreams(Limit=10, **more), context)
        found += page.StreamNames
        assert [each.StreamARN for each in page.StreamSummaries] == [
            ARN + name for name in page.StreamNames
        ]
        assert page.HasMoreStreams == (page.NextToken is not None)
        if not page.HasMoreStreams:
            break
        more = (
            {"NextToken": page.NextToken}
            if by_token
            else {"ExclusiveStartStreamName": page.StreamNames[-1]}
        )
    assert found == NAMES


def test_a_page_has_a_hundred_streams_at_most(
    context: KinesisContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_streams, "MAX_STREAMS", 5)
    for limit in (None, 5, 6, 10_000):
        page = data_streams.list_streams(requests.ListStreams(Limit=limit), context)
        assert len(page.StreamNames) == 5


def test_a_token_is_good_for_five_minutes(
    context: KinesisContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = data_streams.list_streams(requests.ListStreams(Limit=1), context).NextToken
    assert token is not None
    later = time.time() + 301
    for changed, name in ((token[:-4] + "AAA=", "InvalidArgument"), ("x", "InvalidArgument")):
        with pytest.raises(Refusal) as raised:
            data_streams.list_streams(requests.ListStreams(NextToken=changed), context)
        assert raised.value.name == f"{name}Exception"
    with pytest.raises(Refusal, match="cannot be provided together"):
        data_streams.list_streams(
            requests.ListStreams(NextToken=token, ExclusiveStartStreamName="a"), context
        )
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Refusal) as raised:
        data_streams.list_streams(requests.ListStreams(NextToken=token), context)
    assert raised.value.name == "ExpiredNextTokenException"


@pytest.mark.parametrize("named", [{"StreamName": "s01"}, {"StreamARN": f"{ARN}s01"}])
def test_a_stream_is_described(context: KinesisContext, named: dict[str, Any]) -> None:
    full = data_streams.describe_stream(requests.DescribeStream(**named), context).StreamDescription
    summary = data_streams.describe_stream_summary(
        requests.DescribeStreamSummary(**named), context
    ).StreamDescriptionSummary
    assert (full.StreamName, full.StreamARN) == ("s01", f"{ARN}s01")
    assert (summary.StreamName, summary.StreamARN) == ("s01", f"{ARN}s01")
    assert full.RetentionPeriodHours == summary.RetentionPeriodHours == 720
    assert [shard.ShardId for shard in full.Shards] == [SHARD]
    assert (full.HasMoreShards, summary.OpenShardCount) == (False, 1)
    assert full.StreamCreationTimestamp > 1e9


@pytest.mark.parametrize(("days", "hours"), [(0, 8760), (0.01, 1), (2.5, 60), (30, 720)])
def test_the_retention_is_that_of_the_log(tmp_path: Path, days: float, hours: int) -> None:
    write_log(tmp_path / "r.db", streams(1, "door"))
    with kinesis_context(tmp_path, Config(log=Log(max_age_days=days))) as context:
        found = data_streams.describe_stream(requests.DescribeStream(StreamName="door"), context)
    assert found.StreamDescription.RetentionPeriodHours == hours


def shards(context: KinesisContext, **more: Any) -> list[str]:
    answer = data_streams.list_shards(requests.ListShards(**{"StreamName": "s01", **more}), context)
    return [shard.ShardId for shard in answer.Shards]


def test_the_shard_is_listed(context: KinesisContext) -> None:
    now = time.time()
    assert shards(context) == [SHARD]
    assert shards(context, StreamName=None, StreamARN=f"{ARN}s01") == [SHARD]
    assert shards(context, ExclusiveStartShardId=SHARD) == []
    assert shards(context, MaxResults=10_000) == [SHARD]
    for kind in ("AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST"):
        assert shards(context, ShardFilter=requests.ShardFilter(Type=kind)) == [SHARD]
    for kind in ("AT_TIMESTAMP", "FROM_TIMESTAMP"):
        assert shards(context, ShardFilter=requests.ShardFilter(Type=kind, Timestamp=now))
        with pytest.raises(Refusal, match="needs a Timestamp"):
            shards(context, ShardFilter=requests.ShardFilter(Type=kind))
    after = requests.ShardFilter(Type="AFTER_SHARD_ID", ShardId=SHARD)
    assert shards(context, ShardFilter=after) == []
    with pytest.raises(Refusal, match="needs a ShardId"):
        shards(context, ShardFilter=requests.ShardFilter(Type="AFTER_SHARD_ID"))


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"NextToken": "x"}, "NextToken and StreamName cannot be provided together."),
        ({"NextToken": "x", "StreamName": None}, "Invalid NextToken"),
        ({"StreamName": None}, "Either NextToken or StreamName should be provided."),
        ({"StreamName": "none"}, "Stream none under account 000000000000 not found."),
        ({"StreamARN": f"{ARN}s02"}, "name two streams"),
    ],
)
def test_shards_that_cannot_be_listed(
    context: KinesisContext, members: dict[str, Any], text: str
) -> None:
    with pytest.raises(Refusal) as raised:
        shards(context, **members)
    assert text in raised.value.text


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:kinesis:us-east-1:111111111111:stream/s01",
        "arn:aws:kinesis:us-east-1:000000000000:stream/none",
        "arn:aws:kinesis:us-east-1:000000000000:stream/s01/consumer/a:1",
    ],
)
def test_an_arn_of_another_account_is_not_found(context: KinesisContext, arn: str) -> None:
    with pytest.raises(Refusal, match="not found") as raised:
        data_streams.describe_stream(requests.DescribeStream(StreamARN=arn), context)
    assert raised.value.name == "ResourceNotFoundException"


def test_a_stream_must_be_named(context: KinesisContext) -> None:
    with pytest.raises(Refusal, match="must be given"):
        data_streams.describe_stream_summary(requests.DescribeStreamSummary(), context)


def test_the_account_is_the_configurations(tmp_path: Path) -> None:
    settings = Config(record=Record(region="eu-west-1", account="123456789012"))
    write_log(tmp_path / "r.db", streams(1, "door"))
    with kinesis_context(tmp_path, settings) as context:
        arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/door"
        found = data_streams.describe_stream(requests.DescribeStream(StreamARN=arn), context)
        assert found.StreamDescription.StreamARN == arn
