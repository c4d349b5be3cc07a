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
from onlooker.vision.turned import ROTATIONS, find_turned

IMAGE = np.zeros((60, 100, 3), np.uint8)


@pytest.mark.parametrize("place", range(len(ROTATIONS)))
def test_rows_come_back_to_where_they_are_in_the_image(place: int) -> None:
    spots = [(20, 30), (40, 50), (25, 35), (35, 35), (30, 40), (26, 45), (34, 45)]

    def detect(images: list[Pixels], threshold: float) -> list[Rows]:
        assert threshold == 0.9
        found: list[Rows] = [np.empty((0, 15), np.float32) for _ in images]
        # Each spot is lit in the image, and found again in the rotated one.
        lit = []
        for x, y in spots:
            dark = IMAGE.copy()
            dark[y, x] = 255
            rotated = cv2.rotate(dark, ROTATIONS[place].code)
            row, column = np.argwhere(np.asarray(rotated)[..., 0]).tolist()[0]
            lit.append((column + 0.5, row + 0.5))
        assert np.asarray(rotated).shape == images[place].shape
        (a, b), (c, d), *points = lit
        box = (min(a, c), min(b, d), max(a, c), max(b, d))
        flat = [each for point in points for each in point]
        found[place] = np.array([[*box, 0.95, *flat]], np.float32)
        return found

    [row] = find_turned(detect, IMAGE, 0.9)
    assert row[:4].tolist() == [20.5, 30.5, 40.5, 50.5]
    assert row[4] == pytest.approx(0.95)
    assert row[5:].reshape(5, 2).tolist() == [[x + 0.5, y + 0.5] for x, y in spots[2:]]


def test_the_better_of_two_views_of_a_face_stays() -> None:
    scores = iter((0.95, 0.99, 0.96))

    def detect(images: list[Pixels], threshold: float) -> list[Rows]:
        rows = []
        for each in images:
            y, x = each.shape[0] / 2, each.shape[1] / 2
            box = [x - 9, y - 9, x + 9, y + 9]
            rows.append(np.array([[*box, next(scores), *[x, y] * 5]], np.float32))
        return rows

    [row] = find_turned(detect, IMAGE, 0.9)
    assert row[4] == pytest.approx(0.99)


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

    [row] = find_turned(detect, np.zeros((120, 150, 3), np.uint8), 0.9)
    assert row[4] == pytest.approx(0.99)
    assert row[:4].tolist() == pytest.approx(boxes[scores.index(0.99)])


@pytest.mark.parametrize("angle", [75, 90, 180, 270])
def test_thorough_detection_finds_a_face_at_any_roll(angle: int) -> None:
    find = FaceFinder(schema.Faces(detection="thorough"), "cpu")
    astronaut = image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr
    [upright] = find(Still(astronaut))
    rotated, matrix = turned(astronaut, angle)
    [face] = find(Still(rotated))
    middle = np.array([*np.reshape(upright.box, (2, 2)).mean(0), 1])
    off = np.reshape(face.box, (2, 2)).mean(0) - matrix @ middle
    assert np.abs(off).max() < 0.25 * (upright.box[2] - upright.box[0])
