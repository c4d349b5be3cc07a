"""Every operation of Kinesis against what botocore's model says of its members."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.kinesis import KinesisPort, check, kinesis_port, model, streams, write_log
from tests.support.kinesis_cases import BASE, ITERATOR, OPERATIONS, Case, cases
from tests.support.server import Answer

from onlooker.api.kinesis import data_stream_requests, kinesis_service
from onlooker.api.validation import rules_of

ALL = list(cases())


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KinesisPort]:
    folder = tmp_path_factory.mktemp("kinesis")
    write_log(folder / "r.db", streams(5, "door", "yard"))
    with kinesis_port(folder) as running:
        yield running


def test_there_are_enough_cases() -> None:
    assert len(ALL) >= 250
    assert set(OPERATIONS) == set(kinesis_service.OPERATIONS)
    outcomes = Counter(case.outcome for case in ALL)
    assert min(outcomes.values()) > 60, outcomes


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_case_is_accepted_or_refused_as_the_model_says(
    port: KinesisPort, operation: str
) -> None:
    connection = port.connect()
    body = json.dumps(BASE["GetShardIterator"]).encode()
    iterator = port.post("GetShardIterator", body, connection).json["ShardIterator"]
    for case in ALL:
        if case.operation == operation:
            sent = json.dumps(case.body).replace(f'"{ITERATOR}"', json.dumps(iterator))
            _judge(case, port.post(operation, sent.encode(), connection))
    connection.close()


def _judge(case: Case, answer: Answer) -> None:
    shown = (case.operation, case.name, answer.status, answer.body[:500])
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-amzn-requestid"])
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    if answer.status == 200:
        assert case.outcome == "accepted", shown
        check(case.operation, answer.body)
        return
    assert answer.status == 400, shown
    response = answer.json
    assert response["__type"] == response["Code"] == answer.headers["x-amzn-errortype"]
    text = response["Message"]
    if case.outcome == "type":
        assert answer.error == "SerializationException", shown
        assert "can not be converted to" in text, shown
        assert case.place.casefold() in text.casefold(), shown
    elif case.outcome == "limit":
        assert answer.error == "ValidationException", shown
        assert "validation error" in text, shown
        assert f"at '{case.place}'" in text, shown
    else:
        # Within its limits, but about things that are not there, or do not go together.
        errors = {shape.name for shape in model.operation_model(case.operation).error_shapes}
        assert answer.error in errors, shown
        assert "validation error" not in text, shown


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_structs_match_botocores_model(operation: str) -> None:
    shape = model.operation_model(operation).input_shape
    _same(kinesis_service.OPERATIONS[operation].request, shape)


def _same(struct: Any, shape: Any) -> None:
    assert set(struct.__struct_fields__) == set(shape.members), struct
    needed = {name for name, required, _ in rules_of(struct) if required}
    assert needed == set(shape.required_members), struct
    for member in shape.members.values():
        if member.type_name == "structure":
            _same(getattr(data_stream_requests, member.name), member)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"a"', b"null"])
def test_a_body_that_is_no_request(port: KinesisPort, body: bytes) -> None:
    connection = port.connect()
    answer = port.post("ListStreams", body, connection)
    connection.close()
    assert (answer.status, answer.error) == (400, "SerializationException")


@pytest.mark.parametrize("operation", ["PutRecord", "CreateStream", "SubscribeToShard", ""])
def test_operations_that_write_are_unknown(port: KinesisPort, operation: str) -> None:
    connection = port.connect()
    answer = port.post(operation, b"{}", connection)
    connection.close()
    assert (answer.status, answer.error) == (400, "UnknownOperationException")
    assert "GetRecords, GetShardIterator, ListShards, ListStreams" in answer.json["Message"]
