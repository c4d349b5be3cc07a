"""The mesh model on one face: its points, and what it says of a crop that is turned."""

import cmath
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from tests.support.single import FaceFinder

from onlooker.media import image
from onlooker.media.picture import Picture
from onlooker.types import LANDMARKS, Face
from onlooker.vision.crops import Square
from onlooker.vision.mesh import CERTAIN_SCORE, MIN_SCORE, Mesh, MeshModel


@pytest.fixture(scope="module")
def model() -> MeshModel:
    return MeshModel("cpu")


@pytest.fixture(scope="module")
def astronaut() -> Picture:
    return image.read(Path(skimage.data.__file__).parent / "astronaut.png")


@pytest.fixture(scope="module")
def face(astronaut: Picture) -> Face:
    return FaceFinder()(astronaut)[0]


@pytest.fixture(scope="module")
def square(model: MeshModel, astronaut: Picture, face: Face) -> Square:
    """The second crop, which is the face's own."""
    first = model.first_square(face)
    [mesh] = model([astronaut], [first])
    return model.next_square(first, mesh)


@pytest.fixture(scope="module")
def mesh(model: MeshModel, astronaut: Picture, square: Square) -> Mesh:
    return model([astronaut], [square])[0]


def test_thirty_points_are_at_their_places_on_the_astronaut(mesh: Mesh) -> None:
    found = dict(zip(LANDMARKS, mesh.landmarks.tolist(), strict=True))
    assert len(found) == 30
    # Measured by eye.
    for name, by_eye in {
        "leftPupil": (202, 101),
        "rightPupil": (247, 103),
        "leftEyeBrowUp": (200, 86),
        "rightEyeBrowRight": (263, 95),
        "nose": (224, 127),
        "noseLeft": (216, 132),
        "mouthLeft": (203, 139),
        "mouthRight": (245, 140),
        "mouthDown": (223, 154),
        "chinBottom": (221, 177),
        "upperJawlineLeft": (181, 101),
        "upperJawlineRight": (271, 106),
    }.items():
        np.testing.assert_allclose(found[name], by_eye, atol=4, err_msg=name)
    assert found["eyeLeft"] == found["leftPupil"]


def test_an_upright_face_is_certain_and_its_crop_settled(
    model: MeshModel, mesh: Mesh, square: Square
) -> None:
    assert mesh.is_certain
    assert mesh.is_plausible
    assert not mesh.is_turned
    after = model.next_square(square, mesh)
    assert math.hypot(after.x - square.x, after.y - square.y) < 0.05 * square.side
    assert after.side == pytest.approx(square.side, rel=0.05)
    assert after.angle == pytest.approx(square.angle, abs=0.05)


@pytest.mark.parametrize("degrees", [-60, 45, 90])
def test_the_next_crop_is_turned_after_the_face(
    degrees: float, model: MeshModel, astronaut: Picture, square: Square
) -> None:
    turned = replace(square, angle=square.angle + math.radians(degrees))
    [mesh] = model([astronaut], [turned])
    assert mesh.is_turned
    assert not mesh.is_certain
    assert not mesh.is_plausible
    after = model.next_square(turned, mesh)
    assert after.angle == pytest.approx(square.angle, abs=math.radians(25))


@pytest.mark.parametrize(
    ("score", "modulus", "degrees", "plausible", "certain"),
    [
        (CERTAIN_SCORE, 0.95, 5, True, True),
        (CERTAIN_SCORE - 0.001, 0.95, 5, True, False),
        (CERTAIN_SCORE, 0.7, 5, True, False),
        (CERTAIN_SCORE, 0.95, 25, False, False),
        (CERTAIN_SCORE, 0.3, 5, False, False),
        (MIN_SCORE - 0.01, 0.95, 5, False, False),
    ],
)
def test_a_mesh_is_as_certain_as_its_score_and_its_lean(
    score: float, modulus: float, degrees: float, plausible: bool, certain: bool, mesh: Mesh
) -> None:
    lean = cmath.rect(modulus, math.radians(degrees))
    one = replace(mesh, score=score, lean=lean)
    assert one.is_plausible == plausible
    assert one.is_certain == certain


def test_without_squares_there_are_no_meshes(model: MeshModel) -> None:
    assert model([], []) == []
