"""One recogniser: crops of lines in, characters out."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Pixels
from onlooker.models import session
from onlooker.models.card import LINE_HEIGHT, Characters
from onlooker.vision import ctc
from onlooker.vision.crops import padded
from onlooker.vision.letters import Letters
from onlooker.vision.text_gaps import Character, spaced

CROP_HEIGHT = LINE_HEIGHT
"""Pixels of the crops."""
USUAL_WIDTHS = (384, 256, 192, 128, 96, 64, 56, 48, 40)
"""Widths of crops that are planned on a card before the first frame."""
# A recogniser leaves out most letters of a script that it does not know, and is sure of the rest:
# of "Осторожно, двери закрываются" it reads a comma. So the scores of a line are reduced to the
# share of its ink that is within NEAR_HEIGHTS of a character's centre. Of lines that are read right
# this share is 1.00 in 99 of 100.
MIN_GAP_HEIGHTS = 1.0
"""Only a line with a gap wider than this between two centres is looked through."""
NEAR_HEIGHTS = 0.75
MIN_INK = 0.35
"""A column has ink if its grey values deviate by this share of what the line's darkest columns'
do."""


class TextRecogniser:
    """A loaded recogniser."""

    def __init__(self, name: str, provider: str, language_model: bool = True) -> None:
        self.model = session.load(name, provider)
        self.model.prepare((CROP_HEIGHT, self.model.length(width)) for width in USUAL_WIDTHS)
        self._alphabet = ["", *self.model.metadata["character"].split("\n")]
        decode = self.model.card.decode
        assert isinstance(decode, Characters)  # `readers.recognisers` sees to it
        letters = decode.letters if language_model else None
        self._letters = Letters(letters, self._alphabet) if letters else None

    def __call__(self, crops: Sequence[bytes]) -> Iterator[tuple[Character, ...]]:
        """Yield the characters of each crop (CROP_HEIGHT, w, 3) BGR, from left to right."""
        upright = [np.frombuffer(each, np.uint8).reshape(CROP_HEIGHT, -1, 3) for each in crops]
        inputs = [
            padded(each, self.model.card, self.model.length(each.shape[1])) for each in upright
        ]
        outputs = self.model.run_each(inputs)
        for each, given, ([classes], [scores], [spaces]) in zip(
            upright, inputs, outputs, strict=True
        ):
            column = given.shape[1] / len(classes) / each.shape[1]
            found = ctc.collapse(*self._best(classes, scores), spaces)
            characters = [
                Character(self._alphabet[index], score, (first + last + 1) / 2 * column)
                for index, score, first, last, _ in found
            ]
            part = share_read(each, [one.centre for one in characters if one.text != " "])
            if part < 1:
                characters = [one._replace(score=part * one.score) for one in characters]
            yield spaced(characters, [space for *_, space in found], each)

    def _best(
        self, classes: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the class of each column and its probability."""
        if self._letters is not None:
            return self._letters.weighed(classes, scores)
        return np.ascontiguousarray(classes[:, 0]), np.ascontiguousarray(scores[:, 0])


def share_read(crop: Pixels, centres: Sequence[float]) -> float:
    """Return the share of the ink in a crop that is near to a character that was read.

    centres: of the characters, as shares of the crop's width, ascending.
    """
    height, width = crop.shape[:2]
    edges = np.array([0.0, *centres, 1.0]) * width
    if np.diff(edges).max() <= MIN_GAP_HEIGHTS * height:
        return 1.0
    deviation = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).std(axis=0)
    inked = deviation > MIN_INK * np.quantile(deviation, 0.95)
    if not centres or not inked.any():
        return 1.0
    columns = np.arange(width) + 0.5
    distances = np.abs(columns[:, None] - edges[None, 1:-1]).min(axis=1)
    return float((inked & (distances <= NEAR_HEIGHTS * height)).sum() / inked.sum())
