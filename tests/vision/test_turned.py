"""Faces on their side and upside down."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from tests.support.single import FaceFinder
from tests.support.turned_images import turned

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.vision.face_detectors import Rows
from onlooker.vision.turned import (
    PART_CONTEXT,
    PART_SIDE,
    QUARTERS,
    TURNS,
    View,
    find_turned,
    rotate,
    rotate_back,
    rotate_part,
)

IMAGE = np.zeros((60, 100, 3), np.uint8)


def views(image: Pixels, *eighths: int) -> list[View]:
    return [rotate(image, each) for each in eighths]


@pytest.mark.parametrize("eighths", TURNS)
def test_rows_come_back_to_where_they_are_in_the_image(eighths: int) -> None:
    spots = [(20, 30), (40, 50), (25, 35), (35, 35), (30, 40), (26, 45), (34, 45)]

    def detect(images: list[Pixels], threshold: float) -> list[Rows]:
        assert threshold == 0.9
        # Each spot is lit in the image, and found again in the rotated one.
        lit = []
        for x, y in spots:
            dark = IMAGE.copy()
            dark[y, x] = 255
            [shown] = views(dark, eighths)
            assert shown.pixels.shape == images[0].shape
            rows, columns = np.nonzero(shown.pixels[..., 0])
            weights = shown.pixels[rows, columns, 0]
            lit.append(np.average([columns, rows], axis=1, weights=weights) + 0.5)
        corners, points = np.array(lit[:2]), np.ravel(lit[2:])
        return [np.array([[*corners.min(0), *corners.max(0), 0.95, *points]], np.float32)]

    [row], turns = find_turned(detect, views(IMAGE, eighths), 0.9)
    assert turns.tolist() == [eighths]
    assert row[4] == pytest.approx(0.95)
    exact = eighths % 2 == 0
    if exact:
        assert row[:4].tolist() == [20.5, 30.5, 40.5, 50.5]
    expected = [[x + 0.5, y + 0.5] for x, y in spots[2:]]
    np.testing.assert_allclose(row[5:].reshape(5, 2), expected, atol=0 if exact else 0.3)


def test_a_round_face_has_the_same_box_at_every_angle() -> None:
    for eighths in TURNS:
        [view] = views(IMAGE, eighths)
        x, y = view.matrix @ (30, 20, 1)
        row = np.array([[x - 9, y - 9, x + 9, y + 9, 0.95, *[x, y] * 5]], np.float32)
        [back] = rotate_back(row, view.matrix)
        np.testing.assert_allclose(back[:4], [21, 11, 39, 29], atol=1e-3)


@pytest.mark.parametrize("eighths", TURNS)
def test_a_part_is_shown_turned_with_its_surroundings(eighths: int) -> None:
    lit = IMAGE.copy()
    lit[28:33, 58:63] = 255  # right of the middle of the box
    view = rotate_part(Still(lit), (40, 20, 60, 40), eighths)
    assert view.pixels.shape == (PART_SIDE, PART_SIDE, 3)
    rows, columns = np.nonzero(view.pixels[..., 0] > 128)
    right, down = columns.mean() + 0.5 - PART_SIDE / 2, rows.mean() + 0.5 - PART_SIDE / 2
    away = 10.5 * PART_SIDE / (PART_CONTEXT * 20)
    angle = np.deg2rad(45 * eighths)
    np.testing.assert_allclose(
        [right, down], away * np.array([np.cos(angle), np.sin(angle)]), atol=2
    )


def test_the_better_of_two_views_of_a_face_stays() -> None:
    scores = iter((0.95, 0.99, 0.96))

    def detect(images: list[Pixels], threshold: float) -> list[Rows]:
        rows = []
        for each in images:
            y, x = each.shape[0] / 2, each.shape[1] / 2
            box = [x - 9, y - 9, x + 9, y + 9]
            rows.append(np.array([[*box, next(scores), *[x, y] * 5]], np.float32))
        return rows

    [row], turns = find_turned(detect, views(IMAGE, *QUARTERS), 0.9)
    assert row[4] == pytest.approx(0.99)
    assert turns.tolist() == [QUARTERS[1]]


@pytest.mark.parametrize("scores", [(0.99, 0.95), (0.95, 0.99)])
def test_a_part_of_a_face_in_another_rotation_is_no_second_face(
    scores: tuple[float, float],
) -> None:
    """Boxes as of a portrait on its side: neither is half in the larger one, nor alike enough."""
    boxes = ((60.0, 34.0, 108.0, 91.0), (40.0, 44.0, 84.0, 87.0))

    def detect(images: list[Pixels], threshold: float) -> list[Rows]:
        rows = [np.empty((0, 15), np.float32) for _ in images]
        for place, (x1, y1, x2, y2), score in zip((0, 1), boxes, scores, strict=True):
            if place == 0:  # upside down
                width, height = 150, 120
                box = [width - x2, height - y2, width - x1, height - y1]
            else:  # clockwise: x and y become height - y and x
                box = [120 - y2, x1, 120 - y1, x2]
            rows[place] = np.array([[*box, score, *[5.0] * 10]], np.float32)
        return rows

    image = np.zeros((120, 150, 3), np.uint8)
    [row], _ = find_turned(detect, views(image, *QUARTERS), 0.9)
    assert row[4] == pytest.approx(0.99)
    assert row[:4].tolist() == pytest.approx(boxes[scores.index(0.99)])


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder(schema.Faces(detection="thorough"), "cpu")


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    return image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr


@pytest.mark.parametrize("angle", [75, 90, 135, 180, 225, 270])
def test_thorough_detection_finds_a_face_at_any_roll(
    angle: int, astronaut: Pixels, find: FaceFinder
) -> None:
    [upright] = find(Still(astronaut))
    rotated, matrix = turned(astronaut, angle)
    [face] = find(Still(rotated))
    middle = np.array([*np.reshape(upright.box, (2, 2)).mean(0), 1])
    off = np.reshape(face.box, (2, 2)).mean(0) - matrix @ middle
    assert np.abs(off).max() < 0.25 * (upright.box[2] - upright.box[0])


@pytest.mark.parametrize("angle", [135, 225])
@pytest.mark.parametrize("number", range(3))
def test_faces_half_upside_down_are_found(number: int, angle: int, find: FaceFinder) -> None:
    grey = (255 * skimage.data.lfw_subset()[number]).round().astype(np.uint8)  # type: ignore[no-untyped-call]
    side = cv2.resize(grey, (100, 100), interpolation=cv2.INTER_CUBIC)
    face = cv2.copyMakeBorder(side, 30, 30, 30, 30, cv2.BORDER_REPLICATE)
    rotated, _ = turned(np.asarray(cv2.cvtColor(face, cv2.COLOR_GRAY2BGR), np.uint8), angle)
    assert len(find(Still(rotated))) == 1


@pytest.mark.parametrize("angle", [0, 90, 135, 225])
def test_in_a_rotated_image_small_faces_are_found_beside_a_large_one(
    angle: int, astronaut: Pixels, find: FaceFinder
) -> None:
    """The large one is found without a rotation: that it is turned shows that the others may be."""
    group = np.full((512, 1024, 3), 90, np.uint8)
    group[:, :512] = astronaut
    small = cv2.resize(astronaut[20:230, 120:330], (60, 60), interpolation=cv2.INTER_AREA)
    for x in (560, 760):
        for y in (40, 150, 260, 370):
            group[y : y + 60, x : x + 60] = small
    rotated, _ = turned(group, angle)
    assert len(find(Still(rotated))) == 9
