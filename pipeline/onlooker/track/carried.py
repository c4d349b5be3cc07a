"""Results for faces and text, kept for the later frames to which they are carried over."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import msgspec
from msgspec.structs import replace

from onlooker.track.face_tracker import FaceTrack
from onlooker.types import Face, Frame, Like, Point, Quad, TextLine
from onlooker.vision.text_lines import in_reading_order

KEPT_SECONDS = 2.0
"""Time after which a result is dropped to which no later frame refers."""

EVEN_SCORE = 0.5
"""Score of a reading, for each character, that says nothing for or against it."""

Move = tuple[float, float, float, float]
"""See onlooker.types.Like."""


Origin = Literal["read", "reread", "carried", "bridged"]
"""Of a line: some of it was detected and read in this frame; it was read again in it, though the
detector missed it; it was read in an earlier one, and detected in this one or not."""


class Kept(msgspec.Struct):
    """The results of one frame, by their place in it, without those that it has from others.

    used: time of the last frame to which one of them was carried over.
    """

    used: float
    faces: dict[int, Face] = {}
    tracks: dict[int, int] = {}
    """Numbers of the tracks of the faces."""
    lines: dict[int, tuple[TextLine, ...]] = {}


class Carried(msgspec.Struct):
    """The results of one stream that later frames may refer to."""

    epoch: str = ""
    kept: dict[int, Kept] = {}
    """By the index of the frame."""

    def fill(self, frame: Frame, time: float) -> tuple[Frame, list[Origin]]:
        """Return the frame with all results, and the origin of each of its lines.

        Keeps the frame's own results. A face whose origin could not be recognised stays as it was
        detected; of such text there is nothing.
        """
        if frame.epoch != self.epoch:
            self.epoch, self.kept = frame.epoch, {}
        self.kept = {n: each for n, each in self.kept.items() if time - each.used <= KEPT_SECONDS}
        own = Kept(time)
        faces = []
        for number, face in enumerate(frame.faces):
            if face.like is None:
                own.faces[number] = face
            else:
                origin = self._of(face.like, time)
                if origin is not None and face.like.number in origin.faces:
                    face = _carried_face(face, origin.faces[face.like.number], face.like)
            faces.append(face)
        lines: list[TextLine] = []
        origins: dict[Quad, Origin] = {}  # of words, whose text the reading order may change
        for number, quad in enumerate(frame.quads):
            read = self._moved(quad.like, time)
            if not quad.known and (quad.like is None or _surer(quad.lines or (), read)):
                read = quad.lines or ()
                how: Origin = "read" if quad.detected else "reread"
            else:
                how = "carried" if quad.detected else "bridged"
            origins |= {word.quad: how for line in read for word in line.words}
            if not quad.known:
                own.lines[number] = read
            lines += read
        if own.faces or own.lines:
            self.kept[frame.index] = own
        ordered = in_reading_order(lines)
        return (
            replace(frame, faces=tuple(faces), lines=ordered, quads=()),
            [_origin({origins.get(word.quad, "read") for word in line.words}) for line in ordered],
        )

    def track(self, face: Face) -> int | None:
        """Return the number of the track of the face that is carried over to this one."""
        if face.like is None or face.like.frame not in self.kept:
            return None
        return self.kept[face.like.frame].tracks.get(face.like.number)

    def follow(self, index: int, tracks: Sequence[FaceTrack | None]) -> None:
        """Take note of the tracks of the faces of frame `index`."""
        if index in self.kept:
            kept = self.kept[index]
            kept.tracks = {n: t.number for n, t in enumerate(tracks) if t is not None}

    def _moved(self, like: Like | None, time: float) -> tuple[TextLine, ...]:
        """Return the lines that are carried over."""
        origin = None if like is None else self._of(like, time)
        if like is None or origin is None:
            return ()
        found = origin.lines.get(like.number, ())
        return tuple(_carried_line(line, like.move) for line in found)

    def _of(self, like: Like, time: float) -> Kept | None:
        origin = self.kept.get(like.frame)
        if origin is not None:
            origin.used = time
        return origin


def placed(frame: Frame) -> Frame:
    """Return the frame with all coordinates in the whole image, instead of in its cropped part.

    `origin` stays: it says where the pixels begin.
    """
    if frame.origin == (0, 0):
        return frame
    left, top = frame.origin
    move = (1.0, 0.0, float(left), float(top))

    faces = tuple(
        replace(
            face,
            box=(face.box[0] + left, face.box[1] + top, face.box[2] + left, face.box[3] + top),
            points=_five(_moved(face.points, move)),
            landmarks=_moved(face.landmarks, move),
        )
        for face in frame.faces
    )
    lines = tuple(_carried_line(line, move) for line in frame.lines)
    return replace(frame, faces=faces, lines=lines)


def _origin(words: set[Origin]) -> Origin:
    """Return the origin of a line from those of its words."""
    return next(each for each in get_args(Origin) if each in words)


def _surer(one: Sequence[TextLine], other: Sequence[TextLine]) -> bool:
    """Return whether the first of two readings of the same pixels is at least as sure."""

    def evidence(lines: Sequence[TextLine]) -> float:
        return sum((line.score - EVEN_SCORE) * len(line.text) for line in lines)

    return evidence(one) >= evidence(other)


def _carried_face(face: Face, origin: Face, like: Like) -> Face:
    """Return the face with the mesh and the attributes of `origin`, moved along."""
    found = replace(
        face,
        landmarks=_moved(origin.landmarks, like.move),
        aligned=origin.aligned,
        attributes=origin.attributes,
    )
    if not origin.landmarks or not origin.aligned:
        return found  # points and pose are the detector's
    a, b, _, _ = like.move
    roll = origin.pose.roll + math.degrees(math.atan2(b, a))
    return replace(
        found,
        points=_five(_moved(origin.points, like.move)),
        pose=replace(origin.pose, roll=math.remainder(roll, 360)),
    )


def _carried_line(line: TextLine, move: Move) -> TextLine:
    words = tuple(replace(word, quad=_quad(word.quad, move)) for word in line.words)
    return replace(line, quad=_quad(line.quad, move), words=words)


def _moved(points: Iterable[Point], move: Move) -> tuple[Point, ...]:
    a, b, c, d = move
    return tuple((a * x - b * y + c, b * x + a * y + d) for x, y in points)


def _quad(quad: Quad, move: Move) -> Quad:
    one, two, three, four = _moved(quad, move)
    return one, two, three, four


def _five(points: tuple[Point, ...]) -> tuple[Point, Point, Point, Point, Point]:
    one, two, three, four, five = points
    return one, two, three, four, five
