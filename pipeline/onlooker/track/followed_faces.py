"""The faces of one stream before they are recognised: which of them need it.

They are followed by motion alone, on the detector's boxes. A face is recognised if it is new, if it
may be somebody else's than it seems, if it has turned, if it is clearly better than before, and at
an interval; what is known of it is carried over to the frames between.
"""

import math
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from onlooker.media.picture import Picture
from onlooker.track import patch
from onlooker.track.box_motion import overlap
from onlooker.track.face_tracker import Detected, FaceTracker
from onlooker.track.gallery import APART_SECONDS, MAX_EXEMPLARS, Vector, weight
from onlooker.track.patch import Patch, Shift
from onlooker.types import Box, Face, Like, Point

GAP_SECONDS = 0.35
"""After a longer time without a frame, or after a frame without it, a face may be another one."""
MIN_OVERLAP = 0.5
"""A face that overlaps the place where it is expected by less may be another one."""
MAX_NEIGHBOUR = 0.05
"""Two faces whose boxes overlap more may be taken for each other."""
REST_SECONDS = 0.5
"""Interval at which a face is recognised again once MAX_EXEMPLARS of its images have been."""
BETTER = 1.2
"""Share of the best weight so far from which a face is clearly better."""
REACH = 0.4
"""Widths of a face around the expected place in which its pixels are searched."""
PATCH_HEIGHTS = 2.0
"""Height of a face in heights of a patch's characters: a face is 32 pixels high in its patch."""
MAX_BEND = 0.04
"""Root mean square by which the five points may deviate from the earlier ones, moved, turned and
scaled (see `similarity`). With more, the head has turned, or the mouth has moved."""


class Recognised(msgspec.Struct):
    """The last recognition of a followed face.

    frame, number: the frame's index, and the face's place in it. weight: the best so far. times:
    how often it was recognised.
    """

    frame: int
    number: int
    time: float
    points: tuple[Point, Point, Point, Point, Point]
    weight: float
    times: int


class Searched(msgspec.Struct, frozen=True):
    """A face as it was detected last, and its pixels; None if they cannot be found again."""

    face: Face
    patch: Patch | None


class FollowedFaces(msgspec.Struct):
    """The state of one stream."""

    tracker: FaceTracker = msgspec.field(
        default_factory=lambda: FaceTracker(confirm=math.inf, absence=0.0)
    )
    recognised: dict[int, Recognised] = {}
    """By the number of the face's track."""
    searched: dict[int, Searched] = {}
    """The faces of the last frame that was searched, by the number of their tracks, if later frames
    may not be."""
    last: float = 0.0
    """Time of the last frame."""

    def take(
        self,
        index: int,
        time: float,
        faces: Sequence[Face],
        cut: bool,
        picture: Picture | None = None,
    ) -> tuple[Face, ...]:
        """Return the faces of frame `index`; those that need not be recognised have `like`.

        picture: the image, if the next frames may not be searched.
        """
        self._end(time, cut)
        self.searched = {}
        # Where each face is expected, and when it was there.
        expected = {
            track.number: (track.motion.at(time).box(), track.last) for track in self.tracker.tracks
        }
        found = [Detected(face.box) for face in faces]
        tracks = self.tracker.update(time, found, _unlike, str)
        steady = not cut and time - self.last <= GAP_SECONDS
        taken = []
        for place, face in enumerate(faces):
            track = tracks[place]
            assert track is not None, "every detection is sure"
            before = self.recognised.get(track.number)
            others = [each.box for n, each in enumerate(faces) if n != place]
            others += [box for n, (box, _) in expected.items() if n != track.number]
            sure = (
                steady
                and _continues(face.box, expected.get(track.number), self.last)
                and all(overlap(other, face.box) <= MAX_NEIGHBOUR for other in others)
            )
            like = _like(before, face, time) if before is not None and sure else None
            if like is None:
                self.recognised[track.number] = Recognised(
                    index,
                    place,
                    time,
                    face.points,
                    max(weight(face), before.weight if before else 0.0),
                    before.times + 1 if before else 1,
                )
            taken.append(replace(face, like=like))
            if picture is not None:
                height = (face.box[3] - face.box[1]) / PATCH_HEIGHTS
                self.searched[track.number] = Searched(face, patch.cut(picture, face.box, height))
        self.last = time
        return tuple(taken)

    def carry(
        self, time: float, picture: Picture, cut: bool, nothing_new: bool = False
    ) -> tuple[Face, ...]:
        """Return the faces of a frame that is not searched: the last ones, where they are now.

        nothing_new: whether everything in the frame was in the one before, too. Then a face whose
        pixels cannot be found again, since it is hardly to be seen, is where it is expected.
        """
        self._end(time, cut)
        taken = []
        for track in self.tracker.tracks:
            known = self.searched.get(track.number)
            before = self.recognised.get(track.number)
            if known is None or before is None or cut:
                continue
            x1, y1, x2, y2 = known.face.box
            left, top, right, bottom = track.motion.at(time).box()
            way = (left + right - x1 - x2) / 2, (top + bottom - y1 - y2) / 2
            if known.patch is None:
                shift = way if nothing_new else None
            else:
                shift = patch.locate(known.patch, picture, way, REACH * (x2 - x1))
            if shift is not None:
                taken.append(_shifted(known.face, before, shift))
        self.tracker.update(time, [Detected(face.box) for face in taken], _unlike, str)
        self.last = time
        return tuple(taken)

    def _end(self, time: float, cut: bool) -> None:
        for gone in self.tracker.end(time):
            self.recognised.pop(gone.number, None)
        if cut:
            self.tracker.cut()


def _shifted(face: Face, before: Recognised, shift: Shift) -> Face:
    """Return a face that has moved by `shift`, and is like the one that was recognised."""
    x, y = shift
    x1, y1, x2, y2 = face.box
    a, b, c, d, e = ((px + x, py + y) for px, py in face.points)
    points = (a, b, c, d, e)
    move, _ = similarity(before.points, points)
    return replace(
        face,
        box=(x1 + x, y1 + y, x2 + x, y2 + y),
        points=points,
        like=Like(frame=before.frame, number=before.number, move=move),
    )


def _unlike(_one: Vector, _other: Vector) -> float:
    raise AssertionError("faces that are not recognised yet have no vectors")


def _continues(box: Box, expected: tuple[Box, float] | None, before: float) -> bool:
    """Return whether a face was in the frame before, at time `before`, and moved as expected."""
    if expected is None:
        return False
    place, last = expected
    return last >= before and overlap(place, box) >= MIN_OVERLAP


def _like(before: Recognised, face: Face, time: float) -> Like | None:
    """Return from where the face's results are carried over; None if it is to be recognised."""
    since = time - before.time
    if since >= (APART_SECONDS if before.times < MAX_EXEMPLARS else REST_SECONDS):
        return None
    if weight(face) > BETTER * before.weight:
        return None
    move, bend = similarity(before.points, face.points)
    return None if bend > MAX_BEND else Like(frame=before.frame, number=before.number, move=move)


def similarity(
    one: Sequence[Point], other: Sequence[Point]
) -> tuple[tuple[float, float, float, float], float]:
    """Return the move (see Like) that takes points to others best, by least squares.

    Also the root mean square of what is left, in distances between the first two of `other`, the
    eyes, or half of that from first to last, if the eyes are nearer in a profile.
    """
    a, b = [complex(*point) for point in one], [complex(*point) for point in other]
    mean, aim = sum(a) / len(a), sum(b) / len(b)
    spread = sum(abs(each - mean) ** 2 for each in a)
    turn = (
        sum((each - mean).conjugate() * (to - aim) for each, to in zip(a, b, strict=True)) / spread
        if spread
        else 1.0
    )
    turn = complex(turn)
    left = sum(abs(turn * (each - mean) + aim - to) ** 2 for each, to in zip(a, b, strict=True))
    scale = max(abs(b[1] - b[0]), abs(b[-1] - b[0]) / 2, 1e-9)
    shift = aim - turn * mean
    return (turn.real, turn.imag, shift.real, shift.imag), math.sqrt(left / len(a)) / scale
