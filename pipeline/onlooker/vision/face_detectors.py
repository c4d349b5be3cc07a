"""The two face detectors: pixels in, rows of boxes, scores and points out.

A row is x1, y1, x2, y2, score and the coordinates of five points, in pixels of the picture given.
The score is the probability that it is a face, by the curve on the detector's card.
"""

import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Pixels
from onlooker.models import card, session
from onlooker.models.card import WeightsError
from onlooker.vision import geometry
from onlooker.vision.crops import padded

Rows = NDArray[np.float32]

# Of two boxes that overlap by more than this, the lesser one is the same face again.
OVERLAP = 0.3


class Yunet:
    """Fast, with good points; for faces of 16 to 300 pixels in the picture given."""

    CARD = "yunet"

    def __init__(self, provider: str) -> None:
        self._model = session.load(self.CARD, provider)
        decode = self._model.card.decode
        if not isinstance(decode, card.Yunet):
            raise WeightsError(f"the card {self.CARD} decodes as something else")
        self._decode = decode
        self.multiple = self._model.card.multiple
        """Of which a picture's sides are best multiples: it is padded to them otherwise."""

    def __call__(self, picture: Pixels, least: float) -> Rows:
        """The faces whose probability is at least `least`."""
        seen = padded(picture, self._model.card)
        outputs = dict(zip(self._model.outputs, self._model(seen), strict=True))
        raw = self._decode.confidence.value(least)
        found = [
            geometry.decode_yunet(
                outputs[f"cls_{stride}"].ravel(),
                outputs[f"obj_{stride}"].ravel(),
                outputs[f"bbox_{stride}"][0],
                outputs[f"kps_{stride}"][0],
                seen.shape[2] // stride,
                stride,
                raw,
            )
            for stride in self._decode.strides
        ]
        return _sifted(np.concatenate(found), picture, self._decode.confidence)


class Centerface:
    """Slower by five, and finds twice as many of the faces below 20 pixels; coarser points."""

    CARD = "centerface"

    def __init__(self, provider: str) -> None:
        self._model = session.load(self.CARD, provider)
        decode = self._model.card.decode
        if not isinstance(decode, card.Centerface):
            raise WeightsError(f"the card {self.CARD} decodes as something else")
        self._decode = decode

    def __call__(self, picture: Pixels, least: float) -> Rows:
        """The faces whose probability is at least `least`."""
        heat, sizes, offsets, points = self._model(padded(picture, self._model.card))
        raw = self._decode.confidence.value(least)
        found = geometry.decode_centerface(
            heat[0, 0], sizes[0], offsets[0], points[0], self._decode.stride, raw
        )
        return _sifted(found, picture, self._decode.confidence)


# Of a box, what lies in a face that was found before: an eye or a mouth, taken for a face.
INSIDE = 0.5


def merge(first: Rows, second: Rows) -> Rows:
    """All of `first`, and those of `second` that neither overlap one of them nor lie inside."""
    if not len(first) or not len(second):
        return np.concatenate([first, second])
    a, b = first[None, :, :4], second[:, None, :4]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0).prod(2)
    area, own = ((box[..., 2:] - box[..., :2]).prod(2) for box in (a, b))
    again = (shared / (area + own - shared) > OVERLAP) | (shared / own > INSIDE)
    return np.concatenate([first, second[~again.any(1)]])


def _sifted(found: Rows, picture: Pixels, confidence: card.Logistic) -> Rows:
    """Each face once, best first, with probabilities for scores."""
    height, width = picture.shape[:2]
    middle = (found[:, 0:2] + found[:, 2:4]) / 2
    # The padding below and to the right holds no faces.
    found = found[((middle >= 0) & (middle < (width, height))).all(1)]
    found = found[geometry.suppress(found[:, :4].copy(), found[:, 4].copy(), OVERLAP)]
    found[:, 4] = confidence.probability(found[:, 4])
    return found
