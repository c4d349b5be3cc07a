"""Which way up a picture is, as Amazon told it in 2017.

A JPEG that says by its EXIF how it was held is turned upright when it is decoded, and nothing is
told. Of others, faces say it: the picture is looked at as it is, and turned a quarter, a half and
three quarters. Boxes are of the picture as it came, before any correction.
"""

import math
from collections.abc import Callable
from typing import Literal, cast

import cv2
from msgspec.structs import replace

from onlooker.api.rekognition.image_input import Taken
from onlooker.api.rekognition.responses import Orientation
from onlooker.media.picture import Pixels, Still
from onlooker.types import Face, Point, Pose
from onlooker.vision.analyser import Analyser, Detection, Wanted

Back = Callable[[Point, Still], Point]
"""From a point of the turned picture to that of the picture as it came."""

TURNS: tuple[tuple[Orientation, int, float, Back], ...] = (
    ("ROTATE_90", cv2.ROTATE_90_CLOCKWISE, -90.0, lambda p, still: (p[1], still.height - p[0])),
    (
        "ROTATE_180",
        cv2.ROTATE_180,
        180.0,
        lambda p, still: (still.width - p[0], still.height - p[1]),
    ),
    (
        "ROTATE_270",
        cv2.ROTATE_90_COUNTERCLOCKWISE,
        90.0,
        lambda p, still: (still.width - p[1], p[0]),
    ),
)
"""What Amazon calls it, how it is turned upright, and how faces found so are turned back."""


def find(analyser: Analyser, taken: Taken) -> tuple[tuple[Face, ...], Orientation | None]:
    """The faces of a picture, and its orientation where its EXIF does not say it."""
    still = taken.still
    wanted = Wanted(text=False, mesh=True)
    [upright] = analyser.detect([still], [wanted])
    if says_orientation(taken.data):
        return upright.faces, None
    # Upside down, a face is found nearly as well as upright: how sure all are together tells.
    name: Orientation = "ROTATE_0"
    best, surest = upright.faces, _sureness(analyser, still, upright)
    for other, turn, roll, back in TURNS:
        turned = Still(cast(Pixels, cv2.rotate(still.bgr, turn)))
        [found] = analyser.detect([turned], [wanted])
        sureness = _sureness(analyser, turned, found)
        if sureness > surest:
            best = tuple(_turned(face, still, roll, back) for face in found.faces)
            surest, name = sureness, other
    return best, name


def _sureness(analyser: Analyser, still: Still, found: Detection) -> float:
    """The detector's, times the mesh's, of all faces; less of those that lie on their side."""
    [analysis] = analyser.recognise([still], [found], [Wanted(text=False, mesh=True)])
    return sum(
        one.face.score * one.mesh.score * max(0.0, math.cos(math.radians(one.face.pose.roll)))
        for one in analysis.faces
        if one.mesh is not None
    )


def _turned(face: Face, still: Still, roll: float, back: Back) -> Face:
    x1, y1, x2, y2 = face.box
    corners = [back((x1, y1), still), back((x2, y2), still)]
    (left, right), (top, bottom) = (sorted(each) for each in zip(*corners, strict=True))
    a, b, c, d, e = (back(point, still) for point in face.points)
    pose = face.pose
    turned = Pose(roll=math.remainder(pose.roll + roll, 360), yaw=pose.yaw, pitch=pose.pitch)
    return replace(face, box=(left, top, right, bottom), points=(a, b, c, d, e), pose=turned)


def says_orientation(data: bytes) -> bool:
    """Whether a file is a JPEG whose EXIF has the tag Orientation."""
    start = data.find(b"\xff\xe1", 2, 4096)
    if not data.startswith(b"\xff\xd8") or data[start + 4 : start + 10] != b"Exif\0\0":
        return False
    tiff = data[start + 10 : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    order: Literal["little", "big"] = "little" if tiff.startswith(b"II") else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)

    entries = number(4, 4)
    tags = (number(entries + 2 + 12 * n, 2) for n in range(number(entries, 2)))
    return any(tag == 0x0112 for tag in tags)
