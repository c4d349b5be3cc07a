"""Every operation against what botocore's model says of its members."""

import re
from collections import Counter
from typing import Any

import pytest
from tests.support.botocore_shapes import model
from tests.support.requests import COLLECTION, Case, cases, encoded
from tests.support.server import Answer, Running, check

from onlooker.api.rekognition import requests, stream_processor_requests
from onlooker.api.rekognition.operations import OPERATIONS
from onlooker.api.validation import rules_of

ALL = list(cases())


def test_there_are_enough_cases() -> None:
    assert len(ALL) >= 1500
    assert len(OPERATIONS) == 37
    outcomes = Counter(case.outcome for case in ALL)
    assert min(outcomes.values()) > 300, outcomes


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_case_is_accepted_or_refused_as_the_model_says(
    server: Running, operation: str
) -> None:
    server.post("CreateCollection", {"CollectionId": COLLECTION})
    connection = server.connect()
    for case in ALL:
        if case.operation == operation:
            _judge(case, server.post(operation, encoded(case), connection))
            if operation == "DeleteCollection":
                server.post("CreateCollection", {"CollectionId": COLLECTION}, connection)
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
    assert response["Logref"] == answer.headers["x-amzn-requestid"]
    text = response["Message"]
    if case.outcome == "type":
        assert answer.error == "SerializationException", shown
        assert "can not be converted to" in text, shown
        assert _named(case.place, text), shown
    elif case.outcome == "limit":
        assert answer.error == "InvalidParameterException", shown
        assert "validation error" in text, shown
        assert f"at '{case.place}" in re.sub(r"\.\d+\.member", "", text), shown
        assert case.says in text, shown
    else:
        # Within its limits, but about things that are not there, or that are no face.
        errors = {shape.name for shape in model.operation_model(case.operation).error_shapes}
        assert answer.error in errors, shown
        assert "validation error" not in text, shown
        assert answer.error not in ("InternalServerError", "ThrottlingException"), shown


def _named(place: str, text: str) -> bool:
    return place.casefold() in re.sub(r"\[\d+\]", "", text).casefold()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_structs_match_botocores_model(operation: str) -> None:
    _same(OPERATIONS[operation].request, model.operation_model(operation).input_shape)


def _same(struct: Any, shape: Any) -> None:
    assert set(struct.__struct_fields__) == set(shape.members), struct
    needed = {name for name, required, _ in rules_of(struct) if required}
    # Bytes is checked in image_input; it is not required here.
    assert needed - {"Bytes"} == set(shape.required_members), struct
    for name, member in shape.members.items():
        if member.type_name == "structure":
            _same(_struct(member.name), member)
        elif member.type_name == "list" and member.member.type_name == "structure":
            _same(_struct(member.member.name), member.member)
        else:
            assert hasattr(struct, name)


def _struct(name: str) -> Any:
    found = getattr(requests, name, None)
    return getattr(stream_processor_requests, name) if found is None else found
