"""FaceDetail: what is asked for, nothing else, and in the form of the real service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from tests.support.botocore_shapes import model, problems

from onlooker.rekognition.face_detail import FIELDS, detected_face, face_detail, fields
from onlooker.rekognition.shapes import FaceDetail, Reason, UnindexedFace
from onlooker.types import LANDMARKS, Attributes, EyeDirection, Face, Pose, Quality

SIZE = (400, 200)
FACE = Face(
    box=(-20.0, 40.0, 80.0, 160.0),
    score=0.99987654,
    points=((10, 80), (50, 80), (30, 100), (15, 130), (45, 130)),
    pose=Pose(roll=-1.23456, yaw=20.0, pitch=-0.00001),
    quality=Quality(brightness=50.123456, sharpness=90.0),
    landmarks=tuple((float(n), 2.0 * n) for n in range(30)),
    attributes=Attributes(
        age=(31, 47),
        male=0.25,
        smile=0.5,
        eyeglasses=0.75,
        sunglasses=0.01,
        beard=0.0,
        mustache=1.0,
        eyes_open=0.9,
        mouth_open=0.2,
        occluded=0.49,
        emotions=(
            ("CALM", 0.2), ("HAPPY", 0.5), ("SAD", 0.1), ("ANGRY", 0.05), ("FEAR", 0.05),
            ("DISGUSTED", 0.04), ("SURPRISED", 0.06), ("CONFUSED", 0.0),
        ),
        eye_direction=EyeDirection(yaw=3.0, pitch=-4.0, confidence=0.8),
    ),
)  # fmt: skip


def plain(value: object) -> Any:
    return json.loads(msgspec.json.encode(value))


def test_default_is_five_members() -> None:
    for asked in ((), ("DEFAULT",)):
        assert plain(face_detail(FACE, SIZE, asked)) == {
            "BoundingBox": {"Width": 0.25, "Height": 0.6, "Left": -0.05, "Top": 0.2},
            "Landmarks": [
                {"Type": "eyeLeft", "X": 0.025, "Y": 0.4},
                {"Type": "eyeRight", "X": 0.125, "Y": 0.4},
                {"Type": "mouthLeft", "X": 0.0375, "Y": 0.65},
                {"Type": "mouthRight", "X": 0.1125, "Y": 0.65},
                {"Type": "nose", "X": 0.075, "Y": 0.5},
            ],
            "Pose": {"Roll": -1.2346, "Yaw": 20.0, "Pitch": 0.0},
            "Quality": {"Brightness": 50.1235, "Sharpness": 90.0},
            "Confidence": 99.9877,
        }


def test_all_adds_what_the_attributes_tell() -> None:
    found = plain(face_detail(FACE, SIZE, ["ALL", "DEFAULT"]))
    assert len(found["Landmarks"]) == 30
    assert found["Landmarks"][7] == {"Type": "leftEyeBrowUp", "X": 0.0175, "Y": 0.07}
    assert {name: found[name] for name in set(found) - set(plain(face_detail(FACE, SIZE)))} == {
        "AgeRange": {"Low": 31, "High": 47},
        "Gender": {"Value": "Female", "Confidence": 75.0},
        "Smile": {"Value": True, "Confidence": 50.0},
        "Eyeglasses": {"Value": True, "Confidence": 75.0},
        "Sunglasses": {"Value": False, "Confidence": 99.0},
        "Beard": {"Value": False, "Confidence": 100.0},
        "Mustache": {"Value": True, "Confidence": 100.0},
        "EyesOpen": {"Value": True, "Confidence": 90.0},
        "MouthOpen": {"Value": False, "Confidence": 80.0},
        "FaceOccluded": {"Value": False, "Confidence": 51.0},
        "EyeDirection": {"Yaw": 3.0, "Pitch": -4.0, "Confidence": 80.0},
        "Emotions": [
            {"Type": kind, "Confidence": percent}
            for kind, percent in (
                ("HAPPY", 50.0), ("CALM", 20.0), ("SAD", 10.0), ("SURPRISED", 6.0),
                ("ANGRY", 5.0), ("FEAR", 5.0), ("DISGUSTED", 4.0), ("CONFUSED", 0.0),
            )
        ],
    }  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_one_attribute_adds_one_member(name: str) -> None:
    default = set(plain(face_detail(FACE, SIZE)))
    found = plain(face_detail(FACE, SIZE, [name]))
    assert len(set(found) - default) == 1
    assert len(found["Landmarks"]) == 5
    assert fields([name, "DEFAULT"]) == {FIELDS[name]}


def test_an_attribute_that_was_not_determined_cannot_be_returned() -> None:
    bare = msgspec.structs.replace(FACE, attributes=None, landmarks=())
    assert face_detail(bare, SIZE, ["DEFAULT"]) == face_detail(FACE, SIZE)
    with pytest.raises(ValueError, match="SMILE is asked for, but was not determined"):
        face_detail(bare, SIZE, ["SMILE"])
    some = msgspec.structs.replace(FACE, attributes=Attributes(smile=0.5))
    with pytest.raises(ValueError, match="FACE_OCCLUDED is asked for"):
        face_detail(some, SIZE, ["FACE_OCCLUDED", "SMILE"])
    meshless = msgspec.structs.replace(FACE, landmarks=())
    with pytest.raises(ValueError, match="no mesh was fitted to this face"):
        face_detail(meshless, SIZE, ["ALL"])


def test_names_are_those_of_botocore() -> None:
    assert {"DEFAULT", "ALL", *FIELDS} == set(model.shape_for("Attribute").enum)
    assert set(LANDMARKS) <= set(model.shape_for("LandmarkType").enum)
    assert set(get_args(Reason)) == set(model.shape_for("Reason").enum)


def test_every_member_is_as_botocore_has_it() -> None:
    found = plain(face_detail(FACE, SIZE, ["ALL"]))
    assert problems(found, "FaceDetail") == []
    assert set(found) == set(model.shape_for("FaceDetail").members)
    assert problems(plain(detected_face(FACE, SIZE)), "ComparedFace") == []
    unindexed = UnindexedFace(
        Reasons=get_args(Reason), FaceDetail=face_detail(FACE, SIZE, ["DEFAULT"])
    )
    assert problems(plain(unindexed), "UnindexedFace") == []
    assert set(plain(unindexed)) == set(model.shape_for("UnindexedFace").members)
    # The check can fail.
    found["Emotions"][0]["Type"] = "GLAD"
    found["AgeRange"]["Low"] = 1.5
    del found["Pose"]
    found["Hat"] = True
    assert len(problems(found, "FaceDetail")) == 3


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        ("Percent", 100.0, 100.5),
        ("CollectionId", "a" * 255, "a" * 256),
        ("CollectionId", "a.b-c", "a b"),
        ("FaceIdList", [ID := "11111111-2222-3333-4444-555555555555"], []),
        ("FaceIdList", [ID], [ID.replace("1", "A")]),
        ("DateTime", 1.5e9, "2026-11-24"),
        ("TagMap", {"größe": "m"}, {"aws:x": "m"}),
        ("TagMap", {}, {"size": "*"}),
        ("ImageBlob", "aGk=", ""),
        ("Boolean", True, 1),
        ("Float", 1, float("nan")),
        ("UInteger", 1, True),
        ("DeleteCollectionRequest", {"CollectionId": "c"}, {}),
    ],
)
def test_the_check_finds_what_is_wrong(shape: str, good: object, bad: object) -> None:
    assert problems(good, shape) == []
    assert len(problems(bad, shape)) == 1


ORDER = (
    *("BoundingBox", "AgeRange", "Smile", "Eyeglasses", "Sunglasses", "Gender", "Beard"),
    *("Mustache", "EyesOpen", "MouthOpen", "Emotions", "Landmarks", "Pose", "Quality"),
    "Confidence",
)
"""The members of a FaceDetail in the order in which Rekognition writes them."""


def test_members_are_written_in_rekognitions_order() -> None:
    found = plain(face_detail(FACE, SIZE, ["ALL"]))
    assert [name for name in found if name in ORDER] == list(ORDER)
    assert set(found) - set(ORDER) == {"FaceOccluded", "EyeDirection"}
    for name in ("BoundingBox", "Landmarks", "Emotions", "Pose", "Quality", "AgeRange"):
        part = found[name][0] if isinstance(found[name], list) else found[name]
        form = {
            "BoundingBox": ["Width", "Height", "Left", "Top"],
            "Landmarks": ["Type", "X", "Y"],
            "Emotions": ["Type", "Confidence"],
            "Pose": ["Roll", "Yaw", "Pitch"],
            "Quality": ["Brightness", "Sharpness"],
            "AgeRange": ["Low", "High"],
        }
        assert list(part) == form[name]
    emotions = {each["Type"] for each in found["Emotions"]}
    assert emotions == set(model.shape_for("EmotionName").enum) - {"UNKNOWN"}


def recorded(samples: Path, shape: str) -> Iterator[dict[str, Any]]:
    """Every object called `shape` in the recorded answers of Rekognition."""

    def walk(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            for name, child in node.items():
                if name in (shape, f"{shape}s"):
                    yield from child if isinstance(child, list) else [child]
                yield from walk(child)
        if isinstance(node, list):
            for child in node:
                yield from walk(child)

    for path in sorted((samples / "aws_recorded_json").glob("*.json")):
        yield from walk(json.loads(path.read_text())["original_response"])


def form(node: Any) -> Any:
    """Keys in their order, kinds of values, and words that are not free."""
    if isinstance(node, dict):
        return [
            (name, child if name == "Type" and len(node) == 3 else form(child))
            for name, child in node.items()
        ]
    if isinstance(node, list):
        return [form(child) for child in node]
    return type(node).__name__


def test_the_form_is_that_of_recorded_answers(samples: Path) -> None:
    details = list(recorded(samples, "FaceDetail"))
    assert len(details) == 2
    assert max((tuple(detail) for detail in details), key=len) == ORDER
    for detail in details:
        asked = ["ALL"] if "Smile" in detail else ["DEFAULT"]
        ours = plain(face_detail(FACE, SIZE, asked))
        for later in ("FaceOccluded", "EyeDirection"):  # came after the recording
            ours.pop(later, None)
        assert form(ours) == form(detail)


def test_compared_faces_have_the_form_of_recorded_ones(samples: Path) -> None:
    # Matches in a collection are called FaceMatches too, and have no landmarks.
    faces = [match["Face"] for match in recorded(samples, "FaceMatche")]
    [theirs] = [face for face in faces if "Landmarks" in face]
    assert form(plain(detected_face(FACE, SIZE))) == form(theirs)


def test_the_emotions_are_those_of_recorded_answers(samples: Path) -> None:
    [detail] = [each for each in recorded(samples, "FaceDetail") if "Emotions" in each]
    # The publisher of the recording renamed one of them.
    types = {each["Type"].replace("happiness", "HAPPY") for each in detail["Emotions"]}
    assert {each.Type for each in face_detail(FACE, SIZE, ["ALL"]).Emotions or ()} == types


def test_it_survives_the_wire() -> None:
    detail = face_detail(FACE, SIZE, ["ALL"])
    assert msgspec.json.decode(msgspec.json.encode(detail), type=FaceDetail) == detail
