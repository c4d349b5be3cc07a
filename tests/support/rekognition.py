"""Images and faces for requests of Amazon Rekognition's client."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from onlooker.api.rekognition.names import model_version

VERSION = model_version("mobilefacenet")
DEFAULT_MEMBERS = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
"""Members of a FaceDetail if no attributes are requested."""


def image(path: Path) -> dict[str, bytes]:
    """Return a file as a request's Image."""
    return {"Bytes": path.read_bytes()}


def blank(width: int = 200, height: int = 200) -> dict[str, bytes]:
    """Return a grey image as a request's Image."""
    return {"Bytes": cv2.imencode(".png", np.full((height, width, 3), 127, np.uint8))[1].tobytes()}


def indexed(client: Any, collection: str, path: Path, name: str, **more: Any) -> str:
    """Index the largest face of a file, and return its FaceId."""
    response = client.index_faces(
        CollectionId=collection, Image=image(path), ExternalImageId=name, MaxFaces=1, **more
    )
    return str(response["FaceRecords"][0]["Face"]["FaceId"])


def plain_png(path: Path, turn: int | None = None) -> bytes:
    """Return an image as PNG, without EXIF; `turn` is OpenCV's code of a rotation."""
    pixels = cv2.imread(str(path))
    assert pixels is not None
    turned = pixels if turn is None else cv2.rotate(pixels, turn)
    return cv2.imencode(".png", turned)[1].tobytes()
