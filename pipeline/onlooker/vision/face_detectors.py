"""The two face detectors: pixels in, rows of boxes, scores and points out.

A row is x1, y1, x2, y2, score and the coordinates of five points, in pixels of the image given. The
score is the probability that it is a face, by the curve on the detector's card.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Pixels
from onlooker.models import card, session
from onlooker.models.card import WeightsError
from onlooker.models.logistic import Logistic
from onlooker.vision import geometry
from onlooker.vision.crops import padded

Rows = NDArray[np.float32]
"""(n, 15)"""

MAX_OVERLAP = 0.3
"""Intersection over union of two boxes above which both are one face."""
MAX_INSIDE = 0.5
"""Share of a box inside another face above which it is a part of that face, such as an eye."""
MIN_ALIKE = 0.5
"""Ratio of two areas from which on either may be the part: as for a head on its side."""


class Yunet:
    """YuNet: fast, with accurate points; for faces of 16 to 300 pixels in the image given."""

    CARD = "yunet"

    def __init__(self, provider: str) -> None:
        self._model = session.load(self.CARD, provider)
        decode = self._model.card.decode
        if not isinstance(decode, card.Yunet):
            raise WeightsError(f"the card {self.CARD} decodes as {type(decode).__name__}")
        self._decode = decode
        self.multiple = self._model.card.multiple
        """An image whose sides are multiples of this needs no padding."""

    def __call__(self, images: Sequence[Pixels], threshold: float) -> list[Rows]:
        """Return the faces of each image whose probability is at least `threshold`."""
        inputs = [padded(each, self._model.card) for each in images]
        outputs = self._model.run_each(inputs)
        return [self._rows(*each, threshold) for each in zip(images, inputs, outputs, strict=True)]

    def prepare(self, images: Iterable[Pixels]) -> None:
        """Do what the first images of these sizes would wait for."""
        self._model.prepare(padded(each, self._model.card).shape[:2] for each in images)

    def _rows(
        self, image: Pixels, given: Pixels, outputs: list[NDArray[np.float32]], threshold: float
    ) -> Rows:
        named = dict(zip(self._model.outputs, outputs, strict=True))
        raw = self._decode.confidence.value(threshold)
        found = [
            geometry.decode_yunet(
                named[f"cls_{stride}"].ravel(),
                named[f"obj_{stride}"].ravel(),
                named[f"bbox_{stride}"][0],
                named[f"kps_{stride}"][0],
                given.shape[1] // stride,
                stride,
                raw,
            )
            for stride in self._decode.strides
        ]
        return _unique(np.concatenate(found), image, self._decode.confidence)


class Centerface:
    """CenterFace: slower by five; finds twice as many faces below 20 pixels; coarser points."""

    CARD = "centerface"

    def __init__(self, provider: str) -> None:
        self._model = session.load(self.CARD, provider)
        decode = self._model.card.decode
        if not isinstance(decode, card.Centerface):
            raise WeightsError(f"the card {self.CARD} decodes as {type(decode).__name__}")
        self._decode = decode
        self.multiple = self._model.card.multiple
        """As YuNet's."""

    def __call__(self, images: Sequence[Pixels], threshold: float) -> list[Rows]:
        """Return the faces of each image whose probability is at least `threshold`."""
        outputs = self._model.run_each([padded(each, self._model.card) for each in images])
        return [self._rows(*each, threshold) for each in zip(images, outputs, strict=True)]

    def _rows(self, image: Pixels, outputs: list[NDArray[np.float32]], threshold: float) -> Rows:
        heat, sizes, offsets, points = outputs
        raw = self._decode.confidence.value(threshold)
        found = geometry.decode_centerface(
            heat[0, 0], sizes[0], offsets[0], points[0], self._decode.stride, raw
        )
        return _unique(found, image, self._decode.confidence)


def merge(first: Rows, second: Rows) -> Rows:
    """Return all of `first`, and those of `second` that show no face of `first` again."""
    if not len(first) or not len(second):
        return np.concatenate([first, second])
    return np.concatenate([first, second[~again(first, second).any(1)]])


def distinct(rows: Rows) -> NDArray[np.intp]:
    """Return the places of the rows, without those that show a face of an earlier row again."""
    repeats = again(rows, rows)
    kept: list[int] = []
    for n in range(len(rows)):
        if not repeats[n, kept].any():
            kept.append(n)
    return np.array(kept, np.intp)


def again(first: Rows, second: Rows) -> NDArray[np.bool_]:
    """Return whether a row of `second` (m) shows a face of `first` (n), or a part of it: (m, n).

    MAX_OVERLAP, MAX_INSIDE and MIN_ALIKE say from when on it does.
    """
    a, b = first[None, :, :4], second[:, None, :4]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0).prod(2)
    area, own = ((box[..., 2:] - box[..., :2]).prod(2) for box in (a, b))
    same = (shared / (area + own - shared) > MAX_OVERLAP) | (shared / own > MAX_INSIDE)
    return np.asarray(same | ((shared / area > MAX_INSIDE) & (area >= MIN_ALIKE * own)))


def _unique(found: Rows, image: Pixels, confidence: Logistic) -> Rows:
    """Return each face once, best first, with its probability as the score."""
    height, width = image.shape[:2]
    centre = (found[:, 0:2] + found[:, 2:4]) / 2
    # The padding below and to the right holds no faces.
    found = found[((centre >= 0) & (centre < (width, height))).all(1)]
    found = found[geometry.suppress(found[:, :4].copy(), found[:, 4].copy(), MAX_OVERLAP)]
    found[:, 4] = confidence.probability(found[:, 4])
    return found
