"""One request from its bytes to the bytes of its response."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from tests.support.api import context
from tests.support.garbage import none_left

from onlooker.api.access_keys import Key
from onlooker.api.dispatch import Call, Pending, authorise, handle
from onlooker.api.errors import Refusal
from onlooker.api.rekognition import requests
from onlooker.api.rekognition.operations import OPERATIONS, REKOGNITION
from onlooker.errors import OnlookerError
from onlooker.identity import errors
from onlooker.identity.faces import CollectionInfo

KIOSK = Key(
    id="KIOSK",
    secret="sixteen letters!",
    user="kiosk",
    operations=("Search*", "CompareFaces"),
    collections=("staff",),
    buckets=("photos",),
)


class FailingSearcher:
    """A searcher all of whose methods raise the same error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object) -> None:
            raise self._error

        return fail


def answer(operation: str, body: bytes, searcher: Any) -> Any:
    """Return what `handle` returns, without keys."""
    call = Call(REKOGNITION, OPERATIONS[operation], [], body, None)
    return handle(call, context(searcher), None)


def test_a_response_is_encoded() -> None:
    class Searcher:
        def collection(self, name: str) -> CollectionInfo:
            return CollectionInfo(name=name, model="m", metric="cosine", faces=2, created=1.5)

    sent = answer("DescribeCollection", b'{"CollectionId":"staff"}', Searcher())
    response = msgspec.json.decode(sent)
    assert (response["FaceCount"], response["CreationTimestamp"]) == (2, 1.5)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (errors.CollectionNotFound("none"), "ResourceNotFoundException"),
        (errors.CollectionExists("one"), "ResourceAlreadyExistsException"),
        (errors.TooMany("tags"), "ServiceQuotaExceededException"),
        (errors.InvalidName("a b"), "InvalidParameterException"),
    ],
)
def test_errors_of_the_store_have_amazons_names(error: Exception, name: str) -> None:
    with pytest.raises(Refusal) as raised:
        answer("DeleteCollection", b'{"CollectionId":"staff"}', FailingSearcher(error))
    assert raised.value.name == name
    assert str(error) in raised.value.text


@pytest.mark.parametrize("error", [errors.StoreFull("no room"), ZeroDivisionError("a defect")])
def test_the_servers_own_faults_are_not_the_clients(error: Exception) -> None:
    with pytest.raises((OnlookerError, ZeroDivisionError)) as raised:
        answer("DeleteCollection", b'{"CollectionId":"staff"}', FailingSearcher(error))
    assert raised.value is error


def test_a_refused_request_does_not_wait_for_the_garbage_collector() -> None:
    class Searcher:
        def delete_collection(self, name: str) -> None:
            raise errors.CollectionNotFound(name)

    with none_left(Exception), suppress(Refusal):
        answer("DeleteCollection", b'{"CollectionId":"staff"}', Searcher())


def test_work_that_waits_for_a_bucket_is_left_to_its_queue() -> None:
    body = b'{"Image":{"S3Object":{"Bucket":"photos","Name":"a.jpg"}}}'
    pending = answer("DetectFaces", body, None)
    assert isinstance(pending, Pending)
    assert pending.queue == "buckets"
    with pytest.raises(Refusal, match="reads no buckets") as raised:
        pending.work()
    assert raised.value.name == "InvalidS3ObjectException"


def denied(operation: str, request: msgspec.Struct) -> str:
    """Return the text of the error that the kiosk's key gets; empty if it is allowed."""
    try:
        authorise(KIOSK, REKOGNITION, OPERATIONS[operation], request, context())
    except Refusal as refusal:
        return f"{refusal.name} {refusal.text.partition('is not authorized to perform: ')[2]}"
    return ""


def test_a_key_is_checked_for_operation_collection_and_buckets() -> None:
    arn = "arn:aws:rekognition:us-east-1:000000000000:collection/"

    def compare(source: str, target: str) -> msgspec.Struct:
        return requests.CompareFaces(
            SourceImage=requests.Image(S3Object=requests.S3Object(Bucket=source, Name="a")),
            TargetImage=requests.Image(S3Object=requests.S3Object(Bucket=target, Name="a")),
        )

    assert denied("SearchFaces", requests.SearchFaces(CollectionId="staff")) == ""
    assert denied("SearchFaces", requests.SearchFaces(CollectionId="other")) == (
        f"AccessDeniedException rekognition:SearchFaces on resource: {arn}other"
    )
    assert denied("DeleteCollection", requests.DeleteCollection(CollectionId="staff")) == (
        f"AccessDeniedException rekognition:DeleteCollection on resource: {arn}staff"
    )
    assert denied("ListCollections", requests.ListCollections()) == (
        "AccessDeniedException rekognition:ListCollections on resource: *"
    )
    tagged = requests.ListTagsForResource(ResourceArn=f"{arn}staff")
    assert denied("ListTagsForResource", tagged).endswith(f"on resource: {arn}staff")
    assert denied("CompareFaces", compare("photos", "photos")) == ""
    assert denied("CompareFaces", compare("photos", "private")) == (
        "AccessDeniedException s3:GetObject on resource: arn:aws:s3:::private"
    )
