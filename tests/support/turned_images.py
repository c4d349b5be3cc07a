"""Images that are turned by any angle."""

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Pixels


def turned(image: Pixels, degrees: float) -> tuple[Pixels, NDArray[np.float64]]:
    """Return the whole image turned clockwise, in a larger black one, and the map (2, 3) to it."""
    height, width = image.shape[:2]
    # OpenCV's angle is the other way round.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    along, across = np.abs(matrix[0, :2]).tolist()
    size = (
        round(width * along + height * across),
        round(width * across + height * along),
    )
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return np.asarray(cv2.warpAffine(image, matrix, size), np.uint8), np.asarray(matrix)
