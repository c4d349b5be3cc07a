"""Faces in a picture: where they are, from a crowd's of 20 pixels to one that fills the picture."""

import math

import cv2
import numpy as np

from onlooker.config import schema
from onlooker.media.picture import Picture, Pixels
from onlooker.types import Face
from onlooker.vision.face_detectors import Centerface, Rows, Yunet, merge
from onlooker.vision.pose import pose
from onlooker.vision.quality import quality

# The detector misses a quarter of the faces that fill three quarters of its picture. Where it finds
# nothing, or a large face that the picture's edge cuts, it looks again at smaller pictures: long
# side, and border in shares of it. The first look that finds something ends it. Most frames of
# most videos have no face, so that "balanced" may afford one short look.
CLOSER_LOOKS: dict[str, tuple[tuple[int, float], ...]] = {
    "fast": (),
    "balanced": ((320, 0.0),),
    "thorough": ((320, 0.0), (320, 0.5), (640, 0.5), (160, 0.0)),
}
# A face is large where its longer side is this share of the picture's shorter one.
LARGE = 0.6
# Most pixels of the pictures in which "thorough" looks for small faces. YuNet, the better one for
# the smallest, sees the picture enlarged twice at most; CenterFace, which takes seven times as long
# a pixel and finds more of those that are blurred or covered, is not shown more than there is.
ENLARGED, NATURAL = 2560 * 1440, 960 * 540
TIMES = 2.0
# What is wider than this in the enlarged picture, the first look would have seen: it is a toy's
# face, or half of one.
WIDEST = 100
# What is narrower, in pixels of the full picture, may as well be a toy.
SMALLEST = 15
# Amazon reports the hundred largest.
MOST_FACES = 100


class FaceFinder:
    """Finds the faces of a picture."""

    @staticmethod
    def cards(settings: schema.Faces) -> list[str]:
        """Return the names of the model cards that the finder needs."""
        far = [Centerface.CARD] if settings.detection == "thorough" else []
        return [Yunet.CARD, *far]

    def __init__(self, settings: schema.Faces, provider: str) -> None:
        self._size = settings.size
        self._least = settings.min_score
        self._closer = CLOSER_LOOKS[settings.detection]
        self._near = Yunet(provider)
        self._far = Centerface(provider) if settings.detection == "thorough" else None

    def __call__(self, picture: Picture) -> tuple[Face, ...]:
        """The faces in pixels of the full picture, largest first."""
        small = picture.small(self._size, self._near.multiple)
        found = _grown(self._near(small, self._least), small, picture)
        if not len(found) or _cut(found, picture):
            found = self._look_closer(picture, found)
        if self._far is not None:
            found = self._look_farther(self._far, picture, found)
        area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
        largest = np.argsort(-area, kind="stable")[:MOST_FACES]
        return tuple(_face(picture, row) for row in found[largest].tolist())

    def _look_closer(self, picture: Picture, found: Rows) -> Rows:
        for long_side, border in self._closer:
            small = picture.small(min(long_side, self._size))
            edge = round(border * max(small.shape))
            wide = cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
            again = self._near(np.asarray(wide, np.uint8), self._least)
            again[:, [0, 1, 2, 3, *range(5, 15)]] -= edge
            if len(again):
                return merge(_grown(again, small, picture), found)
        return found

    def _look_farther(self, far: Centerface, picture: Picture, found: Rows) -> Rows:
        enlarged = _enlarged(picture)
        natural = picture.small(_long_side(picture, NATURAL))
        tiny = self._near(enlarged, self._least)
        tiny = _grown(tiny[_widths(tiny) <= WIDEST], enlarged, picture)
        found = merge(found, tiny[_widths(tiny) >= SMALLEST])
        more = _grown(far(natural, self._least), natural, picture)
        return merge(found, more[_widths(more) >= SMALLEST])


def _cut(found: Rows, picture: Picture) -> bool:
    """Whether the picture's edge cuts a large face: it may be larger still."""
    x1, y1, x2, y2 = found[:, :4].T
    outside = (x1 <= 0) | (y1 <= 0) | (x2 >= picture.width) | (y2 >= picture.height)
    large = np.maximum(x2 - x1, y2 - y1) >= LARGE * min(picture.width, picture.height)
    return bool((outside & large).any())


def _enlarged(picture: Picture) -> Pixels:
    """The picture in which the smallest faces are looked for."""
    natural, long_side = max(picture.width, picture.height), _long_side(picture, ENLARGED)
    if long_side <= natural:
        return picture.small(long_side)
    times = min(TIMES, long_side / natural)
    size = round(picture.width * times), round(picture.height * times)
    enlarged = cv2.resize(picture.small(natural), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.uint8)


def _long_side(picture: Picture, pixels: int) -> int:
    """Longer side of a picture of this form that has so many pixels."""
    short, long = sorted((picture.width, picture.height))
    return max(1, round(math.sqrt(pixels * long / short)))


def _widths(rows: Rows) -> Rows:
    return rows[:, 2] - rows[:, 0]


def _grown(found: Rows, small: Pixels, picture: Picture) -> Rows:
    """Rows in pixels of a small picture, in those of the full one."""
    x, y = picture.width / small.shape[1], picture.height / small.shape[0]
    scale = np.array([x, y, x, y, 1, *[x, y] * 5], np.float32)
    return np.asarray(found * scale, np.float32)


def _face(picture: Picture, row: list[float]) -> Face:
    box = (row[0], row[1], row[2], row[3])
    a, b, c, d, e = zip(row[5::2], row[6::2], strict=True)
    points = (a, b, c, d, e)
    return Face(
        box=box, score=row[4], points=points, pose=pose(points), quality=quality(picture, box)
    )
