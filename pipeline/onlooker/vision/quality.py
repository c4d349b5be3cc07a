"""How well a face can be seen, and whether that is enough to say whose it is."""

import math
from collections.abc import Sequence

import cv2
import msgspec

from onlooker.config.schema import QualityFilter
from onlooker.media.picture import Picture
from onlooker.types import Box, Face, Quality

# Faces are compared at this width, so that sharpness means the same for near and far ones.
SHARPNESS_WIDTH = 64
# Variance of the Laplacian, at that width, of a face that is half sharp. Portraits then come out
# at 90 and more, as with Amazon, and faces in the dim background of a video below 40.
HALF_SHARP = 20.0
# Faces of one picture that Amazon puts into a collection, at most.
MOST_INDEXED = 100


def quality(picture: Picture, box: Box) -> Quality:
    """How bright and how sharp the picture is inside `box`, 0 to 100 each.

    Brightness is the mean luma. Sharpness is v / (v + HALF_SHARP), v being the variance of the
    Laplacian of the luma at SHARPNESS_WIDTH pixels for the box's width (Pech-Pacheco et al.,
    "Diatom autofocusing in brightfield microscopy", 2000).
    """
    x1, y1, x2, y2 = box
    luma = picture.luma(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
    scale = SHARPNESS_WIDTH / (x2 - x1)
    height, width = (max(3, round(side * scale)) for side in luma.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(luma, (width, height), interpolation=way)
    # Without the frame: what lies beyond it is made up.
    _, deviation = cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_16S)[1:-1, 1:-1])
    variance = deviation.item() ** 2
    return Quality(
        brightness=cv2.mean(small)[0] / 2.55,
        sharpness=100 * variance / (variance + HALF_SHARP),
    )


class Limits(msgspec.Struct, frozen=True):
    """What a face must reach to pass a filter."""

    width: float
    """Least width in pixels. From about 76 on, a face is not enlarged for the 112 pixels that the
    embedder sees; HIGH asks for that."""
    confidence: float
    """Least probability, 0 to 1, that it is a face. Below `[faces] min_score`, 0.94 where nothing
    else is set, none is found at all."""
    sharpness: float
    """Least, 0 to 100. Of portraits one in twenty is below 80, one in a hundred below 65; blurred
    faces of a video's dim background, which get names at random, are below 40."""
    brightness: float
    """Least, 0 to 100. Of portraits one in a hundred is below 24."""
    yaw: float
    """Most degrees to either side; AUTO lets all but profiles through. Of portraits one in a
    hundred is turned by more than 28."""
    pitch: float
    """Most degrees up or down. Of portraits one in a hundred is tilted by more than 24."""


LIMITS: dict[QualityFilter, Limits] = {
    "NONE": Limits(0, 0, 0, 0, 180, 180),
    "AUTO": Limits(0, 0, 40, 4, 75, 60),
    "LOW": Limits(40, 0.95, 50, 10, 60, 45),
    "MEDIUM": Limits(45, 0.97, 65, 15, 45, 35),
    "HIGH": Limits(80, 0.99, 80, 20, 30, 25),
}
"""AUTO lets through what can be told apart; LOW, MEDIUM and HIGH are for collections that shall
hold good pictures only. Of the largest face of each picture so many pass, in percent, laid under
the mesh and with `smallest` 32:

    pictures                                    faces    AUTO   LOW  MEDIUM  HIGH
    people to be recognised, 36 px and wider       38     100    92      82    61
    groups                                         16     100    94      88    75
    press portraits (LFW), 38 to 80 px           1088    99.9  99.3    98.5     0
    portraits (UTKFace), 133 px and wider         577    99.7  99.1    97.7  92.4

All pass NONE. The seven of the first row that do not pass MEDIUM are small or blurred pictures cut
from videos.
"""


def reasons(face: Face, level: QualityFilter, smallest: float) -> tuple[str, ...]:
    """Amazon's reasons not to index or recognise a face; none where it passes the filter.

    A face narrower than `smallest` pixels, which the embedder's card names, passes none: such
    faces are like each other more than like their people.
    """
    limits = LIMITS[level]
    width = face.box[2] - face.box[0]
    pose, seen = face.pose, face.quality
    failed = {
        "SMALL_BOUNDING_BOX": width < max(limits.width, smallest),
        "LOW_CONFIDENCE": face.score < limits.confidence,
        "LOW_SHARPNESS": seen.sharpness < limits.sharpness,
        "LOW_BRIGHTNESS": seen.brightness < limits.brightness,
        "EXTREME_POSE": abs(pose.yaw) > limits.yaw or abs(pose.pitch) > limits.pitch,
        "LOW_FACE_QUALITY": width < smallest,
    }
    return tuple(reason for reason, so in failed.items() if so)


def choose(
    faces: Sequence[Face], level: QualityFilter, smallest: float, most: int | None = None
) -> tuple[list[Face], list[tuple[Face, tuple[str, ...]]]]:
    """The faces to index, largest first, and the others with the reasons.

    Of those that pass, no more than the MOST_INDEXED largest are indexed. Where more than `most`
    are left, the least sharp go first, and of equally sharp ones the smaller.
    """
    judged = [(face, reasons(face, level, smallest)) for face in faces]
    dropped = [(face, why) for face, why in judged if why]
    passed = sorted((face for face, why in judged if not why), key=lambda face: -_area(face))
    kept, over = passed[:MOST_INDEXED], passed[MOST_INDEXED:]
    if most is not None:
        best = sorted(kept, key=lambda face: (-round(face.quality.sharpness), -_area(face)))
        kept = sorted(best[:most], key=lambda face: -_area(face))
        over = best[most:] + over
    return kept, dropped + [(face, ("EXCEEDS_MAX_FACES",)) for face in over]


def _area(face: Face) -> float:
    x1, y1, x2, y2 = face.box
    return (x2 - x1) * (y2 - y1)
