"""Which faces are recognised."""

import cmath
import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.frame_records import FACE

from onlooker.media.picture import Still
from onlooker.track.followed_faces import REST_SECONDS, FollowedFaces, similarity
from onlooker.track.gallery import APART_SECONDS, MAX_EXEMPLARS
from onlooker.types import Face, Point, Quality

FPS = 25


def face(x: float = 0.0, y: float = 0.0, scale: float = 1.0, sharpness: float = 90.0) -> Face:
    def moved(point: Point) -> Point:
        return x + scale * point[0], y + scale * point[1]

    x1, y1, x2, y2 = FACE.box
    a, b, c, d, e = map(moved, FACE.points)
    return replace(
        FACE,
        box=(*moved((x1, y1)), *moved((x2, y2))),
        points=(a, b, c, d, e),
        quality=Quality(brightness=50.0, sharpness=sharpness),
    )


class Film:
    """Faces that are followed, and in which frames they were recognised."""

    def __init__(self, fps: float = FPS) -> None:
        self.followed, self.fps, self.index = FollowedFaces(), fps, -1

    def show(self, *faces: Face, cut: bool = False) -> list[int]:
        """Return the places of the faces that must be recognised."""
        self.index += 1
        taken = self.followed.take(self.index, self.index / self.fps, faces, cut)
        return [place for place, each in enumerate(taken) if each.like is None]

    def skip(self, frames: int) -> None:
        self.index += frames


def test_a_face_that_stays_is_recognised_at_intervals() -> None:
    film = Film()
    recognised = [index for index in range(200) if film.show(face(x=index % 2))]
    gaps = [b - a for a, b in pairwise(recognised)]
    assert gaps[: MAX_EXEMPLARS - 1] == [math.ceil(APART_SECONDS * FPS)] * (MAX_EXEMPLARS - 1)
    assert set(gaps[MAX_EXEMPLARS - 1 :]) == {math.ceil(REST_SECONDS * FPS)}


def test_what_is_carried_over_is_from_the_frame_that_was_recognised() -> None:
    film = Film()
    film.show(face())
    [later] = film.followed.take(1, 0.04, [face(x=6, y=-2)], False)
    assert later.like is not None
    assert (later.like.frame, later.like.number) == (0, 0)
    assert later.like.move == pytest.approx((1, 0, 6, -2))


def test_a_new_face_is_recognised_and_the_others_are_not() -> None:
    film = Film()
    film.show(face())
    assert film.show(face(), face(x=300)) == [1]
    assert film.show(face(x=300), face()) == []


def test_a_face_after_a_frame_without_it_is_recognised() -> None:
    film = Film()
    film.show(face())
    film.show()
    assert film.show(face()) == [0]


def test_a_face_after_many_dropped_frames_is_recognised() -> None:
    film = Film()
    film.show(face())
    film.skip(5)
    assert film.show(face()) == []
    film.skip(12)
    assert film.show(face()) == [0]


def test_a_face_after_a_cut_is_recognised() -> None:
    film = Film()
    film.show(face())
    assert film.show(face(), cut=True) == [0]


def test_a_face_that_jumps_is_recognised() -> None:
    film = Film()
    film.show(face())
    assert film.show(face(x=45)) == [0]


def test_faces_that_meet_are_recognised() -> None:
    film = Film()
    film.show(face(), face(x=150))
    assert film.show(face(), face(x=140)) == []
    for x in (130, 110, 90, 70):
        film.show(face(), face(x=x))
    assert film.show(face(), face(x=50)) == [0, 1]


def test_a_clearly_better_face_is_recognised() -> None:
    film = Film()
    film.show(face(sharpness=60))
    assert film.show(face(sharpness=61)) == []
    assert film.show(face(sharpness=90)) == [0]
    assert film.show(face(sharpness=90)) == []


def test_a_face_that_turns_is_recognised() -> None:
    film = Film()
    film.show(face())
    turned = face()
    nose = turned.points[2]
    points = (*turned.points[:2], (nose[0] + 6, nose[1]), *turned.points[3:])
    assert film.show(replace(turned, points=points)) == [0]


BLOCKS = np.random.default_rng(5).integers(0, 255, (18, 32, 3), dtype=np.uint8)
SCENE = np.asarray(cv2.resize(BLOCKS, (640, 360), interpolation=cv2.INTER_CUBIC), np.uint8)


def moved_scene(x: float, y: float) -> Still:
    """Return an image in which everything has moved."""
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    image = cv2.warpAffine(SCENE, move, (640, 360), borderMode=cv2.BORDER_REFLECT)
    return Still(np.asarray(image, np.uint8))


def test_in_a_frame_that_is_not_searched_a_face_is_where_its_pixels_are() -> None:
    followed = FollowedFaces()
    followed.take(0, 0.0, [face()], False, moved_scene(0, 0))
    for index in range(1, 5):
        way = 6.0 * index, -3.0 * index
        [there] = followed.carry(index / FPS, moved_scene(*way), False)
        expected = [a + b for a, b in zip(FACE.box, way * 2, strict=True)]
        assert there.box == pytest.approx(expected, abs=1.5)
        assert there.like is not None
        assert (there.like.frame, there.like.number) == (0, 0)
        assert there.like.move == pytest.approx((1, 0, *way), abs=1.5)
    [again] = followed.take(5, 0.2, [face(30, -15)], False)
    assert again.like is not None  # it has been followed all the time


def test_a_face_whose_pixels_have_gone_is_not_carried() -> None:
    followed = FollowedFaces()
    followed.take(0, 0.0, [face()], False, moved_scene(0, 0))
    assert followed.carry(0.04, Still(np.ascontiguousarray(SCENE[::-1, ::-1])), False) == ()
    assert followed.carry(0.08, moved_scene(0, 0), True) == ()


def test_pixels_are_kept_only_if_they_are_needed() -> None:
    followed = FollowedFaces()
    followed.take(0, 0.0, [face()], False)
    assert followed.carry(0.04, moved_scene(0, 0), False) == ()


coordinates = st.floats(-500, 500)
shapes = st.lists(st.tuples(coordinates, coordinates), min_size=5, max_size=5)


@given(shapes, st.floats(0.2, 5), st.floats(-3, 3), coordinates, coordinates)
def test_similar_points_are_moved_onto_each_other(
    points: list[Point], scale: float, angle: float, x: float, y: float
) -> None:
    turn = cmath.rect(scale, angle)
    moved = [complex(*point) * turn + complex(x, y) for point in points]
    move, bend = similarity(points, [(each.real, each.imag) for each in moved])
    a, b, c, d = move
    for (px, py), to in zip(points, moved, strict=True):
        assert a * px - b * py + c == pytest.approx(to.real, abs=1e-6 * (1 + abs(to)) + 1e-6)
        assert b * px + a * py + d == pytest.approx(to.imag, abs=1e-6 * (1 + abs(to)) + 1e-6)
    assert bend >= 0


@pytest.mark.parametrize("nothing_new", [True, False])
def test_a_face_that_is_hardly_to_be_seen_stays_if_nothing_is_new(nothing_new: bool) -> None:
    followed, even = FollowedFaces(), Still(np.full((360, 640, 3), 90, np.uint8))
    for index in range(3):
        followed.take(index, index / FPS, [face(2.0 * index)], False, even)
    found = followed.carry(3 / FPS, even, False, nothing_new)
    assert len(found) == nothing_new
    for there in found:
        assert there.box[0] == pytest.approx(FACE.box[0] + 6.0, abs=1.5)
