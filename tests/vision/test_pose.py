"""Which way heads are turned."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import numpy as np
import pytest
import skimage.data
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation  # type: ignore[import-untyped]
from tests.support.rendered_head import RenderedHead, rotation_of
from tests.support.single import FaceFinder, Mesher

from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.types import Point, Pose
from onlooker.vision.pose import LAG_GROWTH, angles, pose, rotation

EXAMPLES = "rekognition/2016-06-27/examples-1.json"


def recorded(samples: Path) -> Iterator[dict[str, Any]]:
    """Every FaceDetail in the recorded answers of Rekognition."""

    def walk(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            if "Pose" in node:
                yield node
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                yield from walk(child)

    for path in sorted((samples / "aws_recorded_json").glob("*.json")):
        yield from walk(json.loads(path.read_text())["original_response"])


def five(landmarks: list[dict[str, Any]], width: float, height: float) -> tuple[Point, ...]:
    places = {mark["Type"]: (mark["X"] * width, mark["Y"] * height) for mark in landmarks}
    order = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
    return tuple(places[name] for name in order)


def test_pose_has_the_signs_and_the_size_of_amazons_examples() -> None:
    """Those in botocore. Its names of the landmarks are wrong: they come in the order of `five`."""
    found = json.loads(
        Path(botocore.__file__).with_name("data").joinpath(EXAMPLES).read_text(encoding="utf-8")
    )["examples"]
    details = found["DetectFaces"][0]["output"]["FaceDetails"]
    details += [record["FaceDetail"] for record in found["IndexFaces"][0]["output"]["FaceRecords"]]
    assert len(details) == 3
    for detail in details:
        # The image's proportions are not told; boxes were squares at the time.
        box, truth = detail["BoundingBox"], detail["Pose"]
        height = box["Width"] / box["Height"]
        a, b, c, d, e = ((mark["X"], mark["Y"] * height) for mark in detail["Landmarks"])
        ours = pose((a, b, c, d, e))
        assert ours.roll == pytest.approx(truth["Roll"], abs=3)
        assert ours.yaw == pytest.approx(truth["Yaw"], abs=8)
        assert ours.pitch == pytest.approx(truth["Pitch"], abs=11)


def test_pose_has_the_signs_and_the_size_that_rekognition_recorded(samples: Path) -> None:
    # The images' proportions were not recorded; these make the eyes' slope the recorded roll,
    # or where that is nothing, the face as long as faces are.
    proportions = [1.02, 0.9, 2 / 3]
    details = list(recorded(samples))
    assert len(details) == 3
    for detail, height in zip(details, proportions, strict=True):
        a, b, c, d, e = five(detail["Landmarks"], 1, height)
        found, truth = pose((a, b, c, d, e)), detail["Pose"]
        assert found.roll == pytest.approx(truth["Roll"], abs=3)
        assert found.yaw == pytest.approx(truth["Yaw"], abs=8)
        assert found.pitch == pytest.approx(truth["Pitch"], abs=10)


def test_pose_turns_with_the_points() -> None:
    frontal = np.array([[-30, 0], [30, 0], [0, 35.2], [-25, 64], [25, 64]])

    def moved(points: NDArray[np.float64]) -> tuple[float, float, float]:
        a, b, c, d, e = ((float(x), float(y)) for x, y in points)
        turned = pose((a, b, c, d, e))
        return turned.roll, turned.yaw, turned.pitch

    assert moved(frontal) == pytest.approx((0, 0, 0), abs=1e-9)
    angle = np.radians(25)  # clockwise, since y points down
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    assert moved(frontal @ turn * 3 + 100) == pytest.approx((25, 0, 0), abs=1e-6)
    nose = np.array([[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]])
    assert moved(frontal + 20 * nose)[1] > 15
    assert moved(frontal - 20 * nose)[1] < -15
    assert moved(frontal + 10 * nose[:, ::-1])[2] < -15  # lower: looks down
    assert moved(np.ones((5, 2))) == (0, 0, 0)


@given(
    roll=st.floats(-179, 179),
    yaw=st.floats(-20, 20),
    pitch=st.floats(-20, 20),
    scale=st.floats(0.1, 50),
    seed=st.integers(0, 99),
)
def test_a_rotation_is_found_whatever_the_place_and_size(
    roll: float, yaw: float, pitch: float, scale: float, seed: int
) -> None:
    reference = np.random.default_rng(seed).normal(0, 1, (20, 3))
    reference -= reference.mean(0)
    turn = rotation_of(Pose(roll=roll, yaw=yaw, pitch=pitch))
    found = rotation(scale * reference @ turn.T + (5, -7, 9), reference)
    np.testing.assert_allclose(found, turn, atol=1e-6)


@given(roll=st.floats(-179, 179))
def test_a_head_that_looks_at_the_viewer_has_only_a_roll(roll: float) -> None:
    told = angles(rotation_of(Pose(roll=roll, yaw=0, pitch=0)))
    assert (told.roll, told.yaw, told.pitch) == pytest.approx((roll, 0, 0), abs=1e-6)


def test_a_reflection_is_not_taken_for_a_rotation() -> None:
    reference = np.random.default_rng(1).normal(0, 1, (20, 3))
    reference -= reference.mean(0)
    assert np.linalg.det(rotation(reference * (-1, 1, 1), reference)) == pytest.approx(1)


@given(roll=st.floats(-179, 179), yaw=st.floats(-60, 60), pitch=st.floats(-60, 60))
def test_a_head_that_looks_aside_looks_further_in_the_same_direction(
    roll: float, yaw: float, pitch: float
) -> None:
    seen = rotation_of(Pose(roll=roll, yaw=yaw, pitch=pitch))
    aside, below, away = seen[:, 2]
    tilt = np.degrees(np.arccos(np.clip(away, -1, 1)))
    assume(tilt > 0.01)
    further = min(90, tilt + LAG_GROWTH * tilt**2) - tilt
    across = np.array([-below, aside, 0]) / np.hypot(aside, below)
    truth = Rotation.from_rotvec(np.radians(further) * across).as_matrix() @ seen
    np.testing.assert_allclose(rotation_of(angles(seen)), truth, atol=1e-6)
    # The direction stays in one plane with the camera's.
    assert np.linalg.det(np.stack([seen[:, 2], truth[:, 2], [0, 0, 1]])) == pytest.approx(
        0, abs=1e-9
    )


def test_a_head_turned_beyond_its_side_has_a_wrapped_pitch_and_roll() -> None:
    behind = angles(rotation_of(Pose(roll=10, yaw=120, pitch=5)))
    assert behind.yaw == pytest.approx(60)
    assert abs(behind.pitch) > 90
    assert abs(behind.roll) > 90


def test_a_rendered_head_has_the_pose_that_it_was_rendered_in() -> None:
    photograph = image.read(Path(skimage.data.__file__).parent / "astronaut.png")
    find, fit = FaceFinder(), Mesher()
    [one] = fit(photograph, find(photograph))
    assert one.mesh is not None
    turn = rotation(one.mesh.points, fit.whole._model.shape.mean)
    head = RenderedHead(photograph.bgr, one.mesh.points, turn)
    for roll, yaw, pitch in (
        (0, 0, 0), (0, 25, 0), (0, -25, 0), (0, 0, 25), (0, 0, -25), (30, 20, 15), (-45, -20, -15),
        (0, 35, 0), (0, 50, 0),
    ):  # fmt: skip
        picture = Still(head(Pose(roll=roll, yaw=yaw, pitch=pitch))[0])
        [told] = fit(picture, find(picture)[:1])
        found = told.face.pose
        assert (found.roll, found.yaw, found.pitch) == pytest.approx((roll, yaw, pitch), abs=8)
