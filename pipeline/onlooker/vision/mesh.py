"""Face meshes: 468 points in three dimensions, with lips, eyes and irises in more detail.

The attention mesh (Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in
Real-time", 2020) takes an upright square crop round a face. Left and right are those of the image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import cv2
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker.media.picture import Picture
from onlooker.models import session
from onlooker.models.card import Mesh as MeshCard
from onlooker.models.card import WeightsError
from onlooker.types import Face, Pose
from onlooker.vision.crops import batch

Points = NDArray[np.float64]
"""(n, 2) or (n, 3) in pixels of the full image; z grows away from the viewer."""

# Indexes into the outlines of an eye and of the lips, and into the mesh. They were checked against
# the thirty landmarks of a recorded answer of Rekognition: fitted to those, the average mesh is off
# by a fiftieth of the distance between the outer corners of the eyes.
EYE_OUTER, EYE_DOWN, EYE_INNER, EYE_UP = 0, 4, 8, 12
BROW_OUTER, BROW_UP, BROW_INNER = 64, 66, 68
LIPS_LEFT, LIPS_DOWN, LIPS_RIGHT, LIPS_UP = 0, 5, 10, 15
NOSE = 4
NOSTRILS = [99, 328]
JAW = [127, 172, 152, 397, 356]
FOREHEAD, CHIN = 10, 152
STABLE = [33, 133, 362, 263, 1, 4, 129, 358, 61, 291, 0, 17, 70, 105, 107, 336, 334, 300, 168, 152]
"""Points that hardly move when a face speaks: twenty of eyes, nose, mouth, brows and chin."""
LEVEL = [33, 263]
"""Outer corners of the eyes, which are level in the crop."""
ACROSS = ([33, 61, 127], [263, 291, 356])
"""Outer corners of the eyes, corners of the mouth, ears: level in an upright face."""

# Fitted to the landmarks of three recorded answers, the mesh's yaw is a third more than
# Rekognition's, and its pitch a few degrees lower, as it is in the median photograph.
YAW_SCALE = 0.72
LEVEL_PITCH = 4.7

MIN_FIT_SCORE = 0.5
"""Score from which a mesh is better than the detector's five points."""
MAX_SETTLED = 0.08
"""A second crop that differs from the first by up to this, in sides or radians, is not run."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square round a face, turned as the face leans."""

    x: float
    y: float
    side: float
    angle: float
    """Radians by which the face leans clockwise."""

    def matrix(self, size: int) -> NDArray[np.float64]:
        """Return (2, 3): the map from the image's pixels to those of a crop `size` wide."""
        scale = size / self.side
        along, across = scale * math.cos(self.angle), scale * math.sin(self.angle)
        return np.array(
            [
                [along, across, size / 2 - along * self.x - across * self.y],
                [-across, along, size / 2 + across * self.x - along * self.y],
            ]
        )


@dataclass(frozen=True, slots=True)
class Mesh:
    """A face's points in pixels of the full image."""

    points: Points
    """(468, 3); z is 0 near the face's middle, on the scale of x and y."""
    lips: Points
    """(80, 2)"""
    eyes: Points
    """(2, 71, 2): the eye on the left of the image, then the one on the right."""
    irises: Points
    """(2, 5, 2): each eye's centre, then the rim."""
    score: float
    """0 to 1: the model's confidence that the crop shows a face."""

    @property
    def landmarks(self) -> Points:
        """(30, 2): a point for each of `onlooker.types.LANDMARKS`."""
        return np.concatenate(
            [
                self.irises[:, 0],
                self.lips[[LIPS_LEFT, LIPS_RIGHT]],
                self.points[[NOSE], :2],
                self.eyes[0, [BROW_OUTER, BROW_INNER, BROW_UP]],
                self.eyes[1, [BROW_INNER, BROW_OUTER, BROW_UP]],
                self.eyes[0, [EYE_OUTER, EYE_INNER, EYE_UP, EYE_DOWN]],
                self.eyes[1, [EYE_INNER, EYE_OUTER, EYE_UP, EYE_DOWN]],
                self.points[NOSTRILS, :2],
                self.lips[[LIPS_UP, LIPS_DOWN]],
                self.irises[:, 0],
                self.points[JAW, :2],
            ]
        )

    @property
    def pose(self) -> Pose:
        """The head's turn in space, with Amazon's signs and on Amazon's scale."""
        right, forward = self._axes()
        roll = math.atan2(right[1], right[0])
        aside = forward[0] * math.cos(roll) + forward[1] * math.sin(roll)
        below = forward[1] * math.cos(roll) - forward[0] * math.sin(roll)
        return Pose(
            roll=math.degrees(roll),
            yaw=YAW_SCALE * math.degrees(math.atan2(aside, -forward[2])),
            pitch=LEVEL_PITCH - math.degrees(math.asin(min(1.0, max(-1.0, below)))),
        )

    def square(self, times: float) -> Square:
        """Return the square round all points, `times` as wide as they are."""
        left, right = self.points[LEVEL, :2]
        angle = math.atan2(right[1] - left[1], right[0] - left[0])
        along, across = math.cos(angle), math.sin(angle)
        upright = np.array([[along, -across], [across, along]])
        turned = self.points[:, :2] @ upright
        low, high = turned.min(0), turned.max(0)
        x, y = upright @ (low + high) / 2
        return Square(x=x, y=y, side=times * float((high - low).max()), angle=angle)

    def _axes(self) -> tuple[Points, Points]:
        """Return two unit vectors: from the face's left to its right, and out of the face."""
        across = self.points[ACROSS[1]] - self.points[ACROSS[0]]
        right = (across / np.linalg.norm(across, axis=1, keepdims=True)).sum(0)
        right /= np.linalg.norm(right)
        down = self.points[CHIN] - self.points[FOREHEAD]
        down -= right * (right @ down)
        down /= np.linalg.norm(down)
        # np.cross would take as long as all of this.
        (a, b, c), (x, y, z) = right.tolist(), down.tolist()
        return right, np.array([c * y - b * z, a * z - c * x, b * x - a * y])


@dataclass(frozen=True, slots=True)
class MeshedFace:
    """A face with its mesh; if the mesh fits, the face's points and pose are the mesh's."""

    face: Face
    mesh: Mesh | None = None

    @property
    def fits(self) -> bool:
        """Whether there is a mesh that shows a face; for a profile it does not."""
        return self.mesh is not None and self.mesh.score >= MIN_FIT_SCORE


class Mesher:
    """The model that fits a mesh to each face."""

    CARD = "face_mesh_attention"

    @classmethod
    def cards(cls) -> list[str]:
        """Return the names of the model cards that the mesher needs."""
        return [cls.CARD]

    def __init__(self, provider: str) -> None:
        self._model = session.load(self.CARD, provider)
        decode = self._model.card.decode
        if not isinstance(decode, MeshCard):
            raise WeightsError(f"the card {self.CARD} decodes as {type(decode).__name__}")
        self._crop = decode.crop
        self._size = self._model.card.shape[0]

    def __call__(self, pictures: Sequence[Picture], faces: Sequence[Face]) -> list[MeshedFace]:
        """Return each face, which is in the picture of its place, with its mesh.

        The detector's box and points place a first crop, the points found in it a second one;
        further crops would stay where the second is.
        """
        squares = [self._first_square(face) for face in faces]
        meshes = self._run(pictures, squares)
        better = [mesh.square(self._crop) for mesh in meshes]
        moved = [n for n, pair in enumerate(zip(squares, better, strict=True)) if _moved(*pair)]
        again = self._run([pictures[n] for n in moved], [better[n] for n in moved])
        for n, mesh in zip(moved, again, strict=True):
            meshes[n] = mesh
        return [_meshed(face, mesh) for face, mesh in zip(faces, meshes, strict=True)]

    def _first_square(self, face: Face) -> Square:
        x1, y1, x2, y2 = face.box
        (left_x, left_y), (right_x, right_y) = face.points[:2]
        return Square(
            x=(x1 + x2) / 2,
            y=(y1 + y2) / 2,
            side=self._crop * max(x2 - x1, y2 - y1),
            angle=math.atan2(right_y - left_y, right_x - left_x),
        )

    def _run(self, pictures: Sequence[Picture], squares: Sequence[Square]) -> list[Mesh]:
        if not squares:
            return []
        size = self._size
        inputs = batch(pictures, (square.matrix(size) for square in squares), self._model.card)
        outputs = dict(zip(self._model.outputs, self._model(inputs), strict=True))
        return [
            _mesh(square, size, {name: part[n].ravel() for name, part in outputs.items()})
            for n, square in enumerate(squares)
        ]


def _meshed(face: Face, mesh: Mesh) -> MeshedFace:
    landmarks = tuple((x, y) for x, y in mesh.landmarks.tolist())
    if mesh.score < MIN_FIT_SCORE:
        return MeshedFace(replace(face, landmarks=landmarks), mesh)
    left_eye, right_eye, left_mouth, right_mouth, nose = landmarks[:5]
    points = (left_eye, right_eye, nose, left_mouth, right_mouth)
    return MeshedFace(replace(face, points=points, landmarks=landmarks, pose=mesh.pose), mesh)


def _mesh(square: Square, size: int, outputs: dict[str, NDArray[np.float32]]) -> Mesh:
    """Return the mesh of one crop, its points moved from the crop to pixels of the image."""
    back = cv2.invertAffineTransform(square.matrix(size))
    solid = outputs["output_mesh_identity"].reshape(-1, 3)
    # All points at once: five small products would take five times as long.
    flat = [solid[:, :2], *(outputs[name].reshape(-1, 2) for name in FLAT)]
    placed = np.asarray(np.concatenate(flat) @ back[:, :2].T + back[:, 2], np.float64)
    ends = list(accumulate(map(len, flat)))
    points, lips, left_eye, right_eye, left_iris, right_iris = (
        placed[start:end] for start, end in pairwise([0, *ends])
    )
    return Mesh(
        points=np.column_stack([points, solid[:, 2] * square.side / size]),
        lips=lips,
        eyes=np.stack([left_eye, right_eye]),
        irises=np.stack([left_iris, right_iris]),
        score=1 / (1 + math.exp(-float(outputs["conv_faceflag"][0]))),
    )


FLAT = (
    "output_lips",
    "output_left_eye",
    "output_right_eye",
    "output_left_iris",
    "output_right_iris",
)
"""The model's outputs that have no depth."""


def _moved(first: Square, second: Square) -> bool:
    apart = math.hypot(second.x - first.x, second.y - first.y) / first.side
    grown = abs(second.side / first.side - 1)
    turned = abs(math.remainder(second.angle - first.angle, math.tau))
    return max(apart, grown, turned) > MAX_SETTLED
