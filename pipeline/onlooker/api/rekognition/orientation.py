"""Orientation of an image, as Amazon's responses had it in 2017.

A JPEG whose EXIF has an orientation is rotated upright when it is decoded, and has none in the
response. The orientation of others is found from faces: they are detected in the image as it is,
and rotated by 90, 180 and 270 degrees. Boxes are in the image as it came, before any rotation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
from msgspec.structs import replace

from onlooker.api.rekognition.image_input import DecodedImage
from onlooker.api.rekognition.responses import Orientation
from onlooker.media.exif_orientation import of_jpeg
from onlooker.media.picture import Pixels, Still
from onlooker.types import Face, Point, Pose
from onlooker.vision.analyser import Analyser, Detection, Wanted

Back = Callable[[Point, Still], Point]
"""From a point of the rotated image to that of the image as it came."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation that turns an image upright."""

    name: Orientation
    code: int
    """OpenCV's code for it."""
    roll: float
    """Degrees to add to the roll of faces that were found in the rotated image."""
    back: Back


ROTATIONS = (
    Rotation("ROTATE_90", cv2.ROTATE_90_CLOCKWISE, -90.0, lambda p, s: (p[1], s.height - p[0])),
    Rotation("ROTATE_180", cv2.ROTATE_180, 180.0, lambda p, s: (s.width - p[0], s.height - p[1])),
    Rotation(
        "ROTATE_270", cv2.ROTATE_90_COUNTERCLOCKWISE, 90.0, lambda p, s: (s.width - p[1], p[0])
    ),
)

WANTED = Wanted(text=False, mesh=True)
"""Faces and their meshes."""


def find_upright(
    analyser: Analyser, image: DecodedImage
) -> tuple[tuple[Face, ...], Orientation | None]:
    """Return the faces of an image, and its orientation unless its EXIF has it."""
    still = image.still
    [found] = analyser.detect([still], [WANTED])
    if of_jpeg(image.data) is not None:
        return found.faces, None
    # Upside down, a face is found nearly as well as upright: the confidence in all of them decides.
    name: Orientation = "ROTATE_0"
    best, highest = found.faces, _confidence(analyser, still, found)
    for rotation in ROTATIONS:
        rotated = Still(cast(Pixels, cv2.rotate(still.bgr, rotation.code)))
        [found] = analyser.detect([rotated], [WANTED])
        confidence = _confidence(analyser, rotated, found)
        if confidence > highest:
            best = tuple(_rotated_back(face, still, rotation) for face in found.faces)
            highest, name = confidence, rotation.name
    return best, name


def _confidence(analyser: Analyser, still: Still, found: Detection) -> float:
    """Return the sum over all faces of the detector's score times the mesh's.

    A face that lies on its side counts less.
    """
    [analysis] = analyser.recognise([still], [found], [WANTED])
    return sum(
        each.face.score * each.mesh.score * max(0.0, math.cos(math.radians(each.face.pose.roll)))
        for each in analysis.faces
        if each.mesh is not None
    )


def _rotated_back(face: Face, still: Still, rotation: Rotation) -> Face:
    """Return a face of the rotated image in the image as it came."""
    x1, y1, x2, y2 = face.box
    corners = [rotation.back((x1, y1), still), rotation.back((x2, y2), still)]
    (left, right), (top, bottom) = (sorted(each) for each in zip(*corners, strict=True))
    a, b, c, d, e = (rotation.back(point, still) for point in face.points)
    roll = math.remainder(face.pose.roll + rotation.roll, 360)
    pose = Pose(roll=roll, yaw=face.pose.yaw, pitch=face.pose.pitch)
    return replace(face, box=(left, top, right, bottom), points=(a, b, c, d, e), pose=pose)
