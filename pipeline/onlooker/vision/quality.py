"""How well a face can be seen, and whether that is enough to say whose it is."""

import math

import cv2

from onlooker import config
from onlooker.media.image import Picture
from onlooker.types import Box, Face, Quality

# Faces are compared at this width, so that sharpness means the same for near and far ones.
SHARPNESS_WIDTH = 64
# Variance of the Laplacian, at that width, of a face that is half sharp. Portraits then come out
# at 90 and more, as with Amazon, and faces in the dim background of a film below 40.
HALF_SHARP = 20.0


def quality(picture: Picture, box: Box) -> Quality:
    """How bright and how sharp the picture is inside `box`, 0 to 100 each.

    Brightness is the mean luma. Sharpness is v / (v + HALF_SHARP), v being the variance of the
    Laplacian of the luma at SHARPNESS_WIDTH pixels for the box's width (Pech-Pacheco et al.,
    "Diatom autofocusing in brightfield microscopy", 2000).
    """
    x1, y1, x2, y2 = box
    part, _ = picture.region(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
    luma = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    scale = SHARPNESS_WIDTH / (x2 - x1)
    height, width = (max(3, round(side * scale)) for side in luma.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    luma = cv2.resize(luma, (width, height), interpolation=way)
    # Without the frame: what lies beyond it is made up.
    variance = float(cv2.Laplacian(luma, cv2.CV_16S)[1:-1, 1:-1].var())
    return Quality(
        brightness=float(luma.mean()) / 2.55,
        sharpness=100 * variance / (variance + HALF_SHARP),
    )


def recognisable(face: Face, settings: config.Faces) -> bool:
    """Whether enough of a face is left in the picture to say whose it is.

    Small and blurred faces are like each other more than like their people: in a film's dim
    background they get names at random.
    """
    wide = face.box[2] - face.box[0] >= settings.smallest
    return wide and face.quality.sharpness >= settings.sharpness
