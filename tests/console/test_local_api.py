"""The API's operations in the console's process."""

import base64
import time
from pathlib import Path

import cv2
import msgspec
import pytest
from tests.support.console import settings
from tests.support.processes import wait_until

from onlooker.api.access_keys import Key
from onlooker.api.errors import Refusal
from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config
from onlooker.console.local_api import LazyAnalyser, LocalApi
from onlooker.rekognition.shapes import FaceDetail

IMAGE = bytes(cv2.imencode(".jpg", photographs().astronaut)[1].tobytes())
FIELDS = {"Image": {"Bytes": base64.b64encode(IMAGE).decode()}}


class Answer(msgspec.Struct):
    FaceDetails: list[FaceDetail]


def test_it_answers_what_the_api_answers_and_holds_permissions(tmp_path: Path) -> None:
    api = LocalApi(settings(tmp_path))
    answer = msgspec.json.decode(api.answer(None, "DetectFaces", FIELDS), type=Answer)
    [face] = answer.FaceDetails
    assert face.Confidence > 99
    key = Key(id="KEY", secret="a-secret-of-robots", user="rob", operations=("DetectText",))
    with pytest.raises(Refusal, match="not authorized to perform: rekognition:DetectFaces"):
        api.answer(key, "DetectFaces", FIELDS)
    with pytest.raises(Refusal, match="does not exist"):
        api.answer(None, "SearchFacesByImage", {**FIELDS, "CollectionId": "none"})
    with pytest.raises(Refusal):
        api.answer(None, "DetectFaces", {})
    api.close()


def test_the_models_are_let_go_when_nobody_needs_them() -> None:
    lazy = LazyAnalyser(Config(), idle_seconds=0.2)
    assert not lazy.loaded
    with lazy.lend() as first:
        time.sleep(0.4)
        assert lazy.loaded
    assert wait_until(lambda: not lazy.loaded, 60)
    with lazy.lend() as second:
        assert second is not first
