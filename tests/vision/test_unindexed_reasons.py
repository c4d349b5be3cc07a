"""Which faces are indexed, and the reasons for the others."""

from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace
from tests.support.single import FaceFinder, Mesher

from onlooker.config import schema
from onlooker.media import image
from onlooker.rekognition.shapes import Reason
from onlooker.types import Face, Pose, Quality
from onlooker.vision.unindexed_reasons import THRESHOLDS, best, everyone, largest, passing, reasons


def face(
    width: float = 200,
    sharpness: float = 90,
    brightness: float = 50,
    yaw: float = 0,
    pitch: float = 0,
    score: float = 0.999,
) -> Face:
    return Face(
        box=(10, 10, 10 + width, 10 + width),
        score=score,
        points=((0, 0), (1, 0), (0, 1), (0, 2), (1, 2)),
        pose=Pose(roll=0, yaw=yaw, pitch=pitch),
        quality=Quality(brightness=brightness, sharpness=sharpness),
    )


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (face(), ()),
        (face(width=32), ()),
        (face(width=31), ("SMALL_BOUNDING_BOX", "LOW_FACE_QUALITY")),
        (face(sharpness=40), ()),
        (face(sharpness=39), ("LOW_SHARPNESS",)),
        (face(brightness=3), ("LOW_BRIGHTNESS",)),
        (face(yaw=-76), ("EXTREME_POSE",)),
        (face(pitch=61), ("EXTREME_POSE",)),
    ],
)
def test_auto_passes_faces_that_can_be_recognised(seen: Face, expected: tuple[str, ...]) -> None:
    assert reasons(seen, "AUTO", smallest=32) == expected


@pytest.mark.parametrize("level", ["NONE", "AUTO"])
def test_a_face_whose_way_up_is_unknown_is_not_recognised(level: schema.QualityFilter) -> None:
    lost = replace(face(), aligned=False)
    refused = ("EXTREME_POSE", "LOW_FACE_QUALITY")
    assert reasons(lost, level, smallest=32) == refused
    assert everyone([lost, face()], smallest=32) == [refused, ()]


def test_without_a_filter_faces_of_a_few_pixels_are_still_not_recognised() -> None:
    poor = face(sharpness=0, brightness=0, yaw=90, score=0.1)
    assert reasons(poor, "NONE", smallest=32) == ()
    assert reasons(face(width=20), "NONE", 32) == ("SMALL_BOUNDING_BOX", "LOW_FACE_QUALITY")


def test_each_level_is_stricter_than_the_one_before() -> None:
    levels: list[schema.QualityFilter] = ["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"]
    limits = [THRESHOLDS[level] for level in levels]
    for name in ("width", "confidence", "sharpness", "brightness"):
        values = [getattr(each, name) for each in limits]
        assert values == sorted(values)
    for name in ("yaw", "pitch"):
        values = [getattr(each, name) for each in limits]
        assert values == sorted(values, reverse=True)
    assert reasons(face(score=0.96), "MEDIUM", 32) == ("LOW_CONFIDENCE",)


def test_portraits_pass_high_and_a_profile_nothing(pictures: Path) -> None:
    find = FaceFinder(schema.Faces(), "cpu")
    portraits = [find(image.read(path))[0] for path in (pictures / "people").rglob("*.*")]
    assert len(portraits) == 12
    assert all(reasons(one, "HIGH", 32) == () for one in portraits)
    sofa = image.read(pictures / "groups" / "sofa.jpg")
    aside, *_ = sorted((one.face for one in Mesher()(sofa, find(sofa))), key=lambda one: one.box)
    assert "EXTREME_POSE" in reasons(aside, "AUTO", 32)


def test_portraits_of_people_to_be_recognised_pass_medium(samples: Path) -> None:
    find = FaceFinder(schema.Faces(), "cpu")
    paths = sorted((samples / "faces" / "identities").rglob("*.*"))
    faces = [find(image.read(path))[0] for path in paths]
    assert len(faces) == 38
    levels: list[schema.QualityFilter] = ["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"]
    passed = [sum(not reasons(one, level, 32) for one in faces) for level in levels]
    assert passed[:2] == [38, 38]
    assert passed[1] > passed[2] > passed[3] > passed[4] > 19
    portraits = [one for one in faces if one.box[2] - one.box[0] >= 60]
    assert len(portraits) >= 25
    assert all(reasons(one, "MEDIUM", 32) == () for one in portraits)


def test_the_best_are_selected_and_the_others_have_a_reason() -> None:
    small, blurred, large, poor = face(60), face(300, 50), face(250, 90.2), face(100, 10)
    crowd = [blurred, large, poor, small]
    assert best("AUTO")(crowd, 32) == [(), (), ("LOW_SHARPNESS",), ()]
    too_many = ("EXCEEDS_MAX_FACES",)
    assert best("AUTO", 1)(crowd, 32) == [too_many, (), ("LOW_SHARPNESS",), too_many]
    assert best("AUTO", 3)(crowd, 32) == best("AUTO")(crowd, 32)


def test_of_equally_sharp_faces_the_smallest_is_dropped_first() -> None:
    small, middle, large = face(60, 90.3), face(61), face(200)
    assert best("AUTO", 2)([small, large, middle], 32) == [("EXCEEDS_MAX_FACES",), (), ()]


@pytest.mark.parametrize("max_faces", [None, 100, 4096])
def test_no_more_than_a_hundred_are_selected(max_faces: int | None) -> None:
    crowd = [face(50 + n) for n in range(103)]
    assert best("NONE", max_faces)(crowd, 32) == [*[("EXCEEDS_MAX_FACES",)] * 3, *[()] * 100]


def test_the_largest_is_selected_if_it_is_good_enough() -> None:
    large, small, blurred = face(200), face(100), face(60, 10)
    assert largest("AUTO")([large, small, blurred], 32) == [
        (),
        ("FACE_NOT_LARGEST",),
        ("FACE_NOT_LARGEST", "LOW_SHARPNESS"),
    ]
    assert largest("AUTO")([blurred, small], 32)[0] == ("LOW_SHARPNESS",)
    assert largest("AUTO")([], 32) == []


def test_all_that_pass_are_selected_or_simply_everyone() -> None:
    crowd = [face(200), face(20), face(60, 10)]
    why = [reasons(one, "AUTO", 32) for one in crowd]
    assert passing("AUTO")(crowd, 32) == why
    assert [not each for each in why] == [True, False, False]
    assert everyone(crowd, 32) == [(), (), ()]


def test_all_reasons_are_amazons() -> None:
    worst = face(width=20, sharpness=0, brightness=0, yaw=90, score=0.1)
    names = {*reasons(worst, "HIGH", 32), "EXCEEDS_MAX_FACES"}
    assert names == set(get_args(Reason))
