"""A head that is turned to known angles: the mesh of a photograph, with the photograph on it.

The mesh has only a face, so rings that lie further back are put round it: they show the hair, the
ears and the neck of the photograph.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay  # type: ignore[import-untyped]

from onlooker.media.picture import Pixels
from onlooker.types import Pose
from onlooker.vision.pose import Rotation

Points = NDArray[np.float64]

RINGS = ((1.12, 0.18), (1.3, 0.45), (1.5, 0.8))
"""How far out a ring is, in distances from the middle of the face, and back, in its widths."""
CAMERA_WIDTHS = 6.0
"""Distance of the camera in widths of the face."""
FACE_SHARE = 0.42
"""Share of the face in the width of the image."""


def rotation_of(pose: Pose) -> Rotation:
    """Return the rotation of a head: pitched, then turned by the yaw, then rolled."""
    roll, yaw, pitch = (math.radians(each) for each in (pose.roll, pose.yaw, pose.pitch))
    raised = [
        [1, 0, 0],
        [0, math.cos(pitch), math.sin(pitch)],
        [0, -math.sin(pitch), math.cos(pitch)],
    ]
    aside = [[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]]
    leaning = [
        [math.cos(roll), -math.sin(roll), 0],
        [math.sin(roll), math.cos(roll), 0],
        [0, 0, 1],
    ]
    return np.asarray(np.array(leaning) @ aside @ raised)


class RenderedHead:
    """The head of a photograph (h, w, 3) with its mesh `points` (n, 3) in pixels."""

    def __init__(self, photograph: Pixels, points: Points, turn: Rotation) -> None:
        """Turn the mesh to the viewer; `turn` is its rotation in the photograph."""
        self._photograph = photograph
        frontal = (points - points.mean(0)) @ turn
        flat = points[:, :2]
        rim = cv2.convexHull(frontal[:, :2].astype(np.float32), returnPoints=False).ravel()
        self._width = float(np.ptp(frontal[:, 0]))
        self._size = len(points)
        middle = frontal[:, :2].mean(0)
        solid, texture = [frontal], [flat]
        for out, back in RINGS:
            ring = frontal[rim].copy()
            ring[:, :2] = middle + out * (ring[:, :2] - middle)
            ring[:, 2] = (ring[:, 2] + ring[:, 2].mean()) / 2 + back * self._width
            solid.append(ring)
            texture.append(flat.mean(0) + out * (flat[rim] - flat.mean(0)))
        self._solid, self._texture = np.concatenate(solid), np.concatenate(texture)
        self._triangles = Delaunay(self._solid[:, :2]).simplices
        self._facing = np.sign(_areas(self._solid[self._triangles][..., :2]))

    def __call__(self, pose: Pose, side: int = 320) -> tuple[Pixels, Points]:
        """Return the image (side, side, 3), and where the mesh's points (n, 2) are in it."""
        scale = side * FACE_SHARE / self._width
        turned = self._solid @ rotation_of(pose).T * scale
        far = CAMERA_WIDTHS * self._width * scale
        placed = turned[:, :2] * (far / (far + turned[:, 2:])) + side / 2
        image = np.full((side, side, 3), 127, np.uint8)
        corners = placed[self._triangles]
        visible = _areas(corners) * self._facing > 0.2
        for n in np.argsort(-turned[self._triangles, 2].mean(1)):
            if visible[n]:
                self._paint(image, self._texture[self._triangles[n]], corners[n])
        return image, placed[: self._size]

    def _paint(self, image: Pixels, texture: Points, corners: Points) -> None:
        left, top = np.maximum(np.floor(corners.min(0)).astype(int) - 1, 0).tolist()
        right, bottom = (np.ceil(corners.max(0)).astype(int) + 2).clip(0, len(image)).tolist()
        if right <= left or bottom <= top:
            return
        size = right - left, bottom - top
        target = (corners - (left, top)).astype(np.float32)
        matrix = cv2.getAffineTransform(texture.astype(np.float32), target)
        patch = cv2.warpAffine(self._photograph, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros(size[::-1], np.uint8)
        cv2.fillConvexPoly(mask, np.round(target * 16).astype(np.int32), 255, cv2.LINE_8, 4)
        image[top:bottom, left:right][mask > 0] = patch[mask > 0]


def _areas(triangles: Points) -> Points:
    """Return twice the area of each (n, 3, 2), negative if its corners are in the other order."""
    (ax, ay), (bx, by) = ((triangles[:, corner] - triangles[:, 0]).T for corner in (1, 2))
    return np.asarray(ax * by - ay * bx)
