"""Meshes of real faces at all angles, each the right way up: their landmarks and poses."""

import math
from collections.abc import Sequence
from dataclasses import replace as replaced
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from msgspec.structs import replace
from numpy.typing import NDArray
from tests.support.faces_by_eye import faces_by_eye
from tests.support.single import FaceFinder, Mesher
from tests.support.turned_images import turned

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Picture, Still
from onlooker.types import LANDMARKS, Face, Point
from onlooker.vision.crops import Square
from onlooker.vision.mesh import FIVE, Mesh, MeshedFace
from onlooker.vision.mesher import MAX_SEEN_APART, Fit, Start, _agrees, _is_seen
from onlooker.vision.way_up import Enough, Ways


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder(schema.Faces(), "cpu")


@pytest.fixture(scope="module")
def fit() -> Mesher:
    return Mesher("cpu")


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr


def seen(find: FaceFinder, fit: Mesher, picture: Still) -> MeshedFace:
    [one] = fit(picture, find(picture)[:1])
    return one


def places(one: MeshedFace) -> dict[str, Point]:
    return dict(zip(LANDMARKS, one.face.landmarks, strict=True))


def check_regions(one: MeshedFace) -> None:
    """Each type in its part of an upright face: left to right and top to bottom."""
    found = places(one)
    roll = np.radians(one.face.pose.roll)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    x, y = {}, {}
    for name, point in found.items():
        x[name], y[name] = np.array(point) @ turn
    rows = [
        ("upperJawlineLeft", "leftEyeLeft", "leftPupil", "leftEyeRight"),
        ("leftEyeRight", "rightEyeLeft", "rightPupil", "rightEyeRight", "upperJawlineRight"),
        ("leftEyeBrowLeft", "leftEyeBrowUp", "leftEyeBrowRight"),
        ("leftEyeBrowRight", "rightEyeBrowLeft", "rightEyeBrowUp", "rightEyeBrowRight"),
        ("midJawlineLeft", "mouthLeft", "mouthUp", "mouthRight", "midJawlineRight"),
        ("noseLeft", "noseRight"),
        ("midJawlineLeft", "mouthDown", "midJawlineRight"),
        ("midJawlineLeft", "chinBottom", "midJawlineRight"),
    ]
    for row in rows:
        values = [x[name] for name in row]
        assert values == sorted(values), row
    columns = [
        ("leftEyeBrowUp", "leftEyeUp", "leftEyeDown", "noseLeft", "mouthLeft", "chinBottom"),
        ("rightEyeBrowUp", "rightEyeUp", "rightEyeDown", "noseRight", "mouthRight", "chinBottom"),
        ("leftEyeUp", "nose", "mouthUp", "mouthDown", "chinBottom"),
        ("upperJawlineLeft", "midJawlineLeft", "chinBottom"),
        ("upperJawlineRight", "midJawlineRight", "chinBottom"),
    ]
    for column in columns:
        values = [y[name] for name in column]
        assert values == sorted(values), column
    for side in ("left", "right"):
        assert y[f"{side}EyeUp"] - 1 <= y[f"{side}Pupil"] <= y[f"{side}EyeDown"] + 1


def test_every_type_lies_in_its_region_of_every_face(
    find: FaceFinder, fit: Mesher, pictures: Path
) -> None:
    checked = 0
    for name, expected in faces_by_eye().items():
        picture = image.read(pictures / name)
        faces = sorted(fit(picture, find(picture)), key=lambda one: one.face.box)
        for truth, one in zip(expected, faces, strict=True):
            turned = max(abs(one.face.pose.yaw), abs(one.face.pose.roll))
            if one.fits and turned < 20 and "eyes_open" not in truth.no:
                check_regions(one)
                checked += 1
    assert checked >= 22


def test_every_type_lies_in_its_region_of_more_faces(
    find: FaceFinder, fit: Mesher, samples: Path
) -> None:
    checked = 0
    for path in sorted((samples / "faces" / "identities").rglob("*.*")):
        one = seen(find, fit, image.read(path))
        if one.fits and abs(one.face.pose.yaw) < 25:
            check_regions(one)
            checked += 1
    assert checked >= 30


@pytest.mark.parametrize("angle", [-150, -120, -90, -60, -40, 15, 45, 75, 105, 135, 165, 180])
def test_roll_follows_the_image_and_the_points_stay_on_the_face(
    angle: int, fit: Mesher, astronaut: NDArray[np.uint8]
) -> None:
    find = FaceFinder(schema.Faces(detection="thorough"), "cpu")
    upright = seen(find, fit, Still(astronaut))
    rotated, matrix = turned(astronaut, angle)
    one = seen(find, fit, Still(rotated))
    assert one.fits
    assert one.face.aligned
    off = math.remainder(one.face.pose.roll - upright.face.pose.roll - angle, 360)
    assert abs(off) < 3
    assert one.face.pose.yaw == pytest.approx(upright.face.pose.yaw, abs=5)
    assert one.face.pose.pitch == pytest.approx(upright.face.pose.pitch, abs=5)
    expected = np.array(upright.face.landmarks) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(one.face.landmarks, expected, atol=5)


def test_a_detection_that_is_upside_down_is_righted(
    find: FaceFinder, fit: Mesher, astronaut: NDArray[np.uint8]
) -> None:
    picture = Still(astronaut)
    [face] = find(picture)
    a, b, c, d, e = face.points
    [one] = fit(picture, [replace(face, points=(e, d, c, b, a))])
    [upright] = fit(picture, [face])
    assert one.fits
    np.testing.assert_allclose(one.face.landmarks, upright.face.landmarks, atol=4)
    assert one.face.pose.roll == pytest.approx(upright.face.pose.roll, abs=2)


def test_upright_faces_cost_no_crops_beyond_the_second(
    find: FaceFinder, fit: Mesher, astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    crops: list[int] = []
    run = fit.whole._model

    def counted(pictures: Sequence[Picture], squares: Sequence[Square]) -> list[Mesh]:
        crops.append(len(squares))
        return run(pictures, squares)

    for name in ("context", "shape", "first_square", "next_square"):
        setattr(counted, name, getattr(run, name))
    monkeypatch.setattr(fit.whole, "_model", counted)
    monkeypatch.setattr(fit.whole, "_way_up", refused)
    for pixels in (astronaut, np.ascontiguousarray(astronaut[:, ::-1])):
        [one] = fit(Still(pixels), find(Still(pixels))[:1])
        assert one.fits
    assert sum(crops) <= 4


def refused(pictures: Sequence[Picture], faces: Sequence[Square], enough: Enough) -> list[Ways]:
    """The detector, which need not be asked."""
    assert not pictures
    assert not faces
    return []


def test_the_mirror_turns_yaw_and_roll_round_and_leaves_pitch(
    find: FaceFinder, fit: Mesher, pictures: Path
) -> None:
    aside = 0
    for path in sorted((pictures / "people").rglob("*.*")):
        picture = image.read(path)
        one = seen(find, fit, picture)
        other = seen(find, fit, Still(np.ascontiguousarray(picture.bgr[:, ::-1])))
        if not one.fits or one.face.box[2] - one.face.box[0] < 60:
            continue
        assert other.face.pose.yaw == pytest.approx(-one.face.pose.yaw, abs=5), path
        assert other.face.pose.roll == pytest.approx(-one.face.pose.roll, abs=5), path
        assert other.face.pose.pitch == pytest.approx(one.face.pose.pitch, abs=5), path
        aside += abs(one.face.pose.yaw) > 8
    assert aside >= 5


def test_what_no_mesh_fits_keeps_the_detectors_points_and_is_not_aligned(
    find: FaceFinder, fit: Mesher, astronaut: NDArray[np.uint8]
) -> None:
    picture = Still(astronaut)
    [face] = find(picture)
    # There is no face: the detector was wrong.
    wrong = fit(picture, [moved(face, 150, 250)])[0]
    assert not wrong.fits
    assert not wrong.face.aligned
    assert wrong.face.points == moved(face, 150, 250).points
    assert len(wrong.face.landmarks) == 30
    [without] = [MeshedFace(face)]
    assert without.face == face
    assert not without.fits
    assert fit(picture, []) == []


@pytest.mark.parametrize("turn", [90, 135, 180, -90])
def test_the_detector_does_not_see_what_the_model_imagines(
    find: FaceFinder, fit: Mesher, astronaut: NDArray[np.uint8], turn: int
) -> None:
    picture = Still(astronaut)
    mesher = fit.whole
    [upright] = fit(picture, find(picture)[:1])
    assert upright.mesh is not None
    square = mesher._level(upright.mesh)
    wrong = replaced(square, angle=square.angle + math.radians(turn))
    [imagined] = mesher._model([picture], [wrong])
    # As if nothing in the mesh raised a doubt.
    imagined = replaced(imagined, score=1.0, lean=complex(1))
    meshes = [upright.mesh, imagined]
    squares = [mesher._level(mesh) for mesh in meshes]
    ways = mesher._ways([picture] * 2, squares, lambda number, ways: False)
    assert [_is_seen(*each) for each in zip(meshes, ways, strict=True)] == [True, False]


def test_a_mesh_that_is_not_where_the_detector_sees_the_face_is_not_believed(
    find: FaceFinder, fit: Mesher, astronaut: NDArray[np.uint8]
) -> None:
    picture = Still(astronaut)
    [one] = fit(picture, find(picture)[:1])
    assert one.mesh is not None
    [ways] = fit.whole._ways([picture], [fit.whole._level(one.mesh)], lambda number, ways: False)
    assert _is_seen(one.mesh, ways)
    ways = replaced(ways, turned=(0.0, 0.5, 0.0))
    aside = np.add(ways.points, (2 * MAX_SEEN_APART * ways.length, 0))
    assert not _is_seen(one.mesh, replaced(ways, points=aside))
    assert not _is_seen(one.mesh, replaced(ways, upright=0.0))
    assert not _is_seen(one.mesh, replaced(ways, turned=(0.0, 1.0, 0.0)))
    assert not _is_seen(replaced(one.mesh, score=0.5), ways)
    near = replaced(ways, points=one.mesh.landmarks[FIVE] + 0.07 * ways.length / math.sqrt(2))
    assert _is_seen(one.mesh, near)
    assert not _is_seen(replaced(one.mesh, score=0.99), near)
    # Unless nothing is to be seen at other turns.
    assert _is_seen(replaced(one.mesh, score=0.99), replaced(near, turned=(0.0, 0.1, 0.0)))


@pytest.mark.parametrize("score", [1.0, 0.9])
def test_an_upside_down_face_that_looks_upright_is_not_believed(
    score: float,
    find: FaceFinder,
    fit: Mesher,
    astronaut: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first crop's mesh is imagined, and as certain as can be, but not where the face is."""
    picture = Still(astronaut)
    [face] = find(picture)
    [upright] = fit(picture, [face])
    whole = fit.whole
    settle = whole._settle
    straight = whole._model.first_square(face)
    upside_down = replaced(straight, angle=straight.angle + math.pi)
    starts: list[Square] = []

    def settled(pictures: Sequence[Picture], first: Sequence[Start]) -> list[Fit]:
        starts.extend(each.square for each in first)
        if not all(each.as_found for each in first):
            return settle(pictures, first)
        [imagined] = whole._model([picture], [upside_down])
        return [Fit(replaced(imagined, score=score, lean=complex(1)), upside_down, score)]

    monkeypatch.setattr(whole, "_settle", settled)
    [one] = fit(picture, [face])
    assert one.fits
    np.testing.assert_allclose(one.face.landmarks, upright.face.landmarks, atol=4)
    # The turn at which the detector is surest comes first.
    assert len(starts) == 2
    assert abs(math.remainder(starts[1].angle, math.tau)) < math.radians(25)


@pytest.mark.parametrize(
    ("score", "lean", "moved_by", "believed"),
    [
        (1.0, 1.0, 0, True),
        (1.0, 1.0, 8, True),
        (0.999, 1.0, 0, False),
        (1.0, 0.8, 0, True),
        (1.0, 0.8, 8, False),
        (1.0, 1j, 0, False),
        (1.0, 1.0, 40, False),
    ],
)
def test_a_mesh_needs_no_proof_if_it_is_certain_and_where_the_face_was_found(
    score: float,
    lean: complex,
    moved_by: float,
    believed: bool,
    find: FaceFinder,
    fit: Mesher,
    astronaut: NDArray[np.uint8],
) -> None:
    one = seen(find, fit, Still(astronaut))
    assert one.mesh is not None
    mesh = replaced(one.mesh, score=score, lean=complex(lean))
    assert _agrees(moved(one.face, moved_by, 0), mesh) == believed


@pytest.mark.parametrize(("width", "asked"), [(30, 0), (34, 1)])
def test_no_way_up_is_looked_for_if_a_tiny_face_has_a_hopeless_mesh(
    width: int,
    asked: int,
    find: FaceFinder,
    fit: Mesher,
    astronaut: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no face where the detector found one."""
    [face] = find(Still(astronaut))[:1]
    x1, y1, _, _ = face.box
    numbers: list[int] = []
    ways = fit.whole._way_up

    def counted(
        pictures: Sequence[Picture], squares: Sequence[Square], enough: Enough
    ) -> list[Ways]:
        numbers.append(len(squares))
        return ways(pictures, squares, enough)

    monkeypatch.setattr(fit.whole, "_way_up", counted)
    grey = Still(np.full_like(astronaut, 128))
    [one] = fit(grey, [replace(face, box=(x1, y1, x1 + width, y1 + width))])
    assert not one.fits
    assert numbers[0] == asked


@pytest.mark.parametrize(
    ("width", "best_score", "sure", "starts"),
    [(60, 0.5, 0.99, 1), (60, 0.005, 0.99, 0), (60, 0.005, 0.5, 1), (39, 0.5, 0.99, 0)],
)
def test_an_upright_face_is_looked_for_in_a_closer_crop_unless_that_is_hopeless(
    width: int,
    best_score: float,
    sure: float,
    starts: int,
    find: FaceFinder,
    fit: Mesher,
    astronaut: NDArray[np.uint8],
) -> None:
    picture = Still(astronaut)
    [face] = find(picture)[:1]
    [one] = fit(picture, [face])
    assert one.mesh is not None
    x1, y1, _, y2 = face.box
    narrow = replace(face, box=(x1, y1, x1 + width, y2))
    square = fit.whole._model.first_square(face)
    upright = Ways(upright=sure, points=np.zeros((5, 2)), length=1.0)
    fitted = Fit(one.mesh, square, best_score)
    found = fit.whole._other_starts(narrow, square, fitted, square, upright)
    assert len(found) == starts
    assert all(start.square.side < square.side and start.again for start in found)


@pytest.mark.parametrize(
    ("as_found", "again", "score", "crops"),
    [(True, False, 0, 2), (True, True, 0, 1), (True, True, 0.5, 2), (False, False, 0, 3)],
)
def test_a_hopeless_closer_crop_is_the_last_one(
    as_found: bool,
    again: bool,
    score: float,
    crops: int,
    find: FaceFinder,
    fit: Mesher,
    astronaut: NDArray[np.uint8],
) -> None:
    one = seen(find, fit, Still(astronaut))
    assert one.mesh is not None
    start = Start(Square(x=0, y=0, side=1, angle=0), as_found, again)
    assert start.min_crops(replaced(one.mesh, score=score)) == crops


def moved(face: Face, x: float, y: float) -> Face:
    x1, y1, x2, y2 = face.box
    a, b, c, d, e = ((px + x, py + y) for px, py in face.points)
    return replace(face, box=(x1 + x, y1 + y, x2 + x, y2 + y), points=(a, b, c, d, e))


def test_a_mesh_does_not_depend_on_the_company(
    find: FaceFinder, fit: Mesher, pictures: Path
) -> None:
    picture = image.read(pictures / "groups" / "window.jpg")
    found = find(picture)
    together = fit(picture, found)
    for face, one in zip(found, together, strict=True):
        [alone] = fit(picture, [face])
        assert alone.mesh is not None
        assert one.mesh is not None
        np.testing.assert_array_equal(alone.mesh.points, one.mesh.points)
        assert alone.face == one.face
