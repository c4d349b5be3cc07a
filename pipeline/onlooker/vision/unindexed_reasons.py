"""Amazon's reasons why a face is not indexed: which faces are good enough to be embedded."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from onlooker.config.schema import QualityFilter
from onlooker.types import Face

MAX_INDEXED_FACES = 100
"""Faces of one image that Amazon puts into a collection."""

Reasons: TypeAlias = tuple[str, ...]
"""Amazon's reasons not to embed a face; empty if it is to be embedded."""
Select: TypeAlias = Callable[[Sequence[Face], float], list[Reasons]]
"""(faces, smallest) → the Reasons of each: the choice of the faces of one image to embed.

The faces come largest first; `smallest` is the width in pixels that the embedder's card names.
"""


class QualityThresholds(msgspec.Struct, frozen=True):
    """The limits that a face must keep to pass a filter."""

    width: float
    """Minimum in pixels. From about 76 on, a face is not enlarged for the 112 pixels that the
    embedder takes; HIGH asks for that."""
    confidence: float
    """Minimum probability, 0 to 1, that it is a face. Below `[faces] min_score`, by default 0.94,
    no face is found at all."""
    sharpness: float
    """Minimum, 0 to 100. Of portraits one in twenty is below 80, one in a hundred below 65; blurred
    faces in a video's dim background, which match people at random, are below 40."""
    brightness: float
    """Minimum, 0 to 100. Of portraits one in a hundred is below 24."""
    yaw: float
    """Maximum degrees to either side; AUTO passes all but profiles. Of portraits one in twenty
    is turned by more than 30."""
    pitch: float
    """Maximum degrees up or down. Of portraits one in twenty is tilted by more than 19."""


THRESHOLDS: dict[QualityFilter, QualityThresholds] = {
    "NONE": QualityThresholds(0, 0, 0, 0, 180, 180),
    "AUTO": QualityThresholds(0, 0, 40, 4, 75, 60),
    "LOW": QualityThresholds(40, 0.95, 50, 10, 60, 45),
    "MEDIUM": QualityThresholds(45, 0.97, 65, 15, 45, 35),
    "HIGH": QualityThresholds(80, 0.99, 80, 20, 30, 25),
}
"""AUTO passes what can be told apart; LOW, MEDIUM and HIGH are for collections of good images only.
Percentages of the largest face of each image that pass, with a mesh and with `smallest` 32:

    images                                      faces    AUTO   LOW  MEDIUM  HIGH
    people to be recognised, 36 px and wider       38     100    92      82    61
    groups                                         16     100    94      88    75
    press portraits (LFW), 38 to 80 px           1088    99.5  99.0    97.2     0
    portraits (UTKFace), 133 px and wider         577    99.0  98.6    96.7  89.9

All that are aligned pass NONE. The seven of the first row that do not pass MEDIUM are small or
blurred crops of videos.
"""


def reasons(face: Face, level: QualityFilter, smallest: float) -> Reasons:
    """Return Amazon's reasons not to index or recognise a face; none if it passes the filter.

    A face narrower than `smallest` pixels, which the embedder's card names, passes none, nor does
    one that is not aligned: such faces resemble each other more than their people.
    """
    limits = THRESHOLDS[level]
    width = face.box[2] - face.box[0]
    pose, visible = face.pose, face.quality
    failed = {
        "SMALL_BOUNDING_BOX": width < max(limits.width, smallest),
        "LOW_CONFIDENCE": face.score < limits.confidence,
        "LOW_SHARPNESS": visible.sharpness < limits.sharpness,
        "LOW_BRIGHTNESS": visible.brightness < limits.brightness,
        "EXTREME_POSE": not face.aligned
        or abs(pose.yaw) > limits.yaw
        or abs(pose.pitch) > limits.pitch,
        "LOW_FACE_QUALITY": width < smallest or not face.aligned,
    }
    return tuple(reason for reason, fails in failed.items() if fails)


def everyone(faces: Sequence[Face], smallest: float) -> list[Reasons]:
    """Select all faces that are aligned, however poor."""
    return [() if face.aligned else ("EXTREME_POSE", "LOW_FACE_QUALITY") for face in faces]


def passing(level: QualityFilter) -> Select:
    """Select all faces that pass the filter."""

    def select(faces: Sequence[Face], smallest: float) -> list[Reasons]:
        return [reasons(face, level, smallest) for face in faces]

    return select


def largest(level: QualityFilter) -> Select:
    """Select the largest face if it passes the filter."""

    def select(faces: Sequence[Face], smallest: float) -> list[Reasons]:
        found = [reasons(face, level, smallest) for face in faces]
        return [*found[:1], *(("FACE_NOT_LARGEST", *others) for others in found[1:])]

    return select


def best(level: QualityFilter, max_faces: int | None = None) -> Select:
    """Select the faces to index: at most MAX_INDEXED_FACES of those that pass, the largest.

    If more than `max_faces` are left, the least sharp are dropped first, and of equally sharp ones
    the smaller.
    """

    def select(faces: Sequence[Face], smallest: float) -> list[Reasons]:
        found = [reasons(face, level, smallest) for face in faces]
        passed = sorted(
            (n for n, failed in enumerate(found) if not failed), key=lambda n: -_area(faces[n])
        )
        kept = passed[:MAX_INDEXED_FACES]
        if max_faces is not None:
            kept.sort(key=lambda n: (-round(faces[n].quality.sharpness), -_area(faces[n])))
            kept = kept[:max_faces]
        for n in set(passed).difference(kept):
            found[n] = ("EXCEEDS_MAX_FACES",)
        return found

    return select


def _area(face: Face) -> float:
    x1, y1, x2, y2 = face.box
    return (x2 - x1) * (y2 - y1)
