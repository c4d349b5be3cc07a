"""Pages drawn here, whose text is known to the letter, and the reading of them."""

import re
from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray
from tests.support.single import TextFinder, TextReader

from onlooker.config import schema
from onlooker.media.picture import Still
from onlooker.types import TextLine

WORDS = re.findall(
    r"\w+",
    "region based segmentation first determine markers coins background pixels label either "
    "object found extreme parts histogram grey values people system network station library "
    "garden morning window market river mountain colour summer winter letter number street",
)
INK, PAPER = (25, 25, 25), (240, 240, 240)


def page_of(
    count: int, width: int, height: int, capital: float, dark: bool = False
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return a page of `count` words in capitals of `capital` pixels, and the words.

    If the page is full there are fewer.
    OpenCV's letters are 21 pixels high at scale 1.
    """
    ink, paper = (PAPER, INK) if dark else (INK, PAPER)
    drawn = np.full((height, width, 3), paper, np.uint8)
    scale, stroke = capital / 21, max(1, round(capital / 13))
    font = cv2.FONT_HERSHEY_SIMPLEX
    chance = np.random.default_rng(7)
    margin = round(2 * capital) + 4
    x, y = margin, margin
    words: list[str] = []
    while len(words) < count:
        word = str(chance.choice(WORDS))
        (wide, _), _ = cv2.getTextSize(word + " ", font, scale, stroke)
        if x + wide > width - margin:
            x, y = margin, y + round(2.2 * capital) + 2
            if y > height - margin:
                break
        cv2.putText(drawn, word, (x, y), font, scale, ink, stroke, cv2.LINE_AA)
        x += wide
        words.append(word)
    return drawn, words


class ThoroughText:
    """Detection and recognition as DetectText has them."""

    def __init__(self) -> None:
        settings = schema.Text(detection="thorough")
        self.find = TextFinder(settings, "cpu")
        self.read = TextReader(settings, "cpu")

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[TextLine, ...]:
        picture = Still(pixels)
        return self.read(picture, self.find(picture))

    def recall(self, pixels: NDArray[np.uint8], words: list[str]) -> float:
        """Return the share of `words` that is read."""
        found = Counter(word.text for line in self(pixels) for word in line.words)
        return sum((found & Counter(words)).values()) / len(words)
