"""Bodies in JSON and CBOR: the same requests, the same answers."""

from typing import Any

import cbor2
import msgspec
import pytest

from onlooker.api.errors import Refusal
from onlooker.api.kinesis import data_stream_requests, data_stream_responses
from onlooker.api.rekognition import requests
from onlooker.api.wire_form import CBOR, JSON, WireForm

ERROR = "ValidationException"


def decoded(form: WireForm, kind: type[msgspec.Struct], value: Any) -> msgspec.Struct:
    dumped = cbor2.dumps(value) if form is CBOR else msgspec.json.encode(value)
    return form.decode(kind, dumped, ERROR)


@pytest.mark.parametrize("form", [JSON, CBOR], ids=["json", "cbor"])
def test_an_error_names_the_member_and_both_types(form: WireForm) -> None:
    with pytest.raises(Refusal, match="int can not be converted to str at 'collectionId'"):
        decoded(form, requests.ListFaces, {"CollectionId": 7})
    filters = {"WordFilter": {"MinConfidence": "80"}}
    with pytest.raises(Refusal, match=r"at 'filters\.wordFilter\.minConfidence'") as raised:
        decoded(form, requests.DetectText, {"Filters": filters})
    assert raised.value.name == "SerializationException"
    with pytest.raises(Refusal, match="Member must not be null") as raised:
        decoded(form, requests.DeleteFaces, {"CollectionId": "a", "FaceIds": [None]})
    assert raised.value.name == ERROR


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (JSON, b'{"CollectionId":'),
        (JSON, b"\xff"),
        (CBOR, b"\xa1"),
        (CBOR, b""),
        (CBOR, b"\xbf\xbf\xbf"),
        (CBOR, b"\x81" * 200_000),
        (CBOR, cbor2.dumps({"Timestamp": cbor2.CBORTag(1, "today")})),
        (CBOR, cbor2.dumps({(1, 2): 3})),
    ],
)
def test_a_body_that_cannot_be_read(form: WireForm, body: bytes) -> None:
    with pytest.raises(Refusal, match=f"can not be converted to {form.name.upper()}"):
        form.decode(requests.ListFaces, body, ERROR)


def test_a_time_is_in_seconds_in_json_and_in_tagged_milliseconds_in_cbor() -> None:
    for form, time in ((JSON, 1584.25), (CBOR, cbor2.CBORTag(1, 1_584_250))):
        members = {"ShardId": "a", "ShardIteratorType": "AT_TIMESTAMP"}
        dumped = {**members, "Timestamp": time}
        body = cbor2.dumps(dumped) if form is CBOR else msgspec.json.encode(dumped)
        found: Any = form.decode(data_stream_requests.GetShardIterator, body, ERROR)
        assert found.Timestamp == 1584.25


def test_a_blob_is_base64_in_json_and_bytes_in_cbor() -> None:
    answer = data_stream_responses.GetRecords(
        Records=(
            data_stream_responses.Record(
                SequenceNumber="1",
                ApproximateArrivalTimestamp=1584.25,
                Data=b"\x00\xff",
                PartitionKey="door",
            ),
        ),
        NextShardIterator="next",
        MillisBehindLatest=0,
    )
    [record] = msgspec.json.decode(JSON.encode(answer))["Records"]
    assert (record["Data"], record["ApproximateArrivalTimestamp"]) == ("AP8=", 1584.25)
    as_sent = cbor2.loads(
        CBOR.encode(answer), semantic_decoders={1: lambda value, _: ("tagged", value)}
    )
    assert as_sent["MillisBehindLatest"] == 0
    [record] = as_sent["Records"]
    assert record["Data"] == b"\x00\xff"
    assert record["ApproximateArrivalTimestamp"] == ("tagged", 1_584_250)
