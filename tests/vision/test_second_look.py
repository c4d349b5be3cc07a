"""Candidates of two detectors, and the second look that confirms or rejects them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from tests.support.drawn_scenes import SCENES, portrait
from tests.support.single import FaceFinder, Mesher

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.vision import second_look
from onlooker.vision.face_detectors import Centerface, Rows, Yunet
from onlooker.vision.second_look import SecondLook, doubtful, gather, shown

SHIPPED = Path(skimage.data.__file__).parent
MOUTH_AND_NOSE = [234, 132, 172, 150, 152, 379, 397, 361, 454, 357, 195, 128]
"""Points of the mesh round what a face mask covers."""


def row(x1: float, y1: float, x2: float, y2: float, score: float) -> Rows:
    return np.array([[x1, y1, x2, y2, score, *range(10)]], np.float32)


@pytest.fixture(scope="module")
def look() -> SecondLook:
    return SecondLook(Yunet("cpu"), Centerface("cpu"))


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder(schema.Faces(detection="thorough"), "cpu")


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    return image.read(SHIPPED / "astronaut.png").bgr


def test_both_detectors_name_one_candidate() -> None:
    near = [row(10, 10, 50, 50, 0.6), row(12, 12, 52, 52, 0.3), row(200, 10, 240, 50, 0.2)]
    far = [row(11, 9, 51, 49, 0.65), row(100, 100, 140, 140, 0.9)]
    found = gather([near[0], np.concatenate(near[1:])], [np.concatenate(far)])
    # YuNet's box is trusted more than CenterFace's of nearly the same score.
    np.testing.assert_array_equal(found.rows[:, 0], [100, 10, 200])
    np.testing.assert_allclose(found.near, [0, 0.6, 0.2])
    np.testing.assert_allclose(found.far, [0.9, 0.65, 0])
    np.testing.assert_array_equal(found.sure, [False, False, False])
    none = np.empty((0, 15), np.float32)
    assert len(gather([none], [none]).rows) == 0
    assert len(gather([near[0]], [none]).rows) == 1


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ((30, 30, 70, 80), True),
        ((-20, 40, 20, 90), True),  # the edge cuts it in half
        ((-20, -22, 20, 28), False),  # a corner with its mirror images
        ((85, 80, 125, 130), False),
    ],
)
def test_what_is_mostly_beyond_the_edge_is_no_face(
    box: tuple[float, float, float, float],
    kept: bool,
    look: SecondLook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sees(inputs: list[Pixels], threshold: float) -> list[Rows]:
        # A face as large as the candidate, in the middle of the square.
        middle, high = second_look.SIDE / 2, second_look.SIDE / second_look.CONTEXT / 2
        wide = 0.8 * high
        return [row(middle - wide, middle - high, middle + wide, middle + high, 0.99)] * len(inputs)

    for detector in ("_near", "_far"):
        monkeypatch.setattr(look, detector, sees)
    found = look(
        Still(np.zeros((100, 100, 3), np.uint8)),
        second_look.Candidates(
            row(*box, 0.9), np.array([0.9], np.float32), np.array([0.4], np.float32)
        ),
        0.9,
    )
    assert len(found) == kept


def test_the_odds_rise_with_each_score_and_with_the_width() -> None:
    def odds(width: float, near: float, far: float) -> float:
        box = row(0, 0, width, width, 1)
        return float(second_look.Candidates(box, np.array([near]), np.array([far])).odds[0])

    middle = odds(30, 0.3, 0.3)
    assert odds(30, 0.6, 0.3) > middle
    assert odds(30, 0.3, 0.6) > middle
    assert odds(60, 0.3, 0.3) > middle
    assert odds(5000, 0.3, 0.3) == odds(second_look.MAX_JUDGED_WIDTH, 0.3, 0.3)
    assert np.isfinite([odds(0, 0, 0), odds(9, 1, 1)]).all()


def test_unclear_faces_and_likely_candidates_may_be_turned() -> None:
    clear, unclear = row(0, 0, 50, 50, 0.995), row(200, 0, 270, 70, 0.97)
    small, cut = row(300, 0, 320, 20, 0.95), row(560, 0, 640, 80, 0.97)
    likely, unlikely = row(400, 0, 440, 40, 0.6), row(470, 0, 555, 85, 0.3)
    near = np.concatenate([clear, small, cut])
    far = np.concatenate([unclear, likely, unlikely])
    faces = np.concatenate([clear, unclear, small, cut])
    wide = Still(np.zeros((100, 600, 3), np.uint8))
    places = doubtful(wide, faces, gather([near], [far]))
    assert places[:, 0].tolist() == [200, 400]  # largest first
    none = np.empty((0, 15), np.float32)
    assert len(doubtful(wide, none, gather([none], [none]))) == 0


def test_a_row_is_shown_by_one_in_its_place() -> None:
    rows = np.concatenate([row(0, 0, 50, 50, 1), row(100, 0, 150, 50, 1)])
    assert shown(rows, row(102, 3, 152, 53, 0.5)).tolist() == [False, True]
    assert shown(rows, rows[:0]).tolist() == [False, False]
    assert shown(rows[:0], rows).tolist() == []


def test_a_face_is_confirmed_and_placed_and_other_things_are_not(
    look: SecondLook, astronaut: Pixels
) -> None:
    vague = row(165, 75, 265, 190, 0.3)
    hand = row(300, 300, 380, 400, 0.9)
    outside = row(-40, -40, 20, 30, 0.5)
    none = np.empty((0, 15), np.float32)
    found = look(Still(astronaut), gather([np.concatenate([vague, hand, outside])], [none]), 0.94)
    assert len(found) == 1
    np.testing.assert_allclose(found[0, :4], (178, 63, 268, 176), atol=8)  # by eye
    assert 0.94 <= found[0, 4] <= 1


def test_what_both_are_sure_of_is_not_looked_at_again(astronaut: Pixels) -> None:
    class Refuses:
        def __call__(self, images: list[Pixels], threshold: float) -> list[Rows]:
            raise AssertionError("no second look is needed")

    refuses = Refuses()
    sure = gather([row(178, 63, 268, 176, 0.99)], [row(178, 63, 268, 176, 0.9)])
    found = SecondLook(refuses, refuses)(Still(astronaut), sure, 0.94)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, sure.rows)


def test_no_more_than_the_likeliest_two_hundred_are_looked_at() -> None:
    class Counts:
        seen = 0

        def __call__(self, images: list[Pixels], threshold: float) -> list[Rows]:
            assert len(images) <= second_look.MAX_BATCH
            self.seen += len(images)
            return [np.empty((0, 15), np.float32)] * len(images)

    near, far = Counts(), Counts()
    rows = np.concatenate([row(30 * n, 10, 30 * n + 20, 30, 0.1) for n in range(300)])
    wide = Still(np.zeros((64, 9000, 3), np.uint8))
    candidates = gather([rows], [rows[:0]])
    assert len(SecondLook(near, far)(wide, candidates, 0.94)) == 0  # type: ignore[arg-type]
    assert near.seen == second_look.MAX_LOOKS
    assert far.seen == 0  # whatever CenterFace said, these would be no faces


@pytest.mark.parametrize("colour", [(235, 235, 235), (230, 205, 165), (30, 30, 30), (60, 60, 170)])
@pytest.mark.parametrize("scale", [0.25, 0.5, 1, 2])
def test_masked_faces_are_found(
    colour: tuple[int, int, int], scale: float, find: FaceFinder, astronaut: Pixels
) -> None:
    [bare] = find(Still(astronaut))
    masked = astronaut.copy()
    [fitted] = Mesher("cpu")(Still(astronaut), [bare])
    assert fitted.mesh is not None
    outline: NDArray[np.int32] = fitted.mesh.points[MOUTH_AND_NOSE, :2].astype(np.int32)
    cv2.fillPoly(masked, [outline], colour, cv2.LINE_AA)
    size = round(512 * scale), round(512 * scale)
    seen = np.asarray(cv2.resize(masked, size, interpolation=cv2.INTER_AREA), np.uint8)
    [face] = find(Still(seen))
    middle = (np.array(face.box[:2]) + face.box[2:]) / 2
    np.testing.assert_allclose(middle / scale, (223, 120), atol=20)


@pytest.mark.parametrize(
    "name",
    ["motorcycle_left.png", "motorcycle_right.png", "hubble_deep_field.jpg", "coffee.png",
     "chelsea.png", "rocket.jpg"],
)  # fmt: skip
def test_no_face_is_found_in_headlights_galaxies_and_cats(name: str, find: FaceFinder) -> None:
    assert find(image.read(SHIPPED / name)) == ()


@pytest.mark.parametrize("name", ["Joy Okafor", "Tomas Lind", "Finn Moran"])
def test_drawn_faces_are_found(name: str) -> None:
    """CenterFace knows some of them, and others not at all."""
    people = [person for make in SCENES.values() for person in make().people]
    [person] = [each for each in people if each.name == name]
    finder = FaceFinder(schema.Faces(detection="thorough"))
    found = finder(Still(np.ascontiguousarray(portrait(person))))
    assert [face.score > 0.9 for face in found] == [True]
