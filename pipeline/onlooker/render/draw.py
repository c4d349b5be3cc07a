"""Boxes, landmarks, names and lines of text, drawn into an image."""

import math
from collections.abc import Collection, Iterable

import cv2
import numpy as np

from onlooker.escape import PEOPLE
from onlooker.media.picture import Pixels
from onlooker.rekognition.shapes import (
    BoundingBox,
    FaceDetail,
    FaceSearch,
    StreamRecord,
    TextDetection,
)

Colour = tuple[int, int, int]
"""Blue, green, red."""

NAMED: Colour = (90, 220, 90)
"""Faces that match a face of the collection."""
UNNAMED: Colour = (210, 210, 210)
"""Other faces."""
TEXT: Colour = (255, 190, 70)
INK: Colour = (20, 20, 20)
"""Letters of labels."""
LANDMARK_COLOURS: dict[str, Colour] = {
    "pupil": (255, 255, 255),
    "brow": (60, 180, 255),
    "eye": (255, 190, 70),
    "nose": (90, 220, 90),
    "mouth": (90, 90, 255),
    "jaw": (255, 120, 220),
    "chin": (255, 120, 220),
}
"""Colours of landmarks by a word in their type; the first that matches counts."""

FONT = cv2.FONT_HERSHEY_SIMPLEX
MIN_LETTER_PIXELS = 12.0
"""Height of the smallest legible letters."""


def draw_record(
    image: Pixels, record: StreamRecord, without: Collection[int] = frozenset()
) -> None:
    """Draw the faces and lines of `record` into `image` (h, w, 3), except the faces `without`."""
    draw_lines(image, record.TextDetections)
    for place, face in enumerate(record.FaceSearchResponse):  # over the text: names matter more
        if place not in without:
            _draw_face(image, face)


def draw_lines(image: Pixels, detections: Iterable[TextDetection]) -> None:
    """Draw the outlines and texts of the lines among `detections` into `image` (h, w, 3)."""
    for detection in detections:
        if detection.Type == "LINE":
            _draw_line(image, detection)


def draw_face_detail(image: Pixels, face: FaceDetail) -> None:
    """Draw a face's box, its landmarks and the direction of its nose into `image` (h, w, 3)."""
    height, width = image.shape[:2]
    left, top, right, bottom = _pixels(face.BoundingBox, image)
    dot = max(1, round((right - left) / 90))
    cv2.rectangle(image, (left, top), (right, bottom), UNNAMED, dot, cv2.LINE_AA)
    places = {mark.Type: (round(mark.X * width), round(mark.Y * height)) for mark in face.Landmarks}
    for kind, place in places.items():
        colour = next(
            (colour for part, colour in LANDMARK_COLOURS.items() if part in kind.lower()), UNNAMED
        )
        cv2.circle(image, place, dot, colour, cv2.FILLED, cv2.LINE_AA)
    length = (right - left) / 2
    yaw, pitch = math.radians(face.Pose.Yaw), math.radians(face.Pose.Pitch)
    x, y = places["nose"]
    tip = round(x + length * math.sin(yaw)), round(y - length * math.sin(pitch))
    cv2.arrowedLine(image, (x, y), tip, NAMED, dot, cv2.LINE_AA)


def _draw_face(image: Pixels, face: FaceSearch) -> None:
    left, top, right, bottom = _pixels(face.DetectedFace.BoundingBox, image)
    best = face.MatchedFaces[0] if face.MatchedFaces else None
    colour = NAMED if best else UNNAMED
    cv2.rectangle(image, (left, top), (right, bottom), colour, _stroke(image), cv2.LINE_AA)
    if best is not None:
        written = best.Face.ExternalImageId or best.Face.FaceId
        name = PEOPLE.shown(written)
        if not name.isascii():  # the font has no other letters, and ?? would be anybody
            name = written
        letters = image.shape[0] / 30
        _draw_label(image, f"{name}  {best.Similarity:.1f}", left, top, letters, colour)


def _draw_line(image: Pixels, line: TextDetection) -> None:
    height, width = image.shape[:2]
    corners = [(point.X * width, point.Y * height) for point in line.Geometry.Polygon]
    outline = np.array(corners).round().astype(np.int32)
    cv2.polylines(image, [outline], True, TEXT, _stroke(image), cv2.LINE_AA)
    # Small, so that on a page the label leaves the line above legible.
    letters = min(0.32 * math.dist(corners[0], corners[3]), height / 30)
    left, top = outline[0].tolist()
    _draw_label(image, line.DetectedText, left, top, letters, TEXT)


def _draw_label(
    image: Pixels, text: str, left: int, top: int, letters: float, colour: Colour
) -> None:
    """Draw text with capitals of `letters` pixels on a patch whose lower left is (left, top)."""
    text = text.encode("ascii", "replace").decode()  # the font has no other characters
    letters = max(letters, MIN_LETTER_PIXELS)
    (_, capital), _ = cv2.getTextSize("H", FONT, 1.0, 1)
    scale, stroke, margin = letters / capital, max(1, round(letters / 11)), round(letters / 3)
    (width, tall), below = cv2.getTextSize(text, FONT, scale, stroke)
    high = tall + below + margin
    # Moved so that the whole patch is inside the image, if it fits.
    left = max(0, min(left, image.shape[1] - width - 2 * margin))
    top = max(high, min(top, image.shape[0]))
    patch = (left, top - high), (left + width + 2 * margin, top)
    cv2.rectangle(image, *patch, colour, cv2.FILLED)
    at = left + margin, top - below - margin // 2
    cv2.putText(image, text, at, FONT, scale, INK, stroke, cv2.LINE_AA)


def _pixels(box: BoundingBox, image: Pixels) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom in pixels."""
    height, width = image.shape[:2]
    right, bottom = (box.Left + box.Width) * width, (box.Top + box.Height) * height
    return round(box.Left * width), round(box.Top * height), round(right), round(bottom)


def _stroke(image: Pixels) -> int:
    height: int = image.shape[0]
    return max(1, height // 360)
