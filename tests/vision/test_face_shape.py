"""The mean face, and the way up of a face by its mesh."""

import cmath
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from tests.support.single import FaceFinder, Mesher

from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.models import card
from onlooker.models.card import OwnWeights, WeightsError
from onlooker.vision.face_shape import FaceShape, features
from onlooker.vision.mesh import MAX_LEAN


@pytest.fixture(scope="module")
def own() -> OwnWeights:
    decode = card.card("face_mesh_attention").decode
    assert isinstance(decode, card.Mesh)
    return decode.shape


def test_the_mean_face_is_symmetric_and_looks_at_the_viewer(own: OwnWeights) -> None:
    mean = FaceShape(own).mean
    assert mean.shape == (468, 3)
    np.testing.assert_allclose(mean.mean(0), 0, atol=1e-4)
    twins = np.linalg.norm(mean[:, None] - mean * (-1, 1, 1), axis=2).min(1)
    assert twins.max() < 0.03
    nose, left_eye, right_eye, chin = mean[[4, 33, 263, 152]]
    assert nose[2] == mean[:, 2].min()  # nearest to the viewer
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_eye[1] < nose[1] < chin[1]


def test_the_network_takes_no_notice_of_place_and_size(own: OwnWeights) -> None:
    shape = FaceShape(own)
    meshes = np.asarray(50 * shape.mean[None] + 96, np.float32)
    [lean] = shape.lean(meshes)
    np.testing.assert_allclose(features(meshes), features(3 * meshes + 7), atol=1e-4)
    [same] = shape.lean(3 * meshes + 7)
    assert same == pytest.approx(lean, abs=1e-3)
    assert abs(cmath.phase(lean)) < MAX_LEAN


def test_the_angle_is_that_of_the_face_in_its_crop() -> None:
    picture = Still(image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr)
    fit = Mesher("cpu").whole
    [face] = FaceFinder()(picture)
    first = fit._model.first_square(face)
    for degrees in (-150, -30, 0, 30, 180):
        [mesh] = fit._model([picture], [replace(first, angle=first.angle + math.radians(degrees))])
        off = math.remainder(math.degrees(cmath.phase(mesh.lean)) + degrees, 360)
        assert abs(off) < 30, degrees


def test_another_file_is_refused(own: OwnWeights) -> None:
    with pytest.raises(WeightsError, match=r"has sha256 .* but the card has 0000"):
        FaceShape(OwnWeights(file=own.file, sha256="0" * 64))
