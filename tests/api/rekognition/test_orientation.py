"""Orientation of images, found from faces or from EXIF."""

from pathlib import Path

import cv2
import pytest
from tests.support.rekognition import plain_png
from tests.support.secured_server import client
from tests.support.server import Running

from onlooker.media.exif_orientation import of_jpeg


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (cv2.ROTATE_90_COUNTERCLOCKWISE, "ROTATE_90"),
        (cv2.ROTATE_180, "ROTATE_180"),
        (cv2.ROTATE_90_CLOCKWISE, "ROTATE_270"),
    ],
)
def test_orientation_is_found_from_faces(
    secured: Running, pictures: Path, turn: int, name: str
) -> None:
    path = pictures / "people" / "barack_obama" / "1.jpg"
    turned = {"Bytes": plain_png(path, turn)}
    asked = client(secured, "ADMIN")
    response = asked.detect_faces(Image=turned)
    assert response["OrientationCorrection"] == name
    [face] = response["FaceDetails"]
    straight = {"Bytes": plain_png(path)}
    [right] = asked.detect_faces(Image=straight)["FaceDetails"]
    box, upright_box = face["BoundingBox"], right["BoundingBox"]
    if name != "ROTATE_180":
        assert box["Width"] == pytest.approx(upright_box["Height"], abs=0.03)
    eyes = {mark["Type"]: (mark["X"], mark["Y"]) for mark in face["Landmarks"]}
    (left_x, left_y), (right_x, right_y) = eyes["eyeLeft"], eyes["eyeRight"]
    along = {"ROTATE_90": left_y - right_y, "ROTATE_180": left_x - right_x}
    assert along.get(name, right_y - left_y) > 0.05


def test_an_orientation_in_exif_is_left_out(secured: Running, pictures: Path) -> None:
    path = pictures / "people" / "barack_obama" / "1.jpg"
    data = path.read_bytes()
    assert of_jpeg(data) is not None  # a camera's own
    pixels = cv2.imread(str(path))
    assert pixels is not None
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    assert of_jpeg(data) is None
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"
    marked = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    response = client(secured, "ADMIN").detect_faces(Image={"Bytes": marked})
    assert len(response["FaceDetails"]) == 1
    assert "OrientationCorrection" not in response
