"""The way up of faces in photographs, and what the detector's rows say about it."""

import math
from dataclasses import replace
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
from onlooker.vision.way_up import (
    LENGTHS,
    MAX_APART,
    NOTHING,
    OTHER_TURNS,
    SIDE,
    Ways,
    WayUp,
    _in_the_middle,
)

TURNS = (0, 180, 90, 270)
"""Degrees of a crop: as it is, then turned by OTHER_TURNS."""


@pytest.fixture(scope="module")
def way_up() -> WayUp:
    return WayUp(Yunet("cpu"))


def never(number: int, ways: Ways) -> bool:
    """The crop as it is is never enough."""
    return False


def asked(way_up: WayUp, picture: Picture, square: Square) -> list[float]:
    """Return the probabilities of the square at TURNS."""
    [ways] = way_up([picture], [square], never)
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
    [ways] = way_up([Still(np.ascontiguousarray(picture))], [square], never)
    expected = np.array(face.points) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(ways.points, expected, atol=7)
    assert ways.length == pytest.approx(square.side, rel=0.1)


def test_without_a_face_no_way_is_up(way_up: WayUp) -> None:
    grey = Still(np.full((200, 200, 3), 128, np.uint8))
    assert max(asked(way_up, grey, Square(x=100, y=100, side=100, angle=0))) < 0.1
    assert way_up([], [], never) == []


def test_crops_are_turned_as_they_would_be_cut_from_the_picture(way_up: WayUp) -> None:
    astronaut: Pixels = image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr
    picture = Still(astronaut)
    square = Square(x=221.3, y=117.8, side=95, angle=0.4)
    [ways] = way_up([picture], [square], never)
    for probability, turn in zip(ways.turned, OTHER_TURNS, strict=True):
        [cut] = way_up([picture], [replace(square, angle=square.angle + turn)], never)
        assert probability == pytest.approx(cut.upright, abs=1e-3)


def test_only_crops_that_are_not_enough_are_turned(way_up: WayUp) -> None:
    astronaut: Pixels = image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr
    picture = Still(astronaut)
    upright = Square(x=221, y=118, side=95, angle=0)
    squares = [upright, replace(upright, angle=math.pi), replace(upright, angle=math.pi / 2)]
    whole = way_up([picture] * 3, squares, never)
    numbers: list[int] = []

    def enough(number: int, ways: Ways) -> bool:
        numbers.append(number)
        assert not any(ways.turned)
        return number == 1

    some = way_up([picture] * 3, squares, enough)
    assert numbers == [0, 1, 2]
    assert not any(some[1].turned)
    for number in (0, 2):
        assert max(some[number].turned) > 0
        assert some[number].turned == whole[number].turned
    assert [each.upright for each in some] == [each.upright for each in whole]


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


@pytest.mark.parametrize("share", [0.25, 0.4])
def test_half_a_face_at_the_edge_is_not_turned(way_up: WayUp, share: float) -> None:
    astronaut: Pixels = image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr
    [face] = FaceFinder(schema.Faces(), "cpu")(Still(astronaut))
    x1, y1, x2, y2 = face.box
    left = round(x1 + share * (x2 - x1))
    cut = Still(np.ascontiguousarray(astronaut[:, left:]))
    square = Square(x=(x1 + x2) / 2 - left, y=(y1 + y2) / 2, side=max(x2 - x1, y2 - y1), angle=0)
    assert max(asked(way_up, cut, square)[1:]) < 0.3
