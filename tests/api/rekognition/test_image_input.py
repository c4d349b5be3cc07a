"""Images of requests: bytes, and objects in buckets."""

import asyncio
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from tests.support.api import ask, context
from tests.support.rekognition import blank
from tests.support.requests import PNG
from tests.support.server import Running

from onlooker.api import app
from onlooker.api.context import AnalyserPool
from onlooker.media.buckets import NoBuckets
from onlooker.vision.analyser import Analyser, Analysis


def test_the_server_reads_its_bucket(server: Running, bucket: Path, pictures: Path) -> None:
    shutil.copy(pictures / "people" / "barack_obama" / "1.jpg", bucket / "one.jpg")
    client = server.client()
    there = {"S3Object": {"Bucket": "mybucket", "Name": "one.jpg"}}
    assert len(client.detect_faces(Image=there)["FaceDetails"]) == 1
    for missing in ("none.jpg", "../../onlooker.toml"):
        gone = {"S3Object": {"Bucket": "mybucket", "Name": missing}}
        with pytest.raises(client.exceptions.InvalidS3ObjectException, match="no object"):
            client.detect_faces(Image=gone)
    large = bucket / "large.jpg"
    large.write_bytes(b"\xff\xd8\xff" + bytes(15 * 1024 * 1024))
    gone = {"S3Object": {"Bucket": "mybucket", "Name": "large.jpg"}}
    with pytest.raises(client.exceptions.ImageTooLargeException, match="15728640 are allowed"):
        client.detect_faces(Image=gone)
    large.unlink()
    for both in ({}, {**there, "Bytes": b"x"}):
        with pytest.raises(client.exceptions.InvalidParameterException, match="exactly one of"):
            client.detect_faces(Image=both)


def test_images_must_be_of_an_allowed_size(client: Any) -> None:
    with pytest.raises(
        client.exceptions.InvalidParameterException, match="200 x 79 pixels; both sides"
    ):
        client.detect_faces(Image=blank(200, 79))
    client.detect_faces(Image=blank(80, 80))
    with pytest.raises(
        client.exceptions.InvalidParameterException,
        match=r"'<5242881 bytes>' at 'image\.bytes'.* less than or equal to 5242880.* smaller",
    ):
        client.detect_faces(Image={"Bytes": b"\xff" * 5242881})
    with pytest.raises(client.exceptions.InvalidImageFormatException):
        client.detect_faces(Image={"Bytes": b"\xff" * 5242880})
    wide = cv2.imencode(".png", np.zeros((6600, 10_000), np.uint8))[1].tobytes()
    with pytest.raises(client.exceptions.ImageTooLargeException, match="10000 x 6600"):
        client.detect_faces(Image={"Bytes": wide})


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"data:image/png;base64,iVBORw0KGgo=", "data: URL"),
        (b"iVBORw0KGgoAAAANSUhEUgAA", "themselves base64 of a PNG"),
        (b"/9j/4AAQSkZJRgABAQEASABIAAD", "themselves base64 of a JPEG"),
        (b"GIF89a", "neither JPEG nor PNG"),
    ],
)
def test_the_error_names_the_likely_mistake(client: Any, data: bytes, hint: str) -> None:
    with pytest.raises(client.exceptions.InvalidImageFormatException, match=hint):
        client.detect_faces(Image={"Bytes": data})


def test_fetched_objects_that_wait_for_the_models_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go = threading.Event()

    class FastBuckets(NoBuckets):
        def read(self, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
            return PNG

    class SlowAnalyser:
        def __call__(self, pictures: list[Any], wanted: list[Any]) -> list[Analysis]:
            assert go.wait(20)
            return [Analysis() for _ in pictures]

    body = b'{"Image":{"S3Object":{"Bucket":"fast","Name":"a.png"}}}'
    monkeypatch.setattr(app, "MAX_BODIES_BYTES", 3 * len(PNG) + 6 * len(body))
    models = AnalyserPool([cast(Analyser, SlowAnalyser())])
    server = app.Server(replace(context(buckets=FastBuckets()), analysers=models), None)

    async def send() -> "asyncio.Task[Any]":
        return asyncio.create_task(ask(server, "RekognitionService.DetectFaces", body))

    async def use() -> list[int]:
        tasks = [await send() for _ in range(6)]
        # While the models work for the first, those that are refused are answered.
        for _ in range(3):
            async with asyncio.timeout(10):
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            tasks = [task for task in tasks if task not in done]
            if len(tasks) == 3:
                break
        go.set()
        answers = [*await asyncio.gather(*tasks), await (await send())]
        return [answer.status_code for answer in answers]

    try:
        assert asyncio.run(use()) == [200] * 4
    finally:
        go.set()
        server.close()
