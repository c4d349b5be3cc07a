"""The texts of violated limits."""

import msgspec
import pytest

from onlooker.api.dispatch import decode
from onlooker.api.errors import Refusal
from onlooker.api.rekognition import requests
from onlooker.api.validation import check


def said(kind: type[msgspec.Struct], body: str) -> str:
    with pytest.raises(Refusal) as raised:
        check(decode(kind, body.encode()))
    return raised.value.text


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert said(requests.ListFaces, '{"CollectionId":"bad id!","MaxResults":4097}') == (
        "2 validation errors detected: Value 'bad id!' at 'collectionId' failed to satisfy "
        r"constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.\-]+; "
        "Value '4097' at 'maxResults' failed to satisfy constraint: Member must have value less "
        "than or equal to 4096"
    )


def test_what_must_be_there_is_said() -> None:
    text = "1 validation error detected: Value null at 'collectionId' failed to satisfy "
    for body in ("{}", '{"CollectionId":null}'):
        assert said(requests.ListFaces, body) == text + "constraint: Member must not be null"


def test_members_of_lists_and_maps_are_said() -> None:
    body = '{"CollectionId":"a","FaceIds":["constraint: x"]}'
    assert "Value '[constraint: x]' at 'faceIds' failed to satisfy constraint: Member must " in (
        said(requests.DeleteFaces, body)
    )
    assert "Value '{aws:a=b}' at 'tags' failed to satisfy constraint: Map keys must satisfy" in (
        said(requests.CreateCollection, '{"CollectionId":"a","Tags":{"aws:a":"b"}}')
    )


def test_long_values_and_long_lists_are_cut() -> None:
    long = said(requests.ListFaces, '{"CollectionId":"' + "a" * 3000 + '"}')
    assert "(3002 characters)" in long
    assert len(long) < 400
    many = msgspec.json.encode({"CollectionId": "a", "FaceIds": ["x"] * 4000}).decode()
    assert said(requests.DeleteFaces, many).startswith("20 validation errors detected: ")


def test_wrong_types_are_said_with_their_place() -> None:
    with pytest.raises(Refusal, match="int can not be converted to str at 'collectionId'"):
        decode(requests.ListFaces, b'{"CollectionId":7}')
    with pytest.raises(Refusal, match=r"at 'filters\.wordFilter\.minConfidence'"):
        decode(requests.DetectText, b'{"Filters":{"WordFilter":{"MinConfidence":"80"}}}')
