"""Face detection: boxes, points and quality, for faces from 20 pixels to the whole image."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.config import schema
from onlooker.media.picture import Picture, Pixels, Still, usual
from onlooker.types import Face
from onlooker.vision.face_detectors import Centerface, Rows, Yunet, again, distinct, merge
from onlooker.vision.pose import pose
from onlooker.vision.quality import quality
from onlooker.vision.second_look import (
    MIN_CANDIDATE,
    Candidates,
    SecondLook,
    doubtful,
    gather,
    shown,
)
from onlooker.vision.turned import (
    BETWEEN,
    QUARTERS,
    TURNS,
    find_turned,
    rotate,
    rotate_back,
    rotate_part,
)

# The detector misses a quarter of the faces that fill three quarters of its input. If it finds
# nothing, or a large face that the image's edge cuts, it runs again on smaller inputs: long side in
# pixels, and border in shares of it. The first one that shows a face ends it. Most frames of most
# videos have no face, so "balanced" can afford one short further run.
SMALLER_INPUTS: dict[str, tuple[tuple[int, float], ...]] = {
    "fast": (),
    "balanced": ((320, 0.0),),
    "thorough": ((320, 0.0), (320, 0.5), (640, 0.5), (160, 0.0)),
}
TURNED_INPUTS = ((320, QUARTERS), (640, QUARTERS), (320, BETWEEN))
"""Long sides in pixels of the inputs that are rotated, and by what. The first that shows a face
ends it."""
MIN_TURNED_SCORE = 0.99
"""Minimum probability of a turned face in a place that was not taken for an upright one, or with
doubts: real ones have more, headlights less."""
MAX_TURNED_SIDE = 1600
"""Long side in pixels of the image that is rotated if one of its faces is turned."""
LARGE_FACE_SHARE = 0.6
"""A face is large if its longer side is at least this share of the image's shorter one."""
# Inputs in which "thorough" looks for candidates. CenterFace takes five times as long for a pixel
# and finds more of the faces that are small, blurred or covered. Half as many pixels are enough in
# a portrait: an image with a face of this share of its shorter side, in which YuNet has few other
# candidates.
MAX_NEAR_PIXELS = 1280 * 720
MAX_FAR_PIXELS = 960 * 540
MAX_PORTRAIT_PIXELS = 680 * 382
PORTRAIT_SHARE = 0.2
MAX_PORTRAIT_CANDIDATES = 8
MAX_DOUBTFUL = 3
"""Places of one image that are searched for turned faces: the largest. One shows that the others
may be turned."""
MIN_WIDTH = 15
"""Pixels of the full image. Whatever is narrower may as well be a toy."""
NO_ROWS = np.empty((0, 15), np.float32)
MAX_FACES = 100
"""Amazon reports the hundred largest."""

UNASKED_SCORE = 0.45
"""Probability that counts for the answer of a detector that was not asked."""


class FaceFinder:
    """A face detector for images of any size."""

    @staticmethod
    def cards(settings: schema.Faces) -> list[str]:
        """Return the names of the model cards that the finder needs."""
        far = [Centerface.CARD] if settings.detection == "thorough" else []
        return [Yunet.CARD, *far]

    def __init__(
        self, settings: schema.Faces, provider: str, detector: Yunet | None = None
    ) -> None:
        """detector: None loads one."""
        self._size = settings.size
        self._threshold = settings.min_score
        self._smaller = SMALLER_INPUTS[settings.detection]
        self._near = detector or Yunet(provider)
        self._thorough = (
            _Thorough(self._near, provider) if settings.detection == "thorough" else None
        )
        first = usual().small(self._size, self._near.multiple)
        again = [usual().small(min(side, self._size)) for side, _ in self._smaller[:1]]
        self._near.prepare([first, *again])

    def __call__(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return each picture's faces in pixels of the full image, largest first."""
        found = [
            faces
            if self._thorough is None
            else self._turned(self._thorough, picture, faces, places)
            for picture, (faces, places) in zip(pictures, self._upright(pictures), strict=True)
        ]
        return [
            tuple(face_of(picture, row) for row in _largest(rows).tolist())
            for picture, rows in zip(pictures, found, strict=True)
        ]

    def _upright(self, pictures: Sequence[Picture]) -> list[tuple[Rows, Rows]]:
        """Return the upright faces of each picture, and the places that may show turned ones."""
        lowest = self._threshold
        if self._thorough is not None:
            lowest = min(lowest, MIN_CANDIDATE)
        found = _detect(self._near, pictures, [self._size] * len(pictures), lowest)
        found = self._add_large(pictures, found)
        if self._thorough is None:
            return [(rows, NO_ROWS) for rows in found]
        return self._thorough(pictures, found, lowest, self._threshold)

    def _add_large(self, pictures: Sequence[Picture], found: Sequence[Rows]) -> list[Rows]:
        """Return `found` with what smaller inputs show, if a large face may have been missed."""
        result = list(found)
        open_ = [n for n, rows in enumerate(found) if self._may_miss(rows, pictures[n])]
        for long_side, border in self._smaller:
            small = [pictures[n].small(min(long_side, self._size)) for n in open_]
            edges = [round(border * max(each.shape)) for each in small]
            more = self._near(list(map(_bordered, small, edges)), self._threshold)
            for n, rows, given, edge in zip(open_, more, small, edges, strict=True):
                rows[:, [0, 1, 2, 3, *range(5, 15)]] -= edge
                if len(rows):
                    result[n] = merge(_scaled(rows, given, pictures[n]), found[n])
            open_ = [n for n, rows in zip(open_, more, strict=True) if not len(rows)]
        return result

    def _turned(self, thorough: "_Thorough", picture: Picture, faces: Rows, places: Rows) -> Rows:
        """Return the faces of an image with those that are on their side or upside down.

        faces: the upright ones. places: where there may be others, or where those are none.
        """
        least = max(self._threshold, MIN_TURNED_SCORE)
        turned, turns = thorough.turned(picture, places, least)
        for long_side, ways in TURNED_INPUTS:
            if len(faces) or len(turned):
                break
            small = picture.small(min(long_side, self._size))
            views = [rotate(small, eighths) for eighths in ways]
            turned, turns = find_turned(thorough.confirmed, views, self._threshold)
            turned = _scaled(turned, small, picture)
        if not len(turned):
            return faces
        # In a photograph on its side all faces are, small ones too.
        small = picture.small(MAX_TURNED_SIDE)
        view = rotate(small, int(np.bincount(turns).argmax()))
        [(alike, others)] = self._upright([Still(view.pixels)])
        alike = rotate_back(alike[~shown(alike, others)], view.matrix)
        alike = _scaled(alike, small, picture)
        doubted = shown(faces, places)
        sure, unsure = faces[~doubted], faces[doubted]
        more = merge(sure, np.concatenate([alike, turned]))[len(sure) :]
        better = again(unsure, turned) & (turned[:, None, 4] > unsure[None, :, 4])
        rows = np.concatenate([sure, more, unsure[~better.any(0)]])
        return np.asarray(rows[distinct(rows)])

    def _may_miss(self, found: Rows, picture: Picture) -> bool:
        sure = found[found[:, 4] >= self._threshold]
        return not len(sure) or _cut(sure, picture)


class _Thorough:
    """The search for small, blurred and covered faces, which a second look must confirm."""

    def __init__(self, near: Yunet, provider: str) -> None:
        self._near = near
        self._far = Centerface(provider)
        self._look = SecondLook(near, self._far)

    def __call__(
        self, pictures: Sequence[Picture], found: Sequence[Rows], lowest: float, threshold: float
    ) -> list[tuple[Rows, Rows]]:
        """Return the faces of probability `threshold` among `found` and what larger inputs show.

        With them come the places that may show turned ones.

        `lowest` is the minimum probability of a candidate.
        """
        inputs = [_long_side(picture, MAX_NEAR_PIXELS) for picture in pictures]
        near = _detect(self._near, pictures, inputs, lowest)
        clear = [rows[rows[:, 4] >= threshold] for rows in found]
        inputs = [
            _long_side(picture, MAX_PORTRAIT_PIXELS if portrait else MAX_FAR_PIXELS)
            for picture, portrait in zip(
                pictures, map(_is_portrait, pictures, clear, near), strict=True
            )
        ]
        far = _detect(self._far, pictures, inputs, lowest)
        result = []
        for picture, *rows in zip(pictures, found, near, far, strict=True):
            first, second, third = (each[_widths(each) >= MIN_WIDTH] for each in rows)
            candidates = gather([first, second], [third])
            faces = self._look(picture, candidates, threshold)
            result.append((faces, doubtful(picture, faces, candidates)[:MAX_DOUBTFUL]))
        return result

    def turned(
        self, picture: Picture, places: Rows, threshold: float
    ) -> tuple[Rows, NDArray[np.int_]]:
        """Return the faces at some places that are turned, and each one's rotation."""
        views = [
            rotate_part(picture, box, eighths)
            for box in places[:, :4].tolist()
            for eighths in TURNS
        ]
        if not views:
            return NO_ROWS, np.empty(0, np.int_)
        return find_turned(self.confirmed, views, threshold)

    def confirmed(self, images: Sequence[Pixels], threshold: float) -> list[Rows]:
        """Return the faces that YuNet finds in each image and a second look confirms."""
        result = []
        for each, rows in zip(images, self._near(images, threshold), strict=True):
            # CenterFace was not asked yet, which is no reason to be sure, nor to doubt.
            unasked = np.full(len(rows), UNASKED_SCORE, np.float32)
            result.append(self._look(Still(each), Candidates(rows, rows[:, 4], unasked), threshold))
        return result


def _detect(
    detector: Yunet | Centerface,
    pictures: Sequence[Picture],
    long_sides: Sequence[int],
    threshold: float,
) -> list[Rows]:
    """Return the rows that a detector finds, in pixels of the full images.

    The inputs are as long as `long_sides` says, or as the image if that is shorter.
    """
    inputs = [
        picture.small(long_side, detector.multiple)
        for picture, long_side in zip(pictures, long_sides, strict=True)
    ]
    found = detector(inputs, threshold)
    return [_scaled(*each) for each in zip(found, inputs, pictures, strict=True)]


def _largest(rows: Rows) -> Rows:
    """Return the MAX_FACES largest, largest first."""
    area = (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
    return rows[np.argsort(-area, kind="stable")[:MAX_FACES]]


def _is_portrait(picture: Picture, clear: Rows, near: Rows) -> bool:
    """Return whether one of the clear faces is large and YuNet has few candidates, `near`."""
    large = _large(clear, picture, PORTRAIT_SHARE)
    return len(near) <= MAX_PORTRAIT_CANDIDATES and bool(large.any())


def _cut(found: Rows, picture: Picture) -> bool:
    """Return whether the image's edge cuts a large face: it may be larger still."""
    x1, y1, x2, y2 = found[:, :4].T
    outside = (x1 <= 0) | (y1 <= 0) | (x2 >= picture.width) | (y2 >= picture.height)
    return bool((outside & _large(found, picture, LARGE_FACE_SHARE)).any())


def _large(found: Rows, picture: Picture, share: float) -> NDArray[np.bool_]:
    """Return whether each face is at least `share` of the image's shorter side long."""
    sides = (found[:, 2:4] - found[:, :2]).max(1, initial=0)
    return np.asarray(sides >= share * min(picture.width, picture.height))


def _bordered(image: Pixels, edge: int) -> Pixels:
    """Return the image with `edge` black pixels on each side."""
    wide = cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
    return np.asarray(wide, np.uint8)


def _long_side(picture: Picture, pixels: int) -> int:
    """Return the longer side of an image of this aspect ratio that has `pixels` pixels."""
    short, long = sorted((picture.width, picture.height))
    return max(1, round(math.sqrt(pixels * long / short)))


def _widths(rows: Rows) -> Rows:
    return rows[:, 2] - rows[:, 0]


def _scaled(found: Rows, given: Pixels, picture: Picture) -> Rows:
    """Return rows in pixels of the detector's input, `given`, in pixels of the full image."""
    x, y = picture.width / given.shape[1], picture.height / given.shape[0]
    scale = np.array([x, y, x, y, 1, *[x, y] * 5], np.float32)
    return np.asarray(found * scale, np.float32)


def face_of(picture: Picture, row: Sequence[float]) -> Face:
    """Return the face of a detector's row, with its pose and its quality."""
    box = (row[0], row[1], row[2], row[3])
    a, b, c, d, e = zip(row[5::2], row[6::2], strict=True)
    points = (a, b, c, d, e)
    return Face(
        box=box, score=row[4], points=points, pose=pose(points), quality=quality(picture, box)
    )
