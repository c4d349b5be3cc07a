"""Face meshes: 468 points in three dimensions, with lips, eyes and irises in more detail.

The attention mesh (Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in
Real-time", 2020) takes an upright square crop round a face. Left and right are those of the image.
"""

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import cv2
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from onlooker.media.picture import Picture
from onlooker.models import session
from onlooker.models.card import Mesh as MeshCard
from onlooker.models.card import WeightsError
from onlooker.types import Face
from onlooker.vision.crops import Square, batch
from onlooker.vision.face_detectors import Yunet
from onlooker.vision.face_shape import FaceShape
from onlooker.vision.pose import angles, rotation
from onlooker.vision.way_up import CONTEXT, SIDE, WayUp

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

MIN_FIT_SCORE = 0.9
"""Score from which a mesh fits, and is better than the detector's five points."""
MAX_LEAN = math.radians(20)
MIN_CERTAINTY = 0.5
"""A face is upright in its crop if it is turned by no more, with at least this certainty."""
SURE_FACE = 0.98
"""Probability of a face from which the detector's word counts: upside down, most have less."""
MAX_APART = 0.06
"""A mesh agrees with the detector if its five points are no further from the detector's on average,
in long sides of the face's box."""
MAX_NEAR = 0.15
"""Likewise, of a mesh that is at least the same way up as the detector found the face."""
CERTAIN_SCORE = 0.9995
CERTAIN_LEAN = 0.9
"""A mesh with both, in a crop that was not turned after it, raises no doubt itself."""
SWAY = math.radians(20)
SURE_SWAY = 0.025
MAX_SWAY = 0.04
"""Any other mesh fits if it is found again in crops turned by `SWAY` either way: its stable points
move by up to this on average, in sides of the crop. If they move by more than SURE_SWAY, and no
sure detector found the face near, the crops that begin at other turns are run, too, and the mesh
that moves least is taken. Of 2,200 faces at all angles, nineteen in twenty right meshes moved by
less than SURE_SWAY. Of 370 wrong meshes eleven moved by less than MAX_SWAY, and one by less than
SURE_SWAY."""
MAX_SETTLED = 0.08
"""A second crop that differs from the first by up to this, in sides or radians, is not run."""
CLOSER = 0.8
MIN_CLOSER_WIDTH = 40
"""Such a face gets a second first crop, smaller by this factor, if it has this many pixels: so are
found a fifth of the rest, mostly profiles."""
MAX_CROPS = 6
"""Crops from one start; an upright face has two at most."""
OTHER_STARTS = (math.pi, math.pi / 2, -math.pi / 2)
"""Turns of the first crop if no mesh fits from there, in radians."""
UPRIGHT_PROBABILITY = 0.98
MAX_UPRIGHT = math.radians(45)
"""A face that no mesh fits is upright, as it was found, if it leans by no more and the detector
finds it again with this probability, and with less in crops at the other turns. So are most of
those that no mesh fits for other reasons, small or half covered ones and profiles, and one in a
hundred turned faces."""
MIN_TURNED_PROBABILITY = 0.3
"""Crops begin at another turn if the detector finds the face there with this probability. A face
that it finds at none is taken as it was found, too."""


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
        return self.score >= CERTAIN_SCORE and abs(self.lean) >= CERTAIN_LEAN

    @property
    def is_plausible(self) -> bool:
        """Whether the crop shows a face, which is certain to be upright in it."""
        upright = not self.is_turned and abs(self.lean) >= MIN_CERTAINTY
        return upright and self.score >= MIN_FIT_SCORE

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
class Fit:
    """A mesh, and how well it fits."""

    mesh: Mesh
    square: Square
    """The crop in which it was found."""
    sway: float
    """0 for a mesh that is not in doubt, infinite for one that cannot fit; see `SWAY`."""


@dataclass(frozen=True, slots=True)
class MeshedFace:
    """A face with its mesh; if the mesh fits, the face's points and pose are the mesh's."""

    face: Face
    mesh: Mesh | None = None

    @property
    def fits(self) -> bool:
        """Whether a mesh shows the face, the right way up; for a profile none does."""
        return self.mesh is not None and self.face.aligned


class Mesher:
    """The model that fits a mesh to each face."""

    CARD = "face_mesh_attention"

    @classmethod
    def cards(cls) -> list[str]:
        """Return the names of the model cards that the mesher needs."""
        return [cls.CARD, Yunet.CARD]

    def __init__(self, provider: str, detector: Yunet | None = None) -> None:
        """detector: for doubtful faces; None loads one."""
        self._model = session.load(self.CARD, provider)
        decode = self._model.card.decode
        if not isinstance(decode, MeshCard):
            raise WeightsError(f"the card {self.CARD} decodes as {type(decode).__name__}")
        self._crop = decode.crop
        self._size = self._model.card.shape[0]
        self._shape = FaceShape(decode.shape)
        self._way_up = WayUp(detector or Yunet(provider))

    def __call__(self, pictures: Sequence[Picture], faces: Sequence[Face]) -> list[MeshedFace]:
        """Return each face, which is in the picture of its place, with its mesh.

        The detector's box and points place a first crop, the points found in it a second one;
        further crops would stay where the second is. If a mesh tells that its face is turned, the
        next crop is turned after it, until the face is upright in the crop.
        """
        squares = [self._first_square(face) for face in faces]
        fits = self._settle(pictures, squares, faces)
        # No mesh fits, or one that may be imagined: a face on its side or upside down, or one that
        # is upright and hard to see.
        open_ = [n for n, fit in enumerate(fits) if _may_be_imagined(faces[n], fit)]
        ways = self._ways_up([pictures[n] for n in open_], [squares[n] for n in open_])
        upright = [n for n, way in zip(open_, ways, strict=True) if _is_upright(squares[n], way)]
        self._fit_upright(pictures, faces, squares, fits, upright)
        left = {
            n: self._other_starts(squares[n], fits[n], way)
            for n, way in zip(open_, ways, strict=True)
            if n not in upright
        }
        while open_ := [n for n in left if left[n] and _may_be_imagined(faces[n], fits[n])]:
            again = self._settle([pictures[n] for n in open_], [left[n].pop(0) for n in open_])
            for n, other in zip(open_, again, strict=True):
                fits[n] = min(fits[n], other, key=lambda fit: fit.sway)
        return [
            self._meshed(face, fit.mesh, fit.sway <= MAX_SWAY)
            for face, fit in zip(faces, fits, strict=True)
        ]

    def _ways_up(self, pictures: Sequence[Picture], squares: Sequence[Square]) -> list[list[float]]:
        """Return the probability that each face is upright in its square, and at OTHER_STARTS."""
        turns = (0, *OTHER_STARTS)
        matrices = [
            replace(
                square, side=CONTEXT / self._crop * square.side, angle=square.angle + turn
            ).matrix(SIDE)
            for square in squares
            for turn in turns
        ]
        found = self._way_up([picture for picture in pictures for _ in turns], matrices)
        return [found[n : n + len(turns)] for n in range(0, len(found), len(turns))]

    def _fit_upright(
        self,
        pictures: Sequence[Picture],
        faces: Sequence[Face],
        squares: Sequence[Square],
        fits: list[Fit],
        upright: Sequence[int],
    ) -> None:
        """Look once more for the meshes of faces that are upright in `squares`, from closer by."""
        for n in upright:
            fits[n] = _the_same_way_up(faces[n], fits[n])
        wide = [n for n in upright if faces[n].box[2] - faces[n].box[0] >= MIN_CLOSER_WIDTH]
        again = self._settle(
            [pictures[n] for n in wide],
            [replace(squares[n], side=CLOSER * squares[n].side) for n in wide],
            [faces[n] for n in wide],
        )
        for n, fit in zip(wide, again, strict=True):
            fits[n] = min(fits[n], _the_same_way_up(faces[n], fit), key=lambda fit: fit.sway)

    def _other_starts(self, square: Square, fit: Fit, way: Sequence[float]) -> list[Square]:
        """Return the squares from which a better mesh may be found, likeliest first.

        square: the one from which `fit` was found. way: see `_ways_up`.
        """
        likely = sorted(zip(way[1:], OTHER_STARTS, strict=True), reverse=True)
        return [
            self._next_square(fit.square, fit.mesh),
            *(
                replace(square, angle=square.angle + turn)
                for probability, turn in likely
                if probability >= MIN_TURNED_PROBABILITY
            ),
        ]

    def _settle(
        self, pictures: Sequence[Picture], first: Sequence[Square], faces: Sequence[Face] = ()
    ) -> list[Fit]:
        """Return the mesh of the last crop of each face.

        faces: as the detector found them, if the first crops, `first`, are placed after them; then
        two that show no upright face end it. Empty if they are turned against what it found.
        """
        squares = list(first)
        meshes = self._run(pictures, squares)
        followed = [not faces or mesh.is_turned for mesh in meshes]
        open_ = list(range(len(squares)))
        for crops in range(1, MAX_CROPS):
            better = {n: self._next_square(squares[n], meshes[n]) for n in open_}
            open_ = [
                n
                for n, square in better.items()
                if (crops == 1 or (followed[n] and (not faces or meshes[n].is_plausible)))
                and _moved(squares[n], square)
            ]
            again = self._run([pictures[n] for n in open_], [better[n] for n in open_])
            for n, mesh in zip(open_, again, strict=True):
                squares[n], meshes[n] = better[n], mesh
                followed[n] |= mesh.is_turned
        doubtful = [
            n
            for n, mesh in enumerate(meshes)
            if mesh.is_plausible and not (faces and _trusted(faces[n], mesh, followed[n]))
        ]
        moved = self._sway([pictures[n] for n in doubtful], [meshes[n] for n in doubtful])
        measured = dict(zip(doubtful, moved, strict=True))
        return [
            Fit(mesh, square, measured.get(n, 0.0 if mesh.is_plausible else math.inf))
            for n, (mesh, square) in enumerate(zip(meshes, squares, strict=True))
        ]

    def _sway(self, pictures: Sequence[Picture], meshes: Sequence[Mesh]) -> list[float]:
        """Return how far each mesh moves if its crop is turned to the left and to the right.

        A mesh that the model imagined stays upright in the crop, and so turns with it.
        """
        level = [mesh.square(self._crop) for mesh in meshes]
        moved = [0.0] * len(meshes)
        for turn in (-SWAY, SWAY):
            open_ = [n for n, far in enumerate(moved) if far <= MAX_SWAY]
            swayed = [replace(level[n], angle=level[n].angle + turn) for n in open_]
            for n, mesh in zip(open_, self._run([pictures[n] for n in open_], swayed), strict=True):
                apart = mesh.points[STABLE, :2] - meshes[n].points[STABLE, :2]
                mean = float(np.linalg.norm(apart, axis=1).mean())
                moved[n] = max(moved[n], mean / level[n].side)
        return moved

    def _first_square(self, face: Face) -> Square:
        x1, y1, x2, y2 = face.box
        (left_x, left_y), (right_x, right_y) = face.points[:2]
        return Square(
            x=(x1 + x2) / 2,
            y=(y1 + y2) / 2,
            side=self._crop * max(x2 - x1, y2 - y1),
            angle=math.atan2(right_y - left_y, right_x - left_x),
        )

    def _next_square(self, square: Square, mesh: Mesh) -> Square:
        """Return the square round a mesh that was found in another one."""
        after = square.angle + cmath.phase(mesh.lean)
        return mesh.square(self._crop, after if mesh.is_turned else None)

    def _run(self, pictures: Sequence[Picture], squares: Sequence[Square]) -> list[Mesh]:
        if not squares:
            return []
        size = self._size
        inputs = batch(pictures, (square.matrix(size) for square in squares), self._model.card)
        outputs = dict(zip(self._model.outputs, self._model(inputs), strict=True))
        leans = self._shape.lean(outputs["output_mesh_identity"].reshape(len(squares), -1, 3))
        return [
            _mesh(square, size, {name: part[n].ravel() for name, part in outputs.items()}, lean)
            for n, (square, lean) in enumerate(zip(squares, leans, strict=True))
        ]

    def _meshed(self, face: Face, mesh: Mesh, fits: bool) -> MeshedFace:
        landmarks = tuple((x, y) for x, y in mesh.landmarks.tolist())
        if not fits:
            return MeshedFace(structs.replace(face, landmarks=landmarks, aligned=False), mesh)
        left_eye, right_eye, left_mouth, right_mouth, nose = landmarks[:5]
        points = (left_eye, right_eye, nose, left_mouth, right_mouth)
        pose = angles(rotation(mesh.points, self._shape.mean))
        return MeshedFace(
            structs.replace(face, points=points, landmarks=landmarks, pose=pose), mesh
        )


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


def _trusted(face: Face, mesh: Mesh, followed: bool) -> bool:
    """Return whether a mesh whose first crop was placed after the detected face needs no proof.

    followed: whether a later crop was turned after the mesh.
    """
    if face.score < SURE_FACE:
        return False
    return (mesh.is_certain and not followed) or _apart(face, mesh) <= MAX_APART


def _is_upright(square: Square, way: Sequence[float]) -> bool:
    """Return whether the face is as upright as it was found; `way` as `Mesher._ways_up` says."""
    as_found, *turned = way
    sure = as_found >= max(UPRIGHT_PROBABILITY, *turned)
    leans = abs(math.remainder(square.angle, math.tau)) > MAX_UPRIGHT
    return not leans and (sure or max(turned) < MIN_TURNED_PROBABILITY)


def _the_same_way_up(face: Face, fit: Fit) -> Fit:
    """Return the fit of a face whose way up is known; it cannot fit if it is another way up."""
    return fit if _apart(face, fit.mesh) <= MAX_NEAR else replace(fit, sway=math.inf)


def _may_be_imagined(face: Face, fit: Fit) -> bool:
    """Return whether a better mesh is to be looked for than one that sways like this."""
    if not SURE_SWAY < fit.sway <= MAX_SWAY:
        return fit.sway > MAX_SWAY
    return face.score < SURE_FACE or _apart(face, fit.mesh) > MAX_NEAR


def _apart(face: Face, mesh: Mesh) -> float:
    """Return how far the mesh's five points are from the detector's, in long sides of the box."""
    x1, y1, x2, y2 = face.box
    apart = np.array(face.points) - mesh.landmarks[FIVE]
    return float(np.linalg.norm(apart, axis=1).mean()) / max(x2 - x1, y2 - y1)


def _moved(first: Square, second: Square) -> bool:
    apart = math.hypot(second.x - first.x, second.y - first.y) / first.side
    grown = abs(second.side / first.side - 1)
    turned = abs(math.remainder(second.angle - first.angle, math.tau))
    return max(apart, grown, turned) > MAX_SETTLED
