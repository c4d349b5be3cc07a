"""Operations on collections and their faces, requested by an unchanged boto3."""

import time
import uuid
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from tests.support.api import FakeAnalyser, context
from tests.support.records import face
from tests.support.rekognition import DEFAULT_MEMBERS, VERSION, blank, image, indexed
from tests.support.requests import PNG

from onlooker.api.rekognition import requests, responses
from onlooker.api.rekognition.collections import index_faces
from onlooker.api.rekognition.image_input import DecodedImage
from onlooker.identity.faces import NewFace
from onlooker.media.picture import Still
from onlooker.models.card import space
from onlooker.types import Quality, StoredFace
from onlooker.vision.analyser import AnalysedFace, Analyser


def test_collections_are_created_listed_and_deleted(client: Any) -> None:
    name = f"Made-{uuid.uuid4()}"
    made = client.create_collection(CollectionId=name, Tags={"team": "door"})
    arn = f"arn:aws:rekognition:us-east-1:000000000000:collection/{name}"
    assert (made["StatusCode"], made["CollectionArn"]) == (200, arn)
    assert made["FaceModelVersion"] == VERSION
    with pytest.raises(
        client.exceptions.ResourceAlreadyExistsException, match=f"id: {name} already exists"
    ):
        client.create_collection(CollectionId=name)
    response = client.describe_collection(CollectionId=name)
    assert (response["FaceCount"], response["UserCount"], response["CollectionARN"]) == (0, 0, arn)
    assert abs(response["CreationTimestamp"].timestamp() - time.time()) < 60
    listed = client.list_collections()
    assert len(listed["CollectionIds"]) == len(listed["FaceModelVersions"])
    assert name in listed["CollectionIds"]
    assert client.delete_collection(CollectionId=name)["StatusCode"] == 200
    for ask in (client.delete_collection, client.describe_collection, client.list_faces):
        with pytest.raises(
            client.exceptions.ResourceNotFoundException, match=f"id: {name} does not exist"
        ):
            ask(CollectionId=name)


def test_lists_come_in_pages(client: Any, collection: str, pictures: Path) -> None:
    others = [f"{collection}-{number}" for number in range(3)]
    for name in others:
        client.create_collection(CollectionId=name)
    pages = client.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 1})
    names = [name for page in pages for name in page["CollectionIds"]]
    assert len(names) == len(set(names))
    assert {collection, *others} <= set(names)
    for name in others:
        client.delete_collection(CollectionId=name)
    path = pictures / "people" / "barack_obama" / "1.jpg"
    ids = {indexed(client, collection, path, f"name-{number}") for number in range(5)}
    pages = client.get_paginator("list_faces").paginate(
        CollectionId=collection, PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Faces"]) for page in pages] == [2, 2, 1]
    assert len(ids) == 5
    for token in ("x", "A" * 255):
        with pytest.raises(client.exceptions.InvalidPaginationTokenException):
            client.list_faces(CollectionId=collection, NextToken=token)


def test_a_face_that_is_indexed_is_found_by_the_next_search(
    client: Any, collection: str, pictures: Path
) -> None:
    people = pictures / "people"
    response = client.index_faces(
        CollectionId=collection,
        Image=image(people / "barack_obama" / "1.jpg"),
        ExternalImageId="obama",
        DetectionAttributes=["ALL"],
    )
    [record] = response["FaceRecords"]
    assert response["UnindexedFaces"] == []
    assert response["FaceModelVersion"] == VERSION
    assert len(record["FaceDetail"]["Landmarks"]) == 30
    assert set(record["Face"]) == {
        "FaceId", "BoundingBox", "ImageId", "ExternalImageId", "Confidence"
    }  # fmt: skip
    found = client.search_faces_by_image(
        CollectionId=collection, Image=image(people / "barack_obama" / "2.jpg")
    )
    [match] = found["FaceMatches"]
    assert match["Similarity"] > 95
    assert match["Face"]["FaceId"] == record["Face"]["FaceId"]
    assert match["Face"]["IndexFacesModelVersion"] == VERSION
    assert found["SearchedFaceConfidence"] > 90
    same = client.search_faces_by_image(
        CollectionId=collection, Image=image(people / "barack_obama" / "1.jpg")
    )
    assert same["FaceMatches"][0]["Similarity"] == 100
    other = client.search_faces_by_image(
        CollectionId=collection, Image=image(people / "joe_biden" / "1.jpg")
    )
    assert other["FaceMatches"] == []
    with pytest.raises(client.exceptions.InvalidParameterException, match="no faces in the image"):
        client.search_faces_by_image(CollectionId=collection, Image=blank())


def test_the_same_image_and_name_are_one_face(client: Any, collection: str, pictures: Path) -> None:
    path = pictures / "people" / "barack_obama" / "1.jpg"
    assert indexed(client, collection, path, "o") == indexed(client, collection, path, "o")
    assert indexed(client, collection, path, "o") != indexed(client, collection, path, "p")
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 2
    unnamed = [
        client.index_faces(CollectionId=collection, Image=image(path))["FaceRecords"][0]["Face"]
        for _ in range(2)
    ]
    assert unnamed[0]["FaceId"] != unnamed[1]["FaceId"]
    assert unnamed[0]["ImageId"] == unnamed[1]["ImageId"]
    assert "ExternalImageId" not in unnamed[0]


def test_faces_beyond_the_maximum_are_listed_but_not_indexed(
    client: Any, collection: str, pictures: Path
) -> None:
    response = client.index_faces(
        CollectionId=collection,
        Image=image(pictures / "groups" / "two_people.jpg"),
        MaxFaces=1,
        QualityFilter="NONE",
    )
    [other] = response["UnindexedFaces"]
    assert len(response["FaceRecords"]) == 1
    assert other["Reasons"] == ["EXCEEDS_MAX_FACES"]
    assert set(other["FaceDetail"]) == DEFAULT_MEMBERS
    empty = client.index_faces(CollectionId=collection, Image=blank())
    assert empty["FaceRecords"] == empty["UnindexedFaces"] == []


def test_search_faces_omits_the_searched_face(client: Any, collection: str, pictures: Path) -> None:
    people = pictures / "people" / "barack_obama"
    one, two = (indexed(client, collection, people / f"{n}.jpg", "obama") for n in (1, 2))
    three = indexed(client, collection, people / "1.jpg", "president")
    response = client.search_faces(CollectionId=collection, FaceId=one)
    assert response["SearchedFaceId"] == one
    assert [match["Face"]["FaceId"] for match in response["FaceMatches"]] == [three, two]
    assert response["FaceMatches"][0]["Similarity"] == 100
    first = client.search_faces(CollectionId=collection, FaceId=one, MaxFaces=1)
    assert len(first["FaceMatches"]) == 1
    near = client.search_faces(CollectionId=collection, FaceId=one, FaceMatchThreshold=100)
    assert len(near["FaceMatches"]) == 1
    with pytest.raises(
        client.exceptions.InvalidParameterException, match="faceId was not found in the collection"
    ):
        client.search_faces(CollectionId=collection, FaceId=str(uuid.uuid4()))


def test_deleted_faces_are_gone_and_unknown_ones_are_reported(
    client: Any, collection: str, pictures: Path
) -> None:
    face = indexed(client, collection, pictures / "people" / "barack_obama" / "1.jpg", "o")
    unknown = str(uuid.uuid4())
    response = client.delete_faces(CollectionId=collection, FaceIds=[face, unknown])
    assert response["DeletedFaces"] == [face]
    assert response["UnsuccessfulFaceDeletions"] == [
        {"FaceId": unknown, "Reasons": ["FACE_NOT_FOUND"]}
    ]
    assert client.list_faces(CollectionId=collection)["Faces"] == []


def test_unindexed_faces_are_largest_first_those_that_are_too_many_last() -> None:
    class Searcher:
        space = space("mobilefacenet")

        def add(self, name: str, faces: list[NewFace]) -> list[StoredFace]:
            assert not faces
            return []

    too_many, small = ("EXCEEDS_MAX_FACES",), ("SMALL_BOUNDING_BOX", "LOW_FACE_QUALITY")
    found = [
        AnalysedFace(
            msgspec.structs.replace(
                face(),
                box=(0.0, 0.0, width, width),
                quality=Quality(brightness=50, sharpness=sharpness),
            ),
            reasons=why,
        )
        for width, sharpness, why in (
            (60.0, 50, too_many),
            (50.0, 90, too_many),
            (20.0, 50, small),
            (10.0, 90, small),
        )
    ]
    request = requests.IndexFaces(CollectionId="a", Image=requests.Image(Bytes=msgspec.Raw(b'""')))
    decoded = DecodedImage(PNG, Still(np.zeros((100, 100, 3), np.uint8)))
    analyser = cast(Analyser, FakeAnalyser(found))
    answer = index_faces(request, [decoded], context(Searcher()), analyser).work()
    assert isinstance(answer, responses.IndexFaces)
    assert answer.UnindexedFaces is not None
    widths = [each.FaceDetail.BoundingBox.Width for each in answer.UnindexedFaces]
    assert widths == pytest.approx([0.2, 0.1, 0.6, 0.5])
