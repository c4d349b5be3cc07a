"""Face quality: how bright and how sharp a face is."""

import math

import cv2

from onlooker.media.picture import Picture
from onlooker.types import Box, Quality

SHARPNESS_WIDTH = 64
"""Pixels of a face's width at which sharpness is measured: so it means the same near and far."""
HALF_SHARP_VARIANCE = 20.0
"""Variance of the Laplacian, at that width, of a face with sharpness 50. Portraits then get 90 and
more, as with Amazon, and faces in the dim background of a video less than 40."""


def quality(picture: Picture, box: Box) -> Quality:
    """Return the brightness and sharpness of the image inside `box`, 0 to 100 each.

    Brightness is the mean luma. Sharpness is v / (v + HALF_SHARP_VARIANCE), v being the variance of
    the Laplacian of the luma at SHARPNESS_WIDTH pixels for the box's width (Pech-Pacheco et al.,
    "Diatom autofocusing in brightfield microscopy", 2000).
    """
    x1, y1, x2, y2 = box
    luma = picture.luma(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
    scale = SHARPNESS_WIDTH / (x2 - x1)
    height, width = (max(3, round(side * scale)) for side in luma.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(luma, (width, height), interpolation=way)
    # Without the outermost pixels, whose neighbours the filter makes up.
    _, deviation = cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_16S)[1:-1, 1:-1])
    variance = deviation.item() ** 2
    return Quality(
        brightness=cv2.mean(small)[0] / 2.55,
        sharpness=100 * variance / (variance + HALF_SHARP_VARIANCE),
    )
