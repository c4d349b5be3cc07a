"""Faces that a request is about."""

from typing import Any

import numpy as np
import pytest
from tests.support.api import context
from tests.support.records import face

from onlooker.api.errors import Refusal
from onlooker.api.rekognition.face_input import check_model, largest, stored_vector, wanted_faces
from onlooker.api.rekognition.requests import InCollection
from onlooker.identity.errors import FaceNotFound, ModelMismatch
from onlooker.identity.faces import CollectionInfo
from onlooker.models.card import space
from onlooker.vision.analyser import AnalysedFace


class Searcher:
    """One collection, `staff`, of a model; with no face."""

    space = space("mobilefacenet")

    def __init__(self, model: str) -> None:
        self._model = model

    def collection(self, name: str) -> CollectionInfo:
        return CollectionInfo(name=name, model=self._model, metric="cosine", faces=0, created=0.0)

    def vectors(self, collection: str, face_ids: list[str]) -> Any:
        raise FaceNotFound(f"{collection} has no face {face_ids[0]}")


def test_the_largest_face_is_the_first() -> None:
    first, second = (AnalysedFace(face(), vector=np.ones(4, np.float32)) for _ in range(2))
    assert largest([first, second], "Image") is first


def test_a_face_that_is_not_good_enough_is_refused_with_the_reasons() -> None:
    small = AnalysedFace(face(), reasons=("SMALL_BOUNDING_BOX", "LOW_SHARPNESS"))
    with pytest.raises(
        Refusal, match=r"100 pixels wide.*: SMALL_BOUNDING_BOX, LOW_SHARPNESS"
    ) as raised:
        largest([small], "SourceImage")
    assert raised.value.text.startswith("There are no faces in the image. Should be at least 1.")
    with pytest.raises(Refusal, match="None was found in SourceImage"):
        largest([], "SourceImage")


def test_attributes_are_described_only_if_requested() -> None:
    assert wanted_faces().attributes == frozenset()
    assert wanted_faces(["DEFAULT", "SMILE"]).attributes == {"smile"}
    assert "beard" in wanted_faces(["ALL"]).attributes
    assert not wanted_faces().text


def test_a_collection_of_another_model_is_refused() -> None:
    staff = InCollection(CollectionId="staff")
    check_model(staff, context(Searcher("mobilefacenet")))
    with pytest.raises(ModelMismatch, match="holds vectors of dlib_resnet"):
        check_model(staff, context(Searcher("dlib_resnet")))


def test_an_unknown_face_is_refused_in_amazons_words() -> None:
    with pytest.raises(Refusal, match=r"faceId was not found in the collection\. staff has no"):
        stored_vector(context(Searcher("mobilefacenet")), "staff", "an id")
