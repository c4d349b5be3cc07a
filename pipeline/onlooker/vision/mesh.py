"""Face meshes: 468 points in three dimensions, with lips, eyes and irises in more detail.

The attention mesh (Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in
Real-time", 2020) takes an upright square crop round a face. Left and right are those of the image.
"""

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Picture
from onlooker.models import session
from onlooker.models.card import Mesh as MeshCard
from onlooker.models.card import WeightsError
from onlooker.types import Face
from onlooker.vision.crops import Square, batch
from onlooker.vision.face_shape import FaceShape

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
FIVE = [0, 1, 4, 2, 3]
"""The detector's points among the landmarks."""
STABLE = [33, 133, 362, 263, 1, 4, 129, 358, 61, 291, 0, 17, 70, 105, 107, 336, 334, 300, 168, 152]
"""Points that hardly move when a face speaks: twenty of eyes, nose, mouth, brows and chin."""
LEVEL = [33, 263]
"""Outer corners of the eyes, which are level in the crop."""

MAX_LEAN = math.radians(20)
MIN_LEAN_CERTAINTY = 0.5
MIN_SCORE = 0.9
"""A mesh may fit if its crop shows a face with this score, turned by no more, with at least this
certainty."""
CERTAIN_SCORE = 0.9998
CERTAIN_LEAN = 0.9
"""Likewise, of a mesh in which nothing raises a doubt. Of 6,400 such meshes of faces at all angles
one was imagined; of 190 others that may fit, 29."""


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
    lean: complex
    """How the face is turned against the crop, which should be upright: see `FaceShape`."""

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
    def is_turned(self) -> bool:
        """Whether the face seems to be turned against the crop."""
        return abs(cmath.phase(self.lean)) > MAX_LEAN

    @property
    def is_certain(self) -> bool:
        """Whether nothing in the mesh itself raises a doubt that it fits."""
        upright = not self.is_turned and abs(self.lean) >= CERTAIN_LEAN
        return upright and self.score >= CERTAIN_SCORE

    @property
    def is_plausible(self) -> bool:
        """Whether the crop shows a face, which is certain to be upright in it."""
        upright = not self.is_turned and abs(self.lean) >= MIN_LEAN_CERTAINTY
        return upright and self.score >= MIN_SCORE

    def square(self, times: float, angle: float | None = None) -> Square:
        """Return the square round all points, `times` as wide as they are.

        It is turned by `angle`, or so that the eyes are level.
        """
        if angle is None:
            left, right = self.points[LEVEL, :2]
            angle = math.atan2(right[1] - left[1], right[0] - left[0])
        along, across = math.cos(angle), math.sin(angle)
        upright = np.array([[along, -across], [across, along]])
        turned = self.points[:, :2] @ upright
        low, high = turned.min(0), turned.max(0)
        x, y = upright @ (low + high) / 2
        return Square(x=x, y=y, side=times * float((high - low).max()), angle=angle)


@dataclass(frozen=True, slots=True)
class MeshedFace:
    """A face with its mesh; if the mesh fits, the face's points and pose are the mesh's."""

    face: Face
    mesh: Mesh | None = None

    @property
    def fits(self) -> bool:
        """Whether a mesh shows the face, the right way up; for a profile none does."""
        return self.mesh is not None and self.face.aligned


class MeshModel:
    """The model that shows the face in a square crop, upright."""

    CARD = "face_mesh_attention"

    def __init__(self, provider: str) -> None:
        self._model = session.load(self.CARD, provider)
        decode = self._model.card.decode
        if not isinstance(decode, MeshCard):
            raise WeightsError(f"the card {self.CARD} decodes as {type(decode).__name__}")
        self.context = decode.crop
        """Side of a crop in long sides of the face."""
        self.shape = FaceShape(decode.shape)
        self._size = self._model.card.shape[0]

    def __call__(self, pictures: Sequence[Picture], squares: Sequence[Square]) -> list[Mesh]:
        """Return the mesh in each square, which is in the picture of its place."""
        if not squares:
            return []
        size = self._size
        inputs = batch(pictures, (square.matrix(size) for square in squares), self._model.card)
        outputs = dict(zip(self._model.outputs, self._model(inputs), strict=True))
        leans = self.shape.lean(outputs["output_mesh_identity"].reshape(len(squares), -1, 3))
        return [
            _mesh(square, size, {name: part[n].ravel() for name, part in outputs.items()}, lean)
            for n, (square, lean) in enumerate(zip(squares, leans, strict=True))
        ]

    def first_square(self, face: Face) -> Square:
        """Return the square round a face as the detector found it."""
        x1, y1, x2, y2 = face.box
        (left_x, left_y), (right_x, right_y) = face.points[:2]
        return Square(
            x=(x1 + x2) / 2,
            y=(y1 + y2) / 2,
            side=self.context * max(x2 - x1, y2 - y1),
            angle=math.atan2(right_y - left_y, right_x - left_x),
        )

    def next_square(self, square: Square, mesh: Mesh) -> Square:
        """Return the square round a mesh that was found in another one."""
        after = square.angle + cmath.phase(mesh.lean)
        return mesh.square(self.context, after if mesh.is_turned else None)


def _mesh(
    square: Square, size: int, outputs: dict[str, NDArray[np.float32]], lean: complex
) -> Mesh:
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
        lean=lean,
    )


FLAT = (
    "output_lips",
    "output_left_eye",
    "output_right_eye",
    "output_left_iris",
    "output_right_iris",
)
"""The model's outputs that have no depth."""
