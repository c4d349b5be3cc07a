"""Small images of faces, for people to look at."""

import math

import cv2

from onlooker.media.picture import Picture
from onlooker.types import Box

CHIP_PIXELS = 160
"""Maximum width and height of a chip."""
MARGIN = 0.3
"""Margin on each side, as a share of the longer side of the face's box."""
JPEG_QUALITY = 85


def chip(picture: Picture, origin: tuple[int, int], box: Box) -> bytes | None:
    """Return a face with some of its surroundings as a JPEG; None if it is outside the image.

    origin: left and top of the picture in the whole image, whose pixels `box` is in. A small face
    is not enlarged.
    """
    left, top = origin
    x1, y1, x2, y2 = box[0] - left, box[1] - top, box[2] - left, box[3] - top
    half = max(x2 - x1, y2 - y1) * (0.5 + MARGIN)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    edges = [
        max(0, math.floor(x - half)),
        max(0, math.floor(y - half)),
        min(picture.width, math.ceil(x + half)),
        min(picture.height, math.ceil(y + half)),
    ]
    side = max(edges[2] - edges[0], edges[3] - edges[1])
    if edges[0] >= edges[2] or edges[1] >= edges[3]:
        return None
    halvings = max(0, math.floor(math.log2(side / CHIP_PIXELS)))
    pixels, _ = picture.region(edges[0], edges[1], edges[2], edges[3], halvings)
    rows, columns = pixels.shape[:2]
    scale = CHIP_PIXELS / max(rows, columns)
    if scale < 1:
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    else:
        resized = pixels
    return cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
