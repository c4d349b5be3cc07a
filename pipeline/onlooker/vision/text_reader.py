"""Text recognition: rectangles are cut upright from the full image and read column by column.

The columns also give where each word begins and ends.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np

from onlooker.config import schema
from onlooker.media.picture import Picture, Pixels
from onlooker.models import readers
from onlooker.types import Quad, TextLine, TextQuad
from onlooker.vision import (
    lone_characters,
    look_alikes,
    machine_readable,
    seven_segments,
    text_readers,
)
from onlooker.vision.crops import crop
from onlooker.vision.text_finder import TEXT_SCORE
from onlooker.vision.text_gaps import Character
from onlooker.vision.text_lines import in_reading_order, lines
from onlooker.vision.text_readers import TextReaders
from onlooker.vision.text_recogniser import CROP_HEIGHT

MIN_CANDIDATE_SCORE = 0.9
"""Score with which a candidate of the finder must be read to be text."""
DISPLAY_HEIGHT = 2 * CROP_HEIGHT
"""Pixels of the crops in which the points of displays are looked for."""
CROP_PADDING = 0.075
"""The reader likes more space: its crops have this share of the height more on each side."""
MAX_CROP_WIDTH = 100 * CROP_HEIGHT
"""Pixels to which longer lines are squeezed: a hair-thin region would otherwise cost seconds."""
# Enlarging blurs. Crops that are enlarged at least MIN_SHARPENED_ZOOM times are sharpened by
# SHARPENING times what a blur of one pixel of the image takes away: "rn" five pixels high is then
# not read as "m".
MIN_SHARPENED_ZOOM = 2.5
SHARPENING = 1.75
MAX_CROPS = 128
"""Crops cut at once: most take 50 kB, the longest 700 kB."""
MAX_REMEMBERED_CROPS = 128
# Height to width of a region: from the first on it is written sideways, or is one slim letter; from
# the second on it is no letter.
MIN_TALL_RATIO, MIN_SIDEWAYS_RATIO = 1.5, 3.0
# The thorough search reads a line upside down as well if the reader's score is below
# MAX_DOUBTFUL_SCORE while the finder's is at least MIN_TURNED_SCORE, and takes that reading if it
# is better by MIN_TURNED_GAIN. Of 192 words of ICDAR 2015 turned upside down this reads 145 (153
# of them upright); RapidOCR's classifier of directions reads 88. Letters that stand
# apart are no evidence, since many are letters upside down as well: they turn with words only.
MIN_TURNED_SCORE = 0.7
MAX_DOUBTFUL_SCORE = 0.95
MIN_TURNED_GAIN = 0.05


class Reading(NamedTuple):
    """The characters that were read in a quad."""

    quad: Quad
    characters: tuple[Character, ...]

    @property
    def score(self) -> float:
        """Mean over all characters but spaces; 0 if there are none."""
        return text_readers.score(self.characters)


class TextReader:
    """The text recognisers for the regions that a finder found."""

    @staticmethod
    def cards(settings: schema.Text) -> list[str]:
        """Return the names of the model cards that the reader needs.

        Raises WeightsError if the settings name a model that cannot read lines.
        """
        return [each.name for each in readers.recognisers(settings)]

    def __init__(self, settings: schema.Text, provider: str) -> None:
        self._min_score = settings.min_score
        self._thorough = settings.detection == "thorough"
        self._recognised = TextReaders(settings, provider)
        # A video shows the same caption again and again, and an encoder copies what does not move:
        # of the crops of a broadcast, half and more have been read before, to the last bit. An
        # image that is read thoroughly comes once.
        self._max_remembered = 0 if self._thorough else MAX_REMEMBERED_CROPS
        self._remembered: OrderedDict[bytes, tuple[Character, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(
        self, pictures: Sequence[Picture], quads: Sequence[Sequence[TextQuad]]
    ) -> list[tuple[TextLine, ...]]:
        """Return the lines of each picture that score enough, in reading order.

        `quads` are those of each picture. Reading order is downwards, then to the right.
        """
        return [
            in_reading_order(list(chain.from_iterable(found)))
            for found in self.read(pictures, quads)
        ]

    def read(
        self, pictures: Sequence[Picture], quads: Sequence[Sequence[TextQuad]]
    ) -> list[list[list[TextLine]]]:
        """Return the lines of each quad of each picture, before those of several quads are one."""
        places = [
            (picture, each)
            for picture, found in zip(pictures, quads, strict=True)
            for each in found
        ]
        readings = iter(self._readings(places))
        return [[self._lines(each, next(readings)) for each in found] for found in quads]

    def forget(self) -> None:
        """Forget all crops that were read: for measurements."""
        self._remembered.clear()

    def _lines(self, found: TextQuad, reading: Reading) -> list[TextLine]:
        threshold = self._min_score
        if found.score < TEXT_SCORE:
            threshold = max(threshold, MIN_CANDIDATE_SCORE)
        if reading.score < threshold:
            return []
        characters = machine_readable.corrected(reading.characters)
        if characters is None:
            characters = look_alikes.resolved(reading.characters)
        return lines(reading.quad, characters, CROP_PADDING)

    def _readings(self, places: Sequence[tuple[Picture, TextQuad]]) -> list[Reading]:
        """Return the best reading of each region: of several ways to view it, the clearest."""
        views = [(n, quad) for n, (_, found) in enumerate(places) for quad in _views(found.quad)]
        best: dict[int, Reading] = {}
        for n, reading in self._read(places, views):
            if n not in best or reading.score > best[n].score:
                best[n] = reading
        if self._thorough:
            doubtful = [
                (n, _turned(reading.quad))
                for n, reading in best.items()
                if places[n][1].score >= MIN_TURNED_SCORE and reading.score < MAX_DOUBTFUL_SCORE
            ]
            clearer = {
                n: reading
                for n, reading in self._read(places, doubtful)
                if _is_clearer(reading, best[n])
            }
            words = {n for n, reading in clearer.items() if not _stand_apart(reading, best[n])}
            turned = {id(places[n][0]) for n in words}
            best.update({n: each for n, each in clearer.items() if id(places[n][0]) in turned})
        return [
            _with_points(picture, _unless_imagined(picture, best[n]))
            for n, (picture, _) in enumerate(places)
        ]

    def _read(
        self, places: Sequence[tuple[Picture, TextQuad]], views: Sequence[tuple[int, Quad]]
    ) -> Iterator[tuple[int, Reading]]:
        """Yield the reading of each view: the number of its place, and its quad."""
        for start in range(0, len(views), MAX_CROPS):
            some = views[start : start + MAX_CROPS]
            crops = [_rectified(places[n][0], quad).tobytes() for n, quad in some]
            for (n, quad), characters in zip(some, self._characters(crops), strict=True):
                yield n, Reading(quad, characters)

    def _characters(self, crops: Sequence[bytes]) -> list[tuple[Character, ...]]:
        """Return the characters of each crop, (CROP_HEIGHT, w, 3) BGR."""
        with self._lock:
            known = {crop: self._remembered[crop] for crop in crops if crop in self._remembered}
        new = list(dict.fromkeys(crop for crop in crops if crop not in known))
        known.update(zip(new, self._recognised(new), strict=True))
        with self._lock:
            for crop, characters in known.items():
                self._remembered[crop] = characters
                self._remembered.move_to_end(crop)
            while len(self._remembered) > self._max_remembered:
                self._remembered.popitem(last=False)
        return [known[crop] for crop in crops]


def _views(quad: Quad) -> list[Quad]:
    """Return the ways to view a region: its corners, clockwise from the top-left of its text.

    A wide region has one. A tall one may be text that runs upwards or downwards, or one letter.
    """
    width, height = math.dist(quad[0], quad[1]), math.dist(quad[0], quad[3])
    if height < MIN_TALL_RATIO * width:
        return [quad]
    downwards = (quad[1], quad[2], quad[3], quad[0])
    upwards = (quad[3], quad[0], quad[1], quad[2])
    if height < MIN_SIDEWAYS_RATIO * width:
        return [quad, downwards, upwards]
    return [downwards, upwards]


def _is_clearer(turned: Reading, upright: Reading) -> bool:
    """Return whether a line is upside down. A few characters that are clear do not beat many."""
    fewer = min(1.0, len(turned.characters) / max(1, len(upright.characters)))
    return fewer * turned.score > upright.score + MIN_TURNED_GAIN


def _stand_apart(*readings: Reading) -> bool:
    """Return whether no word of the readings has two letters."""
    texts = ("".join(character.text for character in reading.characters) for reading in readings)
    return all(len(word) == 1 for text in texts for word in text.split())


def _unless_imagined(picture: Picture, reading: Reading) -> Reading:
    """Return the reading, without characters if it is one that a picture was taken for."""
    alone = sum(character.text != " " for character in reading.characters) == 1
    if not alone or not lone_characters.is_large(picture, reading.quad):
        return reading
    written = (
        reading.score >= lone_characters.MIN_SURE_SCORE
        or lone_characters.two_colours(_rectified(picture, reading.quad))
        >= lone_characters.MIN_TWO_COLOURS
    )
    return reading if written else Reading(reading.quad, ())


def _with_points(picture: Picture, reading: Reading) -> Reading:
    """Return the reading with the points that a crop of twice the size shows."""
    if not seven_segments.is_number(reading.characters):
        return reading
    large = _rectified(picture, reading.quad, DISPLAY_HEIGHT)
    return Reading(reading.quad, seven_segments.with_points(reading.characters, large))


def _turned(quad: Quad) -> Quad:
    """Return the same region viewed upside down."""
    a, b, c, d = quad
    return c, d, a, b


def _rectified(picture: Picture, quad: Quad, height: int = CROP_HEIGHT) -> Pixels:
    """Return the region with CROP_PADDING, upright, `height` pixels high."""
    corners = _padded(quad)
    size = math.dist(corners[0], corners[1]), math.dist(corners[0], corners[3])
    width = min(MAX_CROP_WIDTH, max(1, round(height * size[0] / size[1])))
    target = np.array([[0, 0], [width, 0], [0, height]], np.float32)
    matrix = cv2.getAffineTransform(np.array([corners[n] for n in (0, 1, 3)], np.float32), target)
    upright = crop(
        picture,
        np.asarray(matrix, np.float64),
        width,
        height,
        interpolation=cv2.INTER_CUBIC,
        border=cv2.BORDER_REPLICATE,
        roughly=True,
    )
    zoom = height / size[1]
    if zoom < MIN_SHARPENED_ZOOM:
        return upright
    blurred = cv2.GaussianBlur(upright, (0, 0), zoom)
    return np.asarray(cv2.addWeighted(upright, 1 + SHARPENING, blurred, -SHARPENING, 0), np.uint8)


def _padded(quad: Quad) -> Quad:
    """Return `quad` with CROP_PADDING of its height more on each side."""
    a, b, c, d = (complex(*corner) for corner in quad)
    right, down = b - a, d - a
    right *= CROP_PADDING * abs(down) / abs(right)
    down *= CROP_PADDING
    a, b, c, d = a - right - down, b + right - down, c + right + down, d - right + down
    return (a.real, a.imag), (b.real, b.imag), (c.real, c.imag), (d.real, d.imag)
