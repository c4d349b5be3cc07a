"""Boxes where the faces are, words where the text is, labels inside the image."""

import msgspec
import numpy as np
import pytest
from tests.support.records import EILEEN, HEIGHT, WIDTH, face, line, record

from onlooker.escape import PEOPLE
from onlooker.media.picture import Pixels
from onlooker.rekognition.face_detail import face_detail
from onlooker.render.draw import (
    INK,
    LANDMARK_COLOURS,
    NAMED,
    TEXT,
    UNNAMED,
    draw_face_detail,
    draw_record,
)
from onlooker.types import Face, Pose, TextLine


def drawn(*, faces: tuple[Face, ...] = (), lines: tuple[TextLine, ...] = ()) -> Pixels:
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    draw_record(picture, record(faces=faces, lines=lines))
    return picture


def where(picture: Pixels, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return the upright box x1, y1, x2, y2 of all pixels of about that colour."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - colour).max(axis=2) < 16)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_a_named_face_has_its_box_and_its_name_above() -> None:
    x1, y1, x2, y2 = where(drawn(faces=(face(EILEEN),)), NAMED)
    assert abs(x1 - 100) <= 2
    assert y1 < 120  # the name is above the box
    assert x2 >= 199
    assert abs(y2 - 250) <= 2
    label = where(drawn(faces=(face(EILEEN),)), INK)
    assert label[3] < 120
    assert label[2] - label[0] > 60


def test_a_name_is_drawn_as_it_is_unless_the_font_has_no_letters_for_it() -> None:
    def label(external_image_id: str) -> Pixels:
        replace = msgspec.structs.replace
        known = replace(EILEEN.face, external_image_id=external_image_id)
        return drawn(faces=(face(replace(EILEEN, face=known)),))

    assert np.array_equal(label("Eileen::Collins"), label("Eileen Collins"))
    # Two people never have one label.
    labels = [label(PEOPLE.encode(name)) for name in ("李雷", "王芳", "M\u00fcller", "Möller")]
    assert len({each.tobytes() for each in labels}) == 4


def test_an_unknown_face_has_a_box_only() -> None:
    assert (
        np.abs(np.subtract(where(drawn(faces=(face(),)), UNNAMED), (100, 120, 200, 250))).max() < 3
    )


def test_a_line_has_its_outline_and_its_words() -> None:
    x1, y1, x2, y2 = where(drawn(lines=(line("YAMAHA"),)), TEXT)
    assert abs(x1 - 300) <= 2
    assert 170 < y1 < 198
    assert abs(x2 - 500) <= 2
    assert abs(y2 - 240) <= 2


def test_characters_without_a_glyph_become_question_marks() -> None:
    assert np.array_equal(drawn(lines=(line("Grüße 東"),)), drawn(lines=(line("Gr??e ?"),)))


@pytest.mark.parametrize("box", [(-40, -40, 60, 50), (560, 300, 800, 500), (0, 0, 640, 360)])
def test_labels_stay_in_the_image(box: tuple[float, float, float, float]) -> None:
    named = msgspec.structs.replace(face(EILEEN), box=box)
    label = where(drawn(faces=(named,)), INK)
    assert label[0] > 0
    assert label[1] > 0
    assert label[2] < WIDTH - 1
    assert label[2] - label[0] > 60


def test_a_detail_has_its_box_landmarks_and_direction() -> None:
    turned = msgspec.structs.replace(face(), pose=Pose(roll=0, yaw=90, pitch=0))
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    draw_face_detail(image, face_detail(turned, (WIDTH, HEIGHT)))
    box = where(image, UNNAMED)
    assert np.abs(np.subtract(box, (100, 120, 200, 250))).max() < 3
    arrow = where(image, NAMED)  # from the nose at (150, 190), half a box to the right
    assert np.abs(np.subtract(arrow[:3:2], (150, 200))).max() < 6
    mouth = where(image, LANDMARK_COLOURS["mouth"])
    assert np.abs(np.subtract(mouth, (135, 220, 165, 220))).max() < 4
