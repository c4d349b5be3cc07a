"""Images of requests: bytes, and objects in buckets."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.support.rekognition import blank
from tests.support.server import Running


def test_the_server_reads_its_bucket(server: Running, bucket: Path, samples: Path) -> None:
    shutil.copy(samples / "faces" / "identities" / "barack_obama" / "1.jpg", bucket / "one.jpg")
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
    wide = cv2.imencode(".png", np.zeros((5100, 10_000), np.uint8))[1].tobytes()
    with pytest.raises(client.exceptions.ImageTooLargeException, match="10000 x 5100"):
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
