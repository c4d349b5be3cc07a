"""Operations on users, requested by an unchanged boto3."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.support.rekognition import DEFAULT_MEMBERS, image, indexed


def test_users_are_found_by_their_faces(client: Any, collection: str, pictures: Path) -> None:
    people = pictures / "people"
    obama = [
        indexed(client, collection, people / "barack_obama" / f"{n}.jpg", "obama") for n in (1, 2)
    ]
    biden = indexed(client, collection, people / "joe_biden" / "1.jpg", "biden")
    for user in ("obama", "biden", "nobody"):
        client.create_user(CollectionId=collection, UserId=user, ClientRequestToken=f"t-{user}")
    response = client.associate_faces(
        CollectionId=collection, UserId="obama", FaceIds=[*obama, biden, str(uuid.uuid4())]
    )
    assert [face["FaceId"] for face in response["AssociatedFaces"]] == obama
    assert response["UserStatus"] == "ACTIVE"
    reasons = [one["Reasons"] for one in response["UnsuccessfulFaceAssociations"]]
    assert reasons == [["LOW_MATCH_CONFIDENCE"], ["FACE_NOT_FOUND"]]
    client.associate_faces(CollectionId=collection, UserId="biden", FaceIds=[biden])
    listed = client.list_users(CollectionId=collection)["Users"]
    assert {one["UserId"]: one["UserStatus"] for one in listed} == {
        "obama": "ACTIVE",
        "biden": "ACTIVE",
        "nobody": "CREATED",
    }
    of_user = client.list_faces(CollectionId=collection, UserId="obama")["Faces"]
    assert {(one["FaceId"], one["UserId"]) for one in of_user} == {(f, "obama") for f in obama}
    by_face = client.search_users(CollectionId=collection, FaceId=obama[0])
    assert [one["User"]["UserId"] for one in by_face["UserMatches"]] == ["obama"]
    assert by_face["SearchedFace"] == {"FaceId": obama[0]}
    by_user = client.search_users(CollectionId=collection, UserId="obama", UserMatchThreshold=0)
    assert "obama" not in [one["User"]["UserId"] for one in by_user["UserMatches"]]
    assert by_user["SearchedUser"] == {"UserId": "obama"}
    without = client.search_users(CollectionId=collection, UserId="nobody", UserMatchThreshold=0)
    assert without["UserMatches"] == []
    response = client.search_users_by_image(
        CollectionId=collection, Image=image(pictures / "groups" / "two_people.jpg")
    )
    assert len(response["UnsearchedFaces"]) == 1
    assert response["UnsearchedFaces"][0]["Reasons"][0] == "FACE_NOT_LARGEST"
    assert set(response["SearchedFace"]["FaceDetail"]) == DEFAULT_MEMBERS
    assert len(response["UserMatches"]) == 1
    response = client.delete_faces(CollectionId=collection, FaceIds=[biden])
    [failure] = response["UnsuccessfulFaceDeletions"]
    assert failure["Reasons"] == ["ASSOCIATED_TO_AN_EXISTING_USER"]
    response = client.disassociate_faces(
        CollectionId=collection, UserId="obama", FaceIds=[*obama, biden]
    )
    assert [face["FaceId"] for face in response["DisassociatedFaces"]] == obama
    assert response["UserStatus"] == "CREATED"
    [failure] = response["UnsuccessfulFaceDisassociations"]
    assert failure["Reasons"] == ["ASSOCIATED_TO_A_DIFFERENT_USER"]
    client.delete_user(CollectionId=collection, UserId="obama")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.delete_user(CollectionId=collection, UserId="obama")


def test_a_user_is_made_once(client: Any, collection: str) -> None:
    for _ in range(2):  # the same request, come twice
        client.create_user(CollectionId=collection, UserId="one", ClientRequestToken="first")
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        client.create_user(CollectionId=collection, UserId="two", ClientRequestToken="first")
    with pytest.raises(client.exceptions.ConflictException):
        client.create_user(CollectionId=collection, UserId="one")
    pages = client.get_paginator("list_users").paginate(CollectionId=collection)
    assert [one["UserId"] for page in pages for one in page["Users"]] == ["one"]


def test_users_are_searched_by_exactly_one_thing(client: Any, collection: str) -> None:
    face = str(uuid.uuid4())
    for asked in ({}, {"UserId": "one", "FaceId": face}):
        with pytest.raises(client.exceptions.InvalidParameterException, match="exactly one"):
            client.search_users(CollectionId=collection, **asked)
