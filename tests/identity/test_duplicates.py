"""FaceIds: one for a named face, a new one for an unnamed face."""

import numpy as np

from onlooker.identity.duplicates import face_id, image_id
from onlooker.identity.faces import NewFace

PORTRAIT, OTHER = b"a portrait", b"another portrait"


def new(name: str | None = "anna", left: float = 0.25, data: bytes = PORTRAIT) -> NewFace:
    return NewFace(
        picture=data,
        external_image_id=name,
        box=(left, 0.25, 0.5, 0.5),
        confidence=99.0,
        vector=np.ones(3, np.float32),
    )


def identify(face: NewFace, model: str = "mobilefacenet") -> str:
    return face_id(face, model, image_id(face.picture))


def test_a_named_face_has_one_face_id() -> None:
    assert identify(new()) == identify(new())
    assert identify(new(left=0.25001)) == identify(new()), "a rounding error"


def test_another_name_box_image_or_model_is_another_face() -> None:
    others = [new("ben"), new(left=0.3), new(data=OTHER)]
    ids = {identify(new()), identify(new(), "dlib_resnet"), *map(identify, others)}
    assert len(ids) == 5


def test_an_unnamed_face_is_a_new_one_each_time() -> None:
    assert identify(new(None)) != identify(new(None))


def test_the_same_bytes_have_the_same_image_id() -> None:
    assert image_id(PORTRAIT) == image_id(bytes(PORTRAIT)) != image_id(OTHER)
