"""Responses in the form of November 2017."""

from pathlib import Path
from typing import Any

from tests.support.rekognition import plain_png
from tests.support.secured_server import client
from tests.support.server import Running
from tests.support.street_scenes import photograph

from onlooker.api.rekognition import responses as shapes
from onlooker.api.rekognition.profile_2017 import as_in_2017

BOX = {"Width", "Height", "Left", "Top"}
FACE = {"FaceId": str, "BoundingBox": BOX, "ImageId": str, "ExternalImageId": str, "Confidence": 0}
VALUE = {"Value", "Confidence"}
DETAIL = {
    "BoundingBox": BOX,
    "AgeRange": {"Low", "High"},
    "Smile": VALUE,
    "Eyeglasses": VALUE,
    "Sunglasses": VALUE,
    "Gender": VALUE,
    "Beard": VALUE,
    "Mustache": VALUE,
    "EyesOpen": VALUE,
    "MouthOpen": VALUE,
    "Emotions": [{"Type", "Confidence"}],
    "Landmarks": [{"Type", "X", "Y"}],
    "Pose": {"Roll", "Yaw", "Pitch"},
    "Quality": {"Brightness", "Sharpness"},
    "Confidence": 0,
}
MATCHES = [{"Similarity": 0, "Face": FACE}]
SYNTAX: dict[str, dict[str, Any]] = {
    "DetectText": {
        "TextDetections": [
            {
                "DetectedText": "",
                "Type": "",
                "Id": 0,
                "Confidence": 0,
                "Geometry": {"BoundingBox": BOX, "Polygon": [{"X", "Y"}]},
            }
        ]
    },
    "CreateCollection": {"StatusCode": 0, "CollectionArn": "", "FaceModelVersion": ""},
    "IndexFaces": {
        "FaceRecords": [{"Face": FACE, "FaceDetail": DETAIL}],
        "OrientationCorrection": "",
        "FaceModelVersion": "",
    },
    "ListCollections": {"CollectionIds": [], "FaceModelVersions": []},
    "ListFaces": {"Faces": [FACE], "FaceModelVersion": ""},
    "SearchFaces": {"SearchedFaceId": "", "FaceMatches": MATCHES, "FaceModelVersion": ""},
    "SearchFacesByImage": {
        "SearchedFaceBoundingBox": BOX,
        "SearchedFaceConfidence": 0,
        "FaceMatches": MATCHES,
        "FaceModelVersion": "",
    },
}
"""The members that each operation's answer had then, of a named face on one page."""


def test_responses_have_the_form_of_2017(secured: Running, pictures: Path) -> None:
    asked = client(secured, "ADMIN")
    image = {"Bytes": plain_png(pictures / "people" / "barack_obama" / "1.jpg")}
    other = {"Bytes": (pictures / "people" / "barack_obama" / "2.jpg").read_bytes()}
    responses: dict[str, Any] = {}
    responses["CreateCollection"] = asked.create_collection(CollectionId="staff")
    responses["IndexFaces"] = asked.index_faces(
        CollectionId="staff",
        Image=image,
        ExternalImageId="obama",
        DetectionAttributes=["ALL"],
    )
    asked.index_faces(CollectionId="staff", Image=other, ExternalImageId="obama")
    face = responses["IndexFaces"]["FaceRecords"][0]["Face"]["FaceId"]
    responses["DetectText"] = asked.detect_text(Image={"Bytes": photograph(pictures, 2)[0]})
    responses["ListCollections"] = asked.list_collections()
    responses["ListFaces"] = asked.list_faces(CollectionId="staff")
    responses["SearchFaces"] = asked.search_faces(CollectionId="staff", FaceId=face)
    responses["SearchFacesByImage"] = asked.search_faces_by_image(CollectionId="staff", Image=image)
    for operation, syntax in SYNTAX.items():
        answer = {k: v for k, v in responses[operation].items() if k != "ResponseMetadata"}
        _same(answer, syntax, operation)
    assert responses["CreateCollection"]["CollectionArn"].startswith("aws:rekognition:")
    assert responses["IndexFaces"]["OrientationCorrection"] == "ROTATE_0"
    detail = responses["IndexFaces"]["FaceRecords"][0]["FaceDetail"]
    assert len(detail["Landmarks"]) == 25
    assert len(detail["Emotions"]) == 7
    lines = [one for one in responses["DetectText"]["TextDetections"] if one["Type"] == "LINE"]
    assert lines
    assert all(one["DetectedText"].isascii() for one in lines)
    assert set(asked.delete_faces(CollectionId="staff", FaceIds=[face])) == {
        "DeletedFaces", "ResponseMetadata"
    }  # fmt: skip


def _same(answer: Any, syntax: Any, place: str) -> None:
    if isinstance(syntax, dict | set):
        assert set(answer) - {"ParentId"} == set(syntax), place
    if isinstance(syntax, dict):
        for name, inner in syntax.items():
            _same(answer[name], inner, f"{place}.{name}")
    elif isinstance(syntax, list):
        assert answer, place
        for inner in syntax:
            for one in answer:
                _same(one, inner, f"{place}[]")


def test_operations_that_came_later_respond_as_today() -> None:
    users = shapes.ListUsers(Users=(shapes.User(UserId="one", UserStatus="ACTIVE"),))
    assert as_in_2017("ListUsers", users) is users


def test_members_that_came_later_are_left_out() -> None:
    deleted = shapes.DeleteFaces(DeletedFaces=("a",), UnsuccessfulFaceDeletions=())
    assert as_in_2017("DeleteFaces", deleted) == {"DeletedFaces": ["a"]}
