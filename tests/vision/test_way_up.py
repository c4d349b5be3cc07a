"""The way up of faces in photographs, and what the detector's rows say about it."""

import math
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from tests.support.single import FaceFinder
from tests.support.turned_images import turned

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Picture, Pixels, Still
from onlooker.vision.crops import Square
from onlooker.vision.face_detectors import Yunet
from onlooker.vision.way_up import LENGTHS, MAX_APART, NOTHING, SIDE, WayUp, _in_the_middle

TURNS = (0, 180, 90, 270)
"""Degrees of a crop: as it is, then turned by OTHER_TURNS."""


@pytest.fixture(scope="module")
def way_up() -> WayUp:
    return WayUp(Yunet("cpu"))


def asked(way_up: WayUp, picture: Picture, square: Square) -> list[float]:
    """Return the probabilities of the square at TURNS."""
    [ways] = way_up([picture], [square])
    return [ways.upright, *ways.turned]


@pytest.mark.parametrize("degrees", [0, 20, 90, 160, 180, 250, 270])
def test_a_face_is_surest_the_right_way_up(way_up: WayUp, degrees: int) -> None:
    astronaut: Pixels = image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr
    [face] = FaceFinder(schema.Faces(), "cpu")(Still(astronaut))
    x1, y1, x2, y2 = face.box
    picture, matrix = turned(astronaut, degrees)
    x, y = matrix @ ((x1 + x2) / 2, (y1 + y2) / 2, 1)
    square = Square(x=x, y=y, side=max(x2 - x1, y2 - y1), angle=0)
    found = asked(way_up, Still(np.ascontiguousarray(picture)), square)
    assert TURNS[int(np.argmax(found))] == round(degrees / 90) * 90 % 360
    assert max(found) > 0.98
    assert sorted(found)[-2] < max(found)


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, 250])
def test_the_points_of_the_face_are_those_of_the_picture(way_up: WayUp, degrees: int) -> None:
    astronaut: Pixels = image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr
    [face] = FaceFinder(schema.Faces(), "cpu")(Still(astronaut))
    x1, y1, x2, y2 = face.box
    picture, matrix = turned(astronaut, degrees)
    x, y = matrix @ ((x1 + x2) / 2, (y1 + y2) / 2, 1)
    square = Square(x=x, y=y, side=max(x2 - x1, y2 - y1), angle=math.radians(degrees))
    [ways] = way_up([Still(np.ascontiguousarray(picture))], [square])
    expected = np.array(face.points) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(ways.points, expected, atol=7)
    assert ways.length == pytest.approx(square.side, rel=0.1)


def test_without_a_face_no_way_is_up(way_up: WayUp) -> None:
    grey = Still(np.full((200, 200, 3), 128, np.uint8))
    assert max(asked(way_up, grey, Square(x=100, y=100, side=100, angle=0))) < 0.1
    assert way_up([], []) == []


def test_only_a_face_of_the_right_size_in_the_middle_counts() -> None:
    def row(x: float, length: float, score: float) -> list[float]:
        middle = SIDE / 2
        half = length / 2
        box = [middle + x - half, middle - half, middle + x + half, middle + half]
        return [*box, score, *[0] * 10]

    low, high = LENGTHS
    others = [row(MAX_APART + 1, 58, 0.9), row(0, low - 1, 0.8), row(0, high + 1, 0.7)]
    assert _in_the_middle(np.array(others, np.float32)) is NOTHING
    shown = [*others, row(MAX_APART - 1, 58, 0.5), row(3, high - 1, 0.6)]
    assert _in_the_middle(np.array(shown, np.float32))[4] == pytest.approx(0.6)
    assert _in_the_middle(np.empty((0, 15), np.float32)) is NOTHING
