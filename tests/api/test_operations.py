"""What each operation says of real pictures, asked by an unchanged boto3."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.support.server import Running

from onlooker.api.rekognition.names import model_version

VERSION = model_version("mobilefacenet")
CORNERS = ("BoundingBox", "Confidence", "Landmarks", "Pose", "Quality")


@pytest.fixture(scope="module")
def client(server: Running) -> Any:
    return server.client()


@pytest.fixture
def collection(client: Any) -> Iterator[str]:
    """The name of a collection for one test."""
    name = f"test-{uuid.uuid4()}"
    client.create_collection(CollectionId=name)
    yield name
    client.delete_collection(CollectionId=name)


@pytest.fixture(scope="module")
def faces(samples: Path) -> Path:
    return samples / "faces"


def picture(path: Path) -> dict[str, bytes]:
    return {"Bytes": path.read_bytes()}


def blank(width: int = 200, height: int = 200) -> dict[str, bytes]:
    return {"Bytes": cv2.imencode(".png", np.full((height, width, 3), 127, np.uint8))[1].tobytes()}


def indexed(client: Any, collection: str, path: Path, name: str, **more: Any) -> str:
    """FaceId of the largest face."""
    told = client.index_faces(
        CollectionId=collection, Image=picture(path), ExternalImageId=name, MaxFaces=1, **more
    )
    return str(told["FaceRecords"][0]["Face"]["FaceId"])


# Pictures


def test_detect_faces_tells_five_members_and_more_where_asked(client: Any, faces: Path) -> None:
    image = picture(faces / "groups" / "obama_and_biden.jpg")
    told = client.detect_faces(Image=image)
    assert len(told["FaceDetails"]) == 2
    for face in told["FaceDetails"]:
        assert set(face) == set(CORNERS)
        assert len(face["Landmarks"]) == 5
    areas = [f["BoundingBox"]["Width"] * f["BoundingBox"]["Height"] for f in told["FaceDetails"]]
    assert areas == sorted(areas, reverse=True)
    smiles = client.detect_faces(Image=image, Attributes=["SMILE", "AGE_RANGE"])["FaceDetails"]
    assert set(smiles[0]) == {*CORNERS, "Smile", "AgeRange"}
    everything = client.detect_faces(Image=image, Attributes=["DEFAULT", "ALL"])["FaceDetails"]
    assert len(everything[0]) == 17
    assert len(everything[0]["Landmarks"]) == 30
    assert all(face["Gender"]["Value"] == "Male" for face in everything)
    assert "OrientationCorrection" not in told


def test_a_picture_without_faces_or_text_has_none(client: Any) -> None:
    assert client.detect_faces(Image=blank())["FaceDetails"] == []
    assert client.detect_text(Image=blank())["TextDetections"] == []


def test_detect_text_reads_a_sign(client: Any, samples: Path) -> None:
    image = picture(samples / "text" / "icdar2015" / "test25" / "img_100.jpg")
    told = client.detect_text(Image=image)
    found = told["TextDetections"]
    lines = [one for one in found if one["Type"] == "LINE"]
    words = [one for one in found if one["Type"] == "WORD"]
    assert [one["Id"] for one in found] == list(range(len(found)))
    assert all("ParentId" not in one for one in lines)
    assert {one["ParentId"] for one in words} == {one["Id"] for one in lines}
    assert told["TextModelVersion"] == "ppocrv6_det_small+ppocrv6_rec_small"
    truth = (samples / "text" / "icdar2015" / "test25" / "gt_img_100.txt").read_text("utf-8-sig")
    wanted = {line.split(",", 8)[8] for line in truth.splitlines()} - {"###"}
    assert wanted & {one["DetectedText"] for one in words}


def test_detect_text_filters(client: Any, samples: Path) -> None:
    image = picture(samples / "text" / "icdar2015" / "test25" / "img_100.jpg")

    def words(**filters: Any) -> list[Any]:
        found = client.detect_text(Image=image, Filters=filters)["TextDetections"]
        return [one for one in found if one["Type"] == "WORD"]

    every = words()
    assert len(words(WordFilter={"MinConfidence": 0})) == len(every)
    sure = words(WordFilter={})
    assert sure == [] or min(one["Confidence"] for one in sure) >= 80
    tall = words(WordFilter={"MinConfidence": 0, "MinBoundingBoxHeight": 0.03})
    assert len(tall) == sum(one["Geometry"]["BoundingBox"]["Height"] >= 0.03 for one in every)
    nothing = {"Width": 0.01, "Height": 0.01, "Left": 0.0, "Top": 0.0}
    assert words(RegionsOfInterest=[{"BoundingBox": nothing}]) == []
    whole = [{"X": 0, "Y": 0}, {"X": 1, "Y": 0}, {"X": 1, "Y": 1}, {"X": 0, "Y": 1}]
    assert len(words(RegionsOfInterest=[{"Polygon": whole}])) == len(every)
    for bad in ({}, {"Polygon": whole[:2]}, {"BoundingBox": {"Width": 1}}):
        with pytest.raises(client.exceptions.InvalidParameterException, match="Filters"):
            words(RegionsOfInterest=[bad])


def test_compare_faces_knows_one_and_not_the_other(client: Any, faces: Path) -> None:
    told = client.compare_faces(
        SourceImage=picture(faces / "identities" / "barack_obama" / "1.jpg"),
        TargetImage=picture(faces / "groups" / "obama_and_biden.jpg"),
    )
    [match], [other] = told["FaceMatches"], told["UnmatchedFaces"]
    assert match["Similarity"] > 95
    assert set(match["Face"]) == set(CORNERS)
    assert match["Face"]["BoundingBox"] != other["BoundingBox"]
    assert told["SourceImageFace"]["Confidence"] > 90
    same = client.compare_faces(
        SourceImage=picture(faces / "identities" / "barack_obama" / "1.jpg"),
        TargetImage=picture(faces / "identities" / "barack_obama" / "1.jpg"),
        SimilarityThreshold=100,
    )
    assert same["FaceMatches"][0]["Similarity"] == 100
    none = client.compare_faces(
        SourceImage=picture(faces / "identities" / "barack_obama" / "1.jpg"), TargetImage=blank()
    )
    assert none["FaceMatches"] == none["UnmatchedFaces"] == []
    all_of_them = client.compare_faces(
        SourceImage=picture(faces / "identities" / "barack_obama" / "1.jpg"),
        TargetImage=picture(faces / "groups" / "obama_and_biden.jpg"),
        SimilarityThreshold=0,
    )
    likeness = [one["Similarity"] for one in all_of_them["FaceMatches"]]
    assert len(likeness) == 2
    assert likeness == sorted(likeness, reverse=True)


def test_compare_faces_needs_a_face_to_compare(client: Any) -> None:
    with pytest.raises(
        client.exceptions.InvalidParameterException, match="There are no faces in the image"
    ):
        client.compare_faces(SourceImage=blank(), TargetImage=blank())


# Collections


def test_collections_are_made_told_of_and_deleted(client: Any) -> None:
    name = f"Made-{uuid.uuid4()}"
    made = client.create_collection(CollectionId=name, Tags={"team": "door"})
    arn = f"arn:aws:rekognition:us-east-1:000000000000:collection/{name}"
    assert (made["StatusCode"], made["CollectionArn"]) == (200, arn)
    assert made["FaceModelVersion"] == VERSION
    with pytest.raises(
        client.exceptions.ResourceAlreadyExistsException, match=f"id: {name} already exists"
    ):
        client.create_collection(CollectionId=name)
    told = client.describe_collection(CollectionId=name)
    assert (told["FaceCount"], told["UserCount"], told["CollectionARN"]) == (0, 0, arn)
    assert abs(told["CreationTimestamp"].timestamp() - time.time()) < 60
    listed = client.list_collections()
    assert len(listed["CollectionIds"]) == len(listed["FaceModelVersions"])
    assert name in listed["CollectionIds"]
    assert client.delete_collection(CollectionId=name)["StatusCode"] == 200
    for ask in (client.delete_collection, client.describe_collection, client.list_faces):
        with pytest.raises(
            client.exceptions.ResourceNotFoundException, match=f"id: {name} does not exist"
        ):
            ask(CollectionId=name)


def test_lists_come_in_pages(client: Any, collection: str, faces: Path) -> None:
    others = [f"{collection}-{number}" for number in range(3)]
    for name in others:
        client.create_collection(CollectionId=name)
    pages = client.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 1})
    names = [name for page in pages for name in page["CollectionIds"]]
    assert len(names) == len(set(names))
    assert {collection, *others} <= set(names)
    for name in others:
        client.delete_collection(CollectionId=name)
    path = faces / "identities" / "barack_obama" / "1.jpg"
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
    client: Any, collection: str, faces: Path
) -> None:
    people = faces / "identities"
    told = client.index_faces(
        CollectionId=collection,
        Image=picture(people / "barack_obama" / "1.jpg"),
        ExternalImageId="obama",
        DetectionAttributes=["ALL"],
    )
    [record] = told["FaceRecords"]
    assert told["UnindexedFaces"] == []
    assert told["FaceModelVersion"] == VERSION
    assert len(record["FaceDetail"]["Landmarks"]) == 30
    assert set(record["Face"]) == {
        "FaceId", "BoundingBox", "ImageId", "ExternalImageId", "Confidence"
    }  # fmt: skip
    found = client.search_faces_by_image(
        CollectionId=collection, Image=picture(people / "barack_obama" / "2.jpg")
    )
    [match] = found["FaceMatches"]
    assert match["Similarity"] > 95
    assert match["Face"]["FaceId"] == record["Face"]["FaceId"]
    assert match["Face"]["IndexFacesModelVersion"] == VERSION
    assert found["SearchedFaceConfidence"] > 90
    same = client.search_faces_by_image(
        CollectionId=collection, Image=picture(people / "barack_obama" / "1.jpg")
    )
    assert same["FaceMatches"][0]["Similarity"] == 100
    stranger = client.search_faces_by_image(
        CollectionId=collection, Image=picture(people / "joe_biden" / "1.jpg")
    )
    assert stranger["FaceMatches"] == []
    with pytest.raises(client.exceptions.InvalidParameterException, match="no faces in the image"):
        client.search_faces_by_image(CollectionId=collection, Image=blank())


def test_the_same_picture_and_name_are_one_face(client: Any, collection: str, faces: Path) -> None:
    path = faces / "identities" / "barack_obama" / "1.jpg"
    assert indexed(client, collection, path, "o") == indexed(client, collection, path, "o")
    assert indexed(client, collection, path, "o") != indexed(client, collection, path, "p")
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 2
    unnamed = [
        client.index_faces(CollectionId=collection, Image=picture(path))["FaceRecords"][0]["Face"]
        for _ in range(2)
    ]
    assert unnamed[0]["FaceId"] != unnamed[1]["FaceId"]
    assert unnamed[0]["ImageId"] == unnamed[1]["ImageId"]
    assert "ExternalImageId" not in unnamed[0]


def test_faces_beyond_the_most_are_told_but_not_indexed(
    client: Any, collection: str, faces: Path
) -> None:
    told = client.index_faces(
        CollectionId=collection,
        Image=picture(faces / "groups" / "obama_and_biden.jpg"),
        MaxFaces=1,
        QualityFilter="NONE",
    )
    [other] = told["UnindexedFaces"]
    assert len(told["FaceRecords"]) == 1
    assert other["Reasons"] == ["EXCEEDS_MAX_FACES"]
    assert set(other["FaceDetail"]) == set(CORNERS)
    nobody = client.index_faces(CollectionId=collection, Image=blank())
    assert nobody["FaceRecords"] == nobody["UnindexedFaces"] == []


def test_search_faces_leaves_the_face_itself_out(client: Any, collection: str, faces: Path) -> None:
    people = faces / "identities" / "barack_obama"
    one, two = (indexed(client, collection, people / f"{n}.jpg", "obama") for n in (1, 2))
    three = indexed(client, collection, people / "1.jpg", "president")
    told = client.search_faces(CollectionId=collection, FaceId=one)
    assert told["SearchedFaceId"] == one
    assert [match["Face"]["FaceId"] for match in told["FaceMatches"]] == [three, two]
    assert told["FaceMatches"][0]["Similarity"] == 100
    first = client.search_faces(CollectionId=collection, FaceId=one, MaxFaces=1)
    assert len(first["FaceMatches"]) == 1
    near = client.search_faces(CollectionId=collection, FaceId=one, FaceMatchThreshold=100)
    assert len(near["FaceMatches"]) == 1
    with pytest.raises(
        client.exceptions.InvalidParameterException, match="faceId was not found in the collection"
    ):
        client.search_faces(CollectionId=collection, FaceId=str(uuid.uuid4()))


def test_deleted_faces_are_gone_and_unknown_ones_are_told(
    client: Any, collection: str, faces: Path
) -> None:
    face = indexed(client, collection, faces / "identities" / "barack_obama" / "1.jpg", "o")
    unknown = str(uuid.uuid4())
    told = client.delete_faces(CollectionId=collection, FaceIds=[face, unknown])
    assert told["DeletedFaces"] == [face]
    assert told["UnsuccessfulFaceDeletions"] == [{"FaceId": unknown, "Reasons": ["FACE_NOT_FOUND"]}]
    assert client.list_faces(CollectionId=collection)["Faces"] == []


# Users and tags


def test_users_are_found_by_their_faces(client: Any, collection: str, faces: Path) -> None:
    people = faces / "identities"
    obama = [
        indexed(client, collection, people / "barack_obama" / f"{n}.jpg", "obama") for n in (1, 2)
    ]
    biden = indexed(client, collection, people / "joe_biden" / "2.jpg", "biden")
    for user in ("obama", "biden", "nobody"):
        client.create_user(CollectionId=collection, UserId=user, ClientRequestToken=f"t-{user}")
    told = client.associate_faces(
        CollectionId=collection, UserId="obama", FaceIds=[*obama, biden, str(uuid.uuid4())]
    )
    assert [face["FaceId"] for face in told["AssociatedFaces"]] == obama
    assert told["UserStatus"] == "ACTIVE"
    reasons = [one["Reasons"] for one in told["UnsuccessfulFaceAssociations"]]
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
    told = client.search_users_by_image(
        CollectionId=collection, Image=picture(faces / "groups" / "obama_and_biden.jpg")
    )
    assert len(told["UnsearchedFaces"]) == 1
    assert told["UnsearchedFaces"][0]["Reasons"][0] == "FACE_NOT_LARGEST"
    assert set(told["SearchedFace"]["FaceDetail"]) == set(CORNERS)
    assert len(told["UserMatches"]) == 1
    told = client.delete_faces(CollectionId=collection, FaceIds=[biden])
    [failure] = told["UnsuccessfulFaceDeletions"]
    assert failure["Reasons"] == ["ASSOCIATED_TO_AN_EXISTING_USER"]
    told = client.disassociate_faces(
        CollectionId=collection, UserId="obama", FaceIds=[*obama, biden]
    )
    assert [face["FaceId"] for face in told["DisassociatedFaces"]] == obama
    assert told["UserStatus"] == "CREATED"
    [failure] = told["UnsuccessfulFaceDisassociations"]
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


def test_tags_are_kept(client: Any, collection: str) -> None:
    arn = client.describe_collection(CollectionId=collection)["CollectionARN"]
    client.tag_resource(ResourceArn=arn, Tags={"team": "door", "Größe": "1"})
    client.tag_resource(ResourceArn=arn.removeprefix("arn:"), Tags={"team": "gate"})
    told = client.list_tags_for_resource(ResourceArn=arn)
    assert told["Tags"] == {"team": "gate", "Größe": "1"}
    client.untag_resource(ResourceArn=arn, TagKeys=["team", "none"])
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"Größe": "1"}
    for other in (arn + "x", arn.replace("collection/", "streamprocessor/"), arn + "/x"):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.list_tags_for_resource(ResourceArn=other)
    with pytest.raises(client.exceptions.InvalidParameterException, match="not an ARN"):
        client.list_tags_for_resource(ResourceArn="collection/of-no-service-at-all")


# Pictures as they come


def test_pictures_must_be_of_a_size(client: Any) -> None:
    with pytest.raises(
        client.exceptions.InvalidParameterException, match="200 x 79 pixels; both sides"
    ):
        client.detect_faces(Image=blank(200, 79))
    client.detect_faces(Image=blank(80, 80))
    with pytest.raises(
        client.exceptions.InvalidParameterException,
        match=r"'<5242881 bytes>' at 'image\.bytes'.* less than or equal to 5242880.* smaller",
    ):
        client.detect_faces(Image={"Bytes": b"\xff" * 5242881})
    with pytest.raises(client.exceptions.InvalidImageFormatException):
        client.detect_faces(Image={"Bytes": b"\xff" * 5242880})
    wide = cv2.imencode(".png", np.zeros((5100, 10_000), np.uint8))[1].tobytes()
    with pytest.raises(client.exceptions.ImageTooLargeException, match="10000 x 5100"):
        client.detect_faces(Image={"Bytes": wide})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"data:image/png;base64,iVBORw0KGgo=", "data: URL"),
        (b"iVBORw0KGgoAAAANSUhEUgAA", "themselves base64 of a PNG"),
        (b"/9j/4AAQSkZJRgABAQEASABIAAD", "themselves base64 of a JPEG"),
        (b"GIF89a", "neither JPEG nor PNG"),
    ],
)
def test_what_was_probably_meant_is_said(client: Any, data: bytes, said: str) -> None:
    with pytest.raises(client.exceptions.InvalidImageFormatException, match=said):
        client.detect_faces(Image={"Bytes": data})


def test_an_operation_that_we_have_not_is_refused_with_those_that_we_have(client: Any) -> None:
    with pytest.raises(
        client.exceptions.ClientError, match=r"DetectLabels.*SearchUsersByImage"
    ) as e:
        client.detect_labels(Image=blank())
    assert e.value.response["Error"]["Code"] == "UnknownOperationException"
