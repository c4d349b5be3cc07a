"""DetectFaces, DetectText and CompareFaces of real photographs, requested by an unchanged boto3."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.rekognition import DEFAULT_MEMBERS, blank, image
from tests.support.street_scenes import photograph

SIGNS = 2
"""Number of the scene with the signs that are read here."""


def test_detect_faces_returns_five_members_and_those_requested(client: Any, pictures: Path) -> None:
    photo = image(pictures / "groups" / "two_people.jpg")
    response = client.detect_faces(Image=photo)
    assert len(response["FaceDetails"]) == 2
    for face in response["FaceDetails"]:
        assert set(face) == DEFAULT_MEMBERS
        assert len(face["Landmarks"]) == 5
    areas = [
        f["BoundingBox"]["Width"] * f["BoundingBox"]["Height"] for f in response["FaceDetails"]
    ]
    assert areas == sorted(areas, reverse=True)
    smiles = client.detect_faces(Image=photo, Attributes=["SMILE", "AGE_RANGE"])["FaceDetails"]
    assert set(smiles[0]) == {*DEFAULT_MEMBERS, "Smile", "AgeRange"}
    everything = client.detect_faces(Image=photo, Attributes=["DEFAULT", "ALL"])["FaceDetails"]
    assert len(everything[0]) == 17
    assert len(everything[0]["Landmarks"]) == 30
    assert all(face["Gender"]["Value"] == "Male" for face in everything)
    assert "OrientationCorrection" not in response


def test_an_image_without_faces_or_text_has_none(client: Any) -> None:
    assert client.detect_faces(Image=blank())["FaceDetails"] == []
    assert client.detect_text(Image=blank())["TextDetections"] == []


def test_detect_text_reads_a_sign(client: Any, pictures: Path) -> None:
    data, written = photograph(pictures, SIGNS)
    response = client.detect_text(Image={"Bytes": data})
    found = response["TextDetections"]
    lines = [one for one in found if one["Type"] == "LINE"]
    words = [one for one in found if one["Type"] == "WORD"]
    assert [one["Id"] for one in found] == list(range(len(found)))
    assert all("ParentId" not in one for one in lines)
    assert {one["ParentId"] for one in words} == {one["Id"] for one in lines}
    assert response["TextModelVersion"] == "ppocrv6_det_small+ppocrv6_rec_small"
    read = {one["DetectedText"] for one in words}
    assert len({word.text for word in written} & read) >= 10


def test_detect_text_filters(client: Any, pictures: Path) -> None:
    photo = {"Bytes": photograph(pictures, SIGNS)[0]}

    def words(**filters: Any) -> list[Any]:
        found = client.detect_text(Image=photo, Filters=filters)["TextDetections"]
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


def test_compare_faces_tells_two_people_apart(client: Any, pictures: Path) -> None:
    response = client.compare_faces(
        SourceImage=image(pictures / "people" / "barack_obama" / "1.jpg"),
        TargetImage=image(pictures / "groups" / "two_people.jpg"),
    )
    [match], [other] = response["FaceMatches"], response["UnmatchedFaces"]
    assert match["Similarity"] > 95
    assert set(match["Face"]) == DEFAULT_MEMBERS
    assert match["Face"]["BoundingBox"] != other["BoundingBox"]
    assert response["SourceImageFace"]["Confidence"] > 90
    same = client.compare_faces(
        SourceImage=image(pictures / "people" / "barack_obama" / "1.jpg"),
        TargetImage=image(pictures / "people" / "barack_obama" / "1.jpg"),
        SimilarityThreshold=100,
    )
    assert same["FaceMatches"][0]["Similarity"] == 100
    none = client.compare_faces(
        SourceImage=image(pictures / "people" / "barack_obama" / "1.jpg"), TargetImage=blank()
    )
    assert none["FaceMatches"] == none["UnmatchedFaces"] == []
    all_of_them = client.compare_faces(
        SourceImage=image(pictures / "people" / "barack_obama" / "1.jpg"),
        TargetImage=image(pictures / "groups" / "two_people.jpg"),
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
