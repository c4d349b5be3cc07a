"""Which way heads are turned."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.types import Point
from onlooker.vision.pose import pose


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
