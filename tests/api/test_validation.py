"""The texts of violated limits."""

import msgspec
import pytest

from onlooker.api.errors import Refusal
from onlooker.api.rekognition import requests
from onlooker.api.validation import check
from onlooker.api.wire_form import JSON


def complaints(kind: type[msgspec.Struct], body: str) -> str:
    with pytest.raises(Refusal) as raised:
        check(JSON.decode(kind, body.encode(), "InvalidParameterException"))
    return raised.value.text


def test_all_complaints_come_in_one_error() -> None:
    assert complaints(requests.ListFaces, '{"CollectionId":"bad id!","MaxResults":4097}') == (
        "2 validation errors detected: Value 'bad id!' at 'collectionId' failed to satisfy "
        r"constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.\-]+; "
        "Value '4097' at 'maxResults' failed to satisfy constraint: Member must have value less "
        "than or equal to 4096"
    )


def test_a_missing_member_is_a_complaint() -> None:
    text = "1 validation error detected: Value null at 'collectionId' failed to satisfy "
    for body in ("{}", '{"CollectionId":null}'):
        assert complaints(requests.ListFaces, body) == text + "constraint: Member must not be null"


def test_members_of_lists_and_maps_are_named() -> None:
    body = '{"CollectionId":"a","FaceIds":["constraint: x"]}'
    assert "Value '[constraint: x]' at 'faceIds' failed to satisfy constraint: Member must " in (
        complaints(requests.DeleteFaces, body)
    )
    assert "Value '{aws:a=b}' at 'tags' failed to satisfy constraint: Map keys must satisfy" in (
        complaints(requests.CreateCollection, '{"CollectionId":"a","Tags":{"aws:a":"b"}}')
    )


def test_long_values_and_long_lists_are_cut() -> None:
    long = complaints(requests.ListFaces, '{"CollectionId":"' + "a" * 3000 + '"}')
    assert "(3002 characters)" in long
    assert len(long) < 400
    many = msgspec.json.encode({"CollectionId": "a", "FaceIds": ["x"] * 4000}).decode()
    assert complaints(requests.DeleteFaces, many).startswith("20 validation errors detected: ")
