"""Meshes of faces at any roll: each the right way up, or none.

The mesh model shows an upright face whatever its crop shows: of a face that is upside down in the
crop, or on its side, it imagines one. Two others tell: the network that reads from a mesh how its
face is turned, and the fast detector, which is surest of a face that is upright.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from msgspec import structs

from onlooker.media.picture import Picture
from onlooker.types import Face
from onlooker.vision.crops import Square
from onlooker.vision.face_detectors import Yunet
from onlooker.vision.mesh import (
    CERTAIN_LEAN,
    CERTAIN_SCORE,
    FIVE,
    Mesh,
    MeshedFace,
    MeshModel,
    Points,
)
from onlooker.vision.pose import angles, rotation
from onlooker.vision.way_up import OTHER_TURNS, Enough, Ways, WayUp

MAX_NEAR = 0.15
"""A mesh agrees with the detector if its five points are no further from the detector's on average,
in long sides of the face's box. If it is also certain, it needs no proof: of 3,600 such meshes of
faces at all angles none was imagined."""
MAX_NEAREST = 0.05
"""Likewise, of a mesh whose score alone is certain."""
MIN_SEEN_PROBABILITY = 0.9
MAX_SEEN_APART = 0.08
MAX_DOUBTFUL_APART = 0.06
"""Any other mesh must be seen by the detector: in the mesh's own crop it finds a face with at least
this probability, no higher one in that crop turned by quarters, and the five points no further from
the mesh's, or from those of a mesh that is not certain. So it did with 3,900 right meshes but four,
and with one of 63 imagined ones. If it finds next to nothing at the other turns, and the lean is
certain, MAX_NEAR will do."""
MAX_SETTLED = 0.08
"""A second crop that differs from the first by up to this, in sides or radians, is not run."""
CLOSER = 0.8
MIN_CLOSER_WIDTH = 40
"""Such a face gets a second first crop, smaller by this factor, if it has this many pixels: so are
found a fifth of the rest, mostly profiles, but none of 23 upright ones of which no crop before was
better than hopeless."""
TINY_WIDTH = 32
MIN_TINY_SCORE = 0.1
"""A face of fewer pixels could not be indexed. If its mesh has no higher score, no other is looked
for: so have 33 of 46 upright faces of this width that no mesh fits, and none of ten turned ones for
which a mesh is found from another start."""
MAX_CROPS = 6
MIN_TURNED_CROPS = 3
HOPELESS_SCORE = 0.01
"""Maximum number of crops from one start; an upright face has two at most. From another start there
are three; further ones only if the mesh has a higher score by then."""
UPRIGHT_PROBABILITY = 0.98
MAX_UPRIGHT = math.radians(45)
"""A face that no mesh fits is upright, as it was found, if it leans by no more and the detector
finds it again with this probability, and with less in crops at the other turns. So are most of
those that no mesh fits for other reasons, small or half covered ones and profiles, and one in a
hundred turned faces."""
SURE_PROBABILITY = 0.9965
"""With this probability it is not asked about other turns: so sure it was of none of 500 faces that
were turned and that no mesh fitted."""
MIN_TURNED_PROBABILITY = 0.3
"""Crops begin at another turn if the detector finds the face there with this probability. A face
that it finds at none is taken as it was found, too."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A mesh, and the crop in which it was found."""

    mesh: Mesh
    square: Square
    best_score: float
    """The highest score of a mesh since the search began."""


class Start(NamedTuple):
    """The first crop of a search."""

    square: Square
    as_found: bool
    """Whether the crop is turned as the detector found the face: two crops that show no upright
    face end the search then."""
    again: bool = False
    """Whether a larger crop has found no mesh: one hopeless crop ends the search then."""

    def min_crops(self, mesh: Mesh) -> int:
        """Return the minimum number of crops; `mesh` is that of the last one."""
        if self.again and mesh.score <= HOPELESS_SCORE:
            return 1
        return 2 if self.as_found else MIN_TURNED_CROPS


class Mesher:
    """The search for the mesh of each face."""

    @classmethod
    def cards(cls) -> list[str]:
        """Return the names of the model cards that the mesher needs."""
        return [MeshModel.CARD, Yunet.CARD]

    def __init__(self, provider: str, detector: Yunet | None = None) -> None:
        """detector: for doubtful faces; None loads one."""
        self._model = MeshModel(provider)
        self._way_up = WayUp(detector or Yunet(provider))

    def __call__(self, pictures: Sequence[Picture], faces: Sequence[Face]) -> list[MeshedFace]:
        """Return each face, which is in the picture of its place, with its mesh.

        The detector's box and points place a first crop, the points found in it a second one;
        further crops would stay where the second is. If a mesh tells that its face is turned, the
        next crop is turned after it, until the face is upright in the crop.
        """
        starts = list(map(self._model.first_square, faces))
        fits = self._settle(pictures, [Start(square, True) for square in starts])
        disagreeing = [n for n, face in enumerate(faces) if not _agrees(face, fits[n].mesh)]
        open_: dict[int, list[Start]] = {n: [] for n in disagreeing}
        # On its side or upside down, or upright and hard to see.
        doubtful = [
            n
            for n in disagreeing
            if fits[n].mesh.score > MIN_TINY_SCORE or _width(faces[n]) >= TINY_WIDTH
        ]
        squares = [
            self._level(fits[n].mesh) if fits[n].mesh.is_plausible else starts[n] for n in doubtful
        ]

        def enough(place: int, ways: Ways) -> bool:
            sure = ways.upright >= SURE_PROBABILITY and _is_upright(squares[place], ways)
            return sure and not _is_seen(fits[doubtful[place]].mesh, ways)

        answers = self._ways([pictures[n] for n in doubtful], squares, enough)
        for n, square, ways in zip(doubtful, squares, answers, strict=True):
            if _is_seen(fits[n].mesh, ways):
                del open_[n]
            else:
                open_[n] = self._other_starts(faces[n], starts[n], fits[n], square, ways)
        while again := [n for n, left in open_.items() if left]:
            found = self._seen([pictures[n] for n in again], [open_[n].pop(0) for n in again])
            for n, fit in zip(again, found, strict=True):
                if fit is not None:
                    fits[n] = fit
                    del open_[n]
        return [
            self._meshed(face, fit.mesh, n not in open_)
            for n, (face, fit) in enumerate(zip(faces, fits, strict=True))
        ]

    def _ways(
        self, pictures: Sequence[Picture], squares: Sequence[Square], enough: Enough
    ) -> list[Ways]:
        """Return the detector's answers about the faces in crops of the mesh model."""
        longs = [replace(each, side=each.side / self._model.context) for each in squares]
        return self._way_up(pictures, longs, enough)

    def _level(self, mesh: Mesh) -> Square:
        """Return the mesh's own crop, in which its eyes are level."""
        return mesh.square(self._model.context)

    def _other_starts(
        self, face: Face, start: Square, fit: Fit, asked: Square, ways: Ways
    ) -> list[Start]:
        """Return the crops from which a better mesh may be found, likeliest first.

        start: from which `fit` was found. asked: of which `ways` tells.
        """
        if _is_upright(asked, ways):
            closer = Start(replace(start, side=CLOSER * start.side), True, again=True)
            sure = ways.upright >= UPRIGHT_PROBABILITY
            hopeless = sure and fit.best_score <= HOPELESS_SCORE
            return [closer] if _width(face) >= MIN_CLOSER_WIDTH and not hopeless else []
        likely = sorted(zip(ways.turned, OTHER_TURNS, strict=True), reverse=True)
        turned = [
            Start(replace(asked, angle=asked.angle + turn), False)
            for probability, turn in likely
            if probability >= MIN_TURNED_PROBABILITY
        ]
        return [*turned, Start(self._model.next_square(fit.square, fit.mesh), False)]

    def _seen(self, pictures: Sequence[Picture], starts: Sequence[Start]) -> list[Fit | None]:
        """Return the fit found from each start, or None if the detector does not see it."""
        fits = self._settle(pictures, starts)
        maybe = [n for n, fit in enumerate(fits) if fit.mesh.is_plausible]
        ways = self._ways(
            [pictures[n] for n in maybe],
            [self._level(fits[n].mesh) for n in maybe],
            lambda place, ways: not _is_seen(fits[maybe[place]].mesh, ways),
        )
        seen = {n for n, each in zip(maybe, ways, strict=True) if _is_seen(fits[n].mesh, each)}
        return [fit if n in seen else None for n, fit in enumerate(fits)]

    def _settle(self, pictures: Sequence[Picture], starts: Sequence[Start]) -> list[Fit]:
        """Return the mesh of the last crop of each face."""
        squares = [start.square for start in starts]
        meshes = self._model(pictures, squares)
        scores = [mesh.score for mesh in meshes]
        followed = [
            not start.as_found or mesh.is_turned for mesh, start in zip(meshes, starts, strict=True)
        ]
        open_ = list(range(len(squares)))
        for crops in range(1, MAX_CROPS):
            better = {
                n: self._model.next_square(squares[n], meshes[n])
                for n in open_
                if crops < starts[n].min_crops(meshes[n])
                or (followed[n] and _is_promising(meshes[n], starts[n].as_found))
            }
            open_ = [n for n, square in better.items() if _moved(squares[n], square)]
            again = self._model([pictures[n] for n in open_], [better[n] for n in open_])
            for n, mesh in zip(open_, again, strict=True):
                squares[n], meshes[n] = better[n], mesh
                scores[n] = max(scores[n], mesh.score)
                followed[n] |= mesh.is_turned
        return [Fit(*each) for each in zip(meshes, squares, scores, strict=True)]

    def _meshed(self, face: Face, mesh: Mesh, fits: bool) -> MeshedFace:
        landmarks = tuple((x, y) for x, y in mesh.landmarks.tolist())
        if not fits:
            return MeshedFace(structs.replace(face, landmarks=landmarks, aligned=False), mesh)
        left_eye, right_eye, left_mouth, right_mouth, nose = landmarks[:5]
        points = (left_eye, right_eye, nose, left_mouth, right_mouth)
        pose = angles(rotation(mesh.points, self._model.shape.mean))
        return MeshedFace(
            structs.replace(face, points=points, landmarks=landmarks, pose=pose), mesh
        )


def _is_promising(mesh: Mesh, as_found: bool) -> bool:
    """Return whether further crops may show a mesh that fits."""
    return mesh.is_plausible if as_found else mesh.score > HOPELESS_SCORE


def _agrees(face: Face, mesh: Mesh) -> bool:
    """Return whether a mesh is believed without a proof: it is certain, and where the face is."""
    if not mesh.is_plausible or mesh.score < CERTAIN_SCORE:
        return False
    return _apart(face, mesh) <= (MAX_NEAR if mesh.is_certain else MAX_NEAREST)


def _is_seen(mesh: Mesh, ways: Ways) -> bool:
    """Return whether the detector sees what the mesh shows; `ways` are those of its own crop."""
    if not mesh.is_plausible or ways.upright < max(MIN_SEEN_PROBABILITY, *ways.turned):
        return False
    apart = _mean_apart(mesh, ways.points) / ways.length
    if max(ways.turned) < MIN_TURNED_PROBABILITY and abs(mesh.lean) >= CERTAIN_LEAN:
        return apart <= MAX_NEAR
    return apart <= (MAX_SEEN_APART if mesh.is_certain else MAX_DOUBTFUL_APART)


def _is_upright(square: Square, ways: Ways) -> bool:
    """Return whether the face is as upright as it was found, by the answers about its square."""
    sure = ways.upright >= max(UPRIGHT_PROBABILITY, *ways.turned)
    leans = abs(math.remainder(square.angle, math.tau)) > MAX_UPRIGHT
    return not leans and (sure or max(ways.turned) < MIN_TURNED_PROBABILITY)


def _width(face: Face) -> float:
    return face.box[2] - face.box[0]


def _apart(face: Face, mesh: Mesh) -> float:
    """Return how far the mesh's five points are from the detector's, in long sides of the box."""
    x1, y1, x2, y2 = face.box
    return _mean_apart(mesh, np.array(face.points)) / max(x2 - x1, y2 - y1)


def _mean_apart(mesh: Mesh, five: Points) -> float:
    """Return the mean distance of the detector's points, (5, 2), from the mesh's, in pixels."""
    return float(np.linalg.norm(five - mesh.landmarks[FIVE], axis=1).mean())


def _moved(first: Square, second: Square) -> bool:
    apart = math.hypot(second.x - first.x, second.y - first.y) / first.side
    grown = abs(second.side / first.side - 1)
    turned = abs(math.remainder(second.angle - first.angle, math.tau))
    return max(apart, grown, turned) > MAX_SETTLED
