"""Small images of faces and of lines of text, for people to look at."""

import math

import cv2

from onlooker.media.picture import Picture
from onlooker.types import Box, Quad

CHIP_PIXELS = 160
"""Maximum width and height of a chip."""
MARGIN = 0.3
"""Margin on each side, as a share of the longer side of the face's box."""
LINE_PIXELS = 320
"""Maximum width and height of the chip of a line."""
LINE_MARGIN = 0.6
"""Margin of a line on each side, as a share of the shorter side of its box."""
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
    return _jpeg(picture, (x - half, y - half, x + half, y + half), CHIP_PIXELS)


def line_chip(picture: Picture, origin: tuple[int, int], quad: Quad) -> bytes | None:
    """Return a line of text with some of its surroundings as a JPEG, as `chip` does."""
    left, top = origin
    xs, ys = [x - left for x, _ in quad], [y - top for _, y in quad]
    margin = LINE_MARGIN * min(max(xs) - min(xs), max(ys) - min(ys))
    box = min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin
    return _jpeg(picture, box, LINE_PIXELS)


def _jpeg(picture: Picture, box: Box, pixels: int) -> bytes | None:
    """Return a part of a picture as a JPEG of at most that many pixels on a side."""
    edges = [
        max(0, math.floor(box[0])),
        max(0, math.floor(box[1])),
        min(picture.width, math.ceil(box[2])),
        min(picture.height, math.ceil(box[3])),
    ]
    side = max(edges[2] - edges[0], edges[3] - edges[1])
    if edges[0] >= edges[2] or edges[1] >= edges[3]:
        return None
    halvings = max(0, math.floor(math.log2(side / pixels)))
    found, _ = picture.region(edges[0], edges[1], edges[2], edges[3], halvings)
    rows, columns = found.shape[:2]
    scale = pixels / max(rows, columns)
    if scale < 1:
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        resized = cv2.resize(found, size, interpolation=cv2.INTER_AREA)
    else:
        resized = found
    return cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
