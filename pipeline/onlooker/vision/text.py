"""Text in a picture: where it is, and what it says.

The finder is a DBNet: its probability map is cut into regions, and each becomes a rectangle. The
reader takes each rectangle upright from the full picture and reads it column by column; the
columns also say where each word begins and ends.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.config import schema
from onlooker.media.picture import Picture, Pixels, Still
from onlooker.models import session
from onlooker.models.card import Characters, Decode, ProbabilityMap, WeightsError, card
from onlooker.types import Box, Quad, TextLine, TextQuad
from onlooker.vision import ctc, regions
from onlooker.vision.crops import crop, padded
from onlooker.vision.text_lines import Character, as_quad, in_reading_order, lines
from onlooker.vision.tiles import parts, windows

# The finder's map is cut at PROBABLE, and a region whose mean is at least CERTAIN is text. The
# thorough search also takes what is at least MAYBE, if it can be read with a score of LEGIBLE.
PROBABLE = 0.3
CERTAIN = 0.6
MAYBE = 0.5
LEGIBLE = 0.9
# DBNet is trained on shrunken regions. Growing them back by its training ratio of 1.5 to 2 leaves
# much air around a word; GROWTH fits the words of ICDAR 2015 best.
GROWTH = 1.0
# Regions with a side below this, in pixels of the map, are specks; and so low they are once grown.
SPECK, LOWEST = 3.0, 4.4
MOST_QUADS = 1000
# Larger pictures go through the detector in tiles that overlap: its memory grows with the picture.
TILE, OVERLAP = 1024, 64

# The thorough search begins with a picture of this long side. Where that shows text lower than
# SMALL, or something that may be text, it looks again at these places, twice as large each time, up
# to LARGEST_LOOK or to the picture's own size. Only what is lower than TINY there is enlarged.
FIRST_LOOK, LARGEST_LOOK = 960, 3840
SMALL, TINY = 10.0, 9.0
# A look that is not so much closer than the one before shows nothing more.
CLOSER = 1.1
# How much is seen around such a place, and how often that is widened where text goes beyond it.
MARGIN = 32
WIDENED = 3

# The reader likes more air: it gets this part of the height more on each side.
AIR = 0.075
HEIGHT = 48
# Longer lines (in crop pixels) are squeezed: a hair-thin region would otherwise cost seconds.
LONGEST = 100 * HEIGHT
# Enlarging blurs. Crops that are enlarged at least SMALL_CROP times are sharpened by SHARPEN times
# what a blur of one pixel of the picture takes away: "rn" five pixels high is then no "m".
SMALL_CROP = 2.5
SHARPEN = 1.75
# Crops whose readings are kept; most take some 50 kB, the longest 700 kB.
REMEMBERED = 128
# A region this much taller than wide is written sideways, or is one slim letter.
TALL = 1.5
SLIM = 3.0
# The thorough search reads a line upside down as well, if it is read with a score below DOUBTFUL
# while the finder's is at least LOOKS_LIKE, and takes that reading if it is better by CLEARLY. Of
# 192 words of ICDAR 2015 turned upside down this gets 145 right (153 as they were), and the
# classifier of directions that RapidOCR has gets 88.
LOOKS_LIKE = 0.7
DOUBTFUL = 0.95
CLEARLY = 0.05

Floats = NDArray[np.float32]


class Look(NamedTuple):
    """What one look of the detector showed, in pixels of the full picture."""

    quads: Floats
    """(n, 4, 2), best first."""
    scores: Floats
    """(n,)"""
    heights: Floats
    """(n,): the shorter side of each, in pixels of the picture that the detector saw."""

    def of(self, chosen: NDArray[np.bool_]) -> "Look":
        return Look(self.quads[chosen], self.scores[chosen], self.heights[chosen])

    @property
    def certain(self) -> NDArray[np.bool_]:
        """(n,): whether each is text at all."""
        return (self.scores >= CERTAIN) & (self.heights >= LOWEST)


class TextFinder:
    """Finds the text of a picture."""

    @staticmethod
    def cards(settings: schema.Text) -> list[str]:
        """Return the names of the model cards that the finder needs.

        Raises WeightsError if the settings name a model that cannot find text.
        """
        return [_card("detector", settings.detector, ProbabilityMap, "text")]

    def __init__(self, settings: schema.Text, provider: str) -> None:
        self._thorough = settings.detection == "thorough"
        self._size = max(settings.size, FIRST_LOOK) if self._thorough else settings.size
        self._model = session.load(settings.detector, provider)

    def __call__(self, picture: Picture) -> tuple[TextQuad, ...]:
        """Rectangles around words and lines, in pixels of the full picture, best first."""
        small = picture.small(self._size, self._model.card.multiple)
        scale = picture.width / small.shape[1], picture.height / small.shape[0]
        found = self._look(small, scale, (0, 0))
        if self._thorough:
            found = self._look_closer(picture, found, 1 / max(scale))
        found = found.of(found.heights >= LOWEST)
        return tuple(
            TextQuad(quad=as_quad(quad), score=score)
            for quad, score in zip(found.quads, found.scores.tolist(), strict=True)
        )

    def _look_closer(self, picture: Picture, found: Look, scale: float) -> Look:
        """`found`, with all that is small in it looked at again in larger and larger pictures.

        scale: of the look that found it, in its pixels to one of the picture.
        """
        done: list[Look] = []
        longest = max(picture.width, picture.height)
        if not len(found.scores) and scale <= 0.5:
            # Text may be too small to be seen at all: everything is looked at once more.
            everything = np.array([[[0, 0], [picture.width, 0], [picture.width, picture.height],
                                    [0, picture.height]]], np.float32)  # fmt: skip
            found = Look(everything, np.zeros(1, np.float32), np.zeros(1, np.float32))
        while True:
            # Up to the picture's own size, what is small is looked at; beyond it what is tiny.
            shrunk = scale < 1 / CLOSER
            low = SMALL if shrunk else TINY
            again = (found.heights < low) | (~found.certain & (found.heights < SMALL))
            done.append(found.of(~again))
            most = min(1.0, LARGEST_LOOK / longest) if shrunk else 2.0
            closer = min(2 * scale, most)
            if not again.any() or closer < CLOSER * scale:
                done.append(found.of(again))
                return _together(done)
            scale = closer
            found = self._look_at(picture, found.of(again), scale)
            # What was large enough to be seen before is not wanted in pieces now.
            kept = _together(done)
            found = found.of(~_covered(found.quads, kept.quads[kept.certain]))

    def _look_at(self, picture: Picture, places: Look, scale: float) -> Look:
        """What is seen at `scale` around `places`, and wherever it goes on from there."""
        size = picture.width, picture.height
        around = windows((_box(quad) for quad in places.quads), MARGIN / scale, *size)
        looks: dict[Box, Look] = {}
        for _ in range(1 + WIDENED):
            looks = {box: looks.get(box) or self._look_into(picture, box, scale) for box in around}
            edge = MARGIN / scale / 4
            around = windows((_widened(box, looks[box].quads, edge) for box in looks), 0, *size)
            if looks.keys() == set(around):
                break
        return _together(list(looks.values()))

    def _look_into(self, picture: Picture, box: Box, scale: float) -> Look:
        """What is seen of one part of the picture, in `scale` pixels to one of the picture."""
        left, top, right, bottom = box
        part, origin = picture.region(
            math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
        )
        height, width = part.shape[:2]
        if scale > 1:
            size = round(width * scale), round(height * scale)
            seen = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        else:
            seen = Still(part).small(max(1, round(max(width, height) * scale)))
        return self._look(seen, (width / seen.shape[1], height / seen.shape[0]), origin)

    def _look(self, seen: Pixels, scale: tuple[float, float], origin: tuple[int, int]) -> Look:
        """What the detector says of `seen`, which begins at `origin` in the full picture."""
        least, smallest = (MAYBE, 1.0) if self._thorough else (CERTAIN, SPECK)
        quads, scores = regions.rectangles(
            self._map(seen), PROBABLE, least, GROWTH, smallest, MOST_QUADS
        )
        sides = np.hypot(*(quads[:, [1, 3]] - quads[:, [0, 0]]).transpose(2, 0, 1))
        whole = quads * np.array(scale, np.float32) + np.array(origin, np.float32)
        return Look(whole, scores, sides.min(1, initial=np.inf))

    def _map(self, seen: Pixels) -> Floats:
        """For each pixel of `seen`, how likely it lies in the core of a word or line."""
        height, width = seen.shape[:2]
        if max(height, width) <= TILE:
            return np.ascontiguousarray(self._tile(seen))
        whole = np.empty((height, width), np.float32)
        for top, bottom in parts(height, TILE):
            for left, right in parts(width, TILE):
                y, x = max(0, top - OVERLAP), max(0, left - OVERLAP)
                tile = self._tile(seen[y : bottom + OVERLAP, x : right + OVERLAP])
                whole[top:bottom, left:right] = tile[top - y : bottom - y, left - x : right - x]
        return whole

    def _tile(self, seen: Pixels) -> Floats:
        height, width = seen.shape[:2]
        (probable,) = self._model(padded(seen, self._model.card))
        tile: Floats = probable[0, 0, :height, :width]
        return tile


def _card(key: str, name: str, decode: type[Decode], what: str) -> str:
    """Return `name`, the card that `[text] key` names, if it decodes as it must."""
    found = card(name)
    if not isinstance(found.decode, decode):
        raise WeightsError(f"[text] {key}: {name} cannot be used for {what}; it {found.task}")
    return name


def _together(looks: Sequence[Look]) -> Look:
    """All that several looks showed, best first."""
    quads, scores, heights = (np.concatenate(each) for each in zip(*looks, strict=True))
    order = np.argsort(-scores, kind="stable")[:MOST_QUADS]
    return Look(quads[order], scores[order], heights[order])


def _box(quad: Floats) -> Box:
    (x1, y1), (x2, y2) = quad.min(0).tolist(), quad.max(0).tolist()
    return x1, y1, x2, y2


def _widened(box: Box, quads: Floats, edge: float) -> Box:
    """`box`, twice as wide or high on each side that something in it comes near to."""
    if not len(quads):
        return box
    (x1, y1), (x2, y2) = quads.min((0, 1)), quads.max((0, 1))
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    return (
        left - wide * (x1 < left + edge),
        top - high * (y1 < top + edge),
        right + wide * (x2 > right - edge),
        bottom + high * (y2 > bottom - edge),
    )


def _covered(quads: Floats, others: Floats) -> NDArray[np.bool_]:
    """(n,): whether more than half of each of `quads` (n, 4, 2) lies in one of `others`."""
    low, high = (pick(quads, axis=1)[:, None] for pick in (np.min, np.max))
    near = ((low < others.max(1)) & (high > others.min(1))).all(2)
    covered = np.zeros(len(quads), np.bool_)
    for number, other in np.argwhere(near):
        quad = quads[number]
        shared, _ = cv2.intersectConvexConvex(quad, others[other])
        covered[number] |= shared > cv2.contourArea(quad) / 2
    return covered


class TextReader:
    """Reads the text that a finder found."""

    @staticmethod
    def cards(settings: schema.Text) -> list[str]:
        """Return the names of the model cards that the reader needs.

        Raises WeightsError if the settings name a model that cannot read lines.
        """
        return [_card("reader", settings.reader, Characters, "lines")]

    def __init__(self, settings: schema.Text, provider: str) -> None:
        self._least = settings.min_score
        self._thorough = settings.detection == "thorough"
        self._model = session.load(settings.reader, provider)
        self._alphabet = ["", *self._model.metadata["character"].split("\n")]
        # A video shows the same caption again and again, and an encoder copies what does not move:
        # of the crops of a broadcast, half and more have been read before, to the last bit. A
        # picture that is read thoroughly comes once.
        remembered = 0 if self._thorough else REMEMBERED
        self._characters = functools.lru_cache(remembered)(self._read)

    def __call__(self, picture: Picture, quads: Sequence[TextQuad]) -> tuple[TextLine, ...]:
        """The lines that score enough, in reading order: downwards, then to the right."""
        found: list[TextLine] = []
        for each in quads:
            quad, characters = self._best(picture, each)
            least = self._least if each.score >= CERTAIN else max(self._least, LEGIBLE)
            if _score(characters) >= least:
                found += lines(quad, characters, AIR)
        return in_reading_order(found)

    def _best(self, picture: Picture, found: TextQuad) -> tuple[Quad, tuple[Character, ...]]:
        """Of several ways to look at a region, the best-read one, and what it says."""

        def reading(quad: Quad) -> tuple[Quad, tuple[Character, ...]]:
            return quad, self._characters(_rectified(picture, quad).tobytes())

        best = max(map(reading, _views(found.quad)), key=lambda each: _score(each[1]))
        if self._thorough and found.score >= LOOKS_LIKE and _score(best[1]) < DOUBTFUL:
            a, b, c, d = best[0]
            over = reading((c, d, a, b))
            if _score(over[1]) > _score(best[1]) + CLEARLY:
                return over
        return best

    def _read(self, crop: bytes) -> tuple[Character, ...]:
        """The characters of a crop, which is (HEIGHT, w, 3) BGR."""
        upright = np.frombuffer(crop, np.uint8).reshape(HEIGHT, -1, 3)
        # One crop a call: crops of one width read together take as long as one after another.
        width = upright.shape[1]
        seen = padded(upright, self._model.card, self._model.length(width))
        classes, scores = self._model(seen)
        column = seen.shape[2] / classes.shape[1] / width
        return tuple(
            Character(self._alphabet[index], score, (first + last + 1) / 2 * column)
            for index, score, first, last in ctc.collapse(classes[0], scores[0])
        )


def _score(characters: Sequence[Character]) -> float:
    """Mean over what is not a space; 0 where nothing is written."""
    letters = [character.score for character in characters if character.text != " "]
    return sum(letters) / len(letters) if letters else 0.0


def _views(quad: Quad) -> list[Quad]:
    """The ways to look at a region: its corners, clockwise from the top-left of what may be text.

    A wide region has one. A tall one may be text that runs upwards or downwards, or one letter.
    """
    width, height = math.dist(quad[0], quad[1]), math.dist(quad[0], quad[3])
    if height < TALL * width:
        return [quad]
    downwards = (quad[1], quad[2], quad[3], quad[0])
    upwards = (quad[3], quad[0], quad[1], quad[2])
    return [quad, downwards, upwards] if height < SLIM * width else [downwards, upwards]


def _rectified(picture: Picture, quad: Quad) -> Pixels:
    """The region and some air around it, upright, HEIGHT pixels high."""
    corners = _aired(quad)
    size = math.dist(corners[0], corners[1]), math.dist(corners[0], corners[3])
    width = min(LONGEST, max(1, round(HEIGHT * size[0] / size[1])))
    target = np.array([[0, 0], [width, 0], [0, HEIGHT]], np.float32)
    matrix = cv2.getAffineTransform(np.array([corners[n] for n in (0, 1, 3)], np.float32), target)
    upright = crop(
        picture,
        np.asarray(matrix, np.float64),
        width,
        HEIGHT,
        interpolation=cv2.INTER_CUBIC,
        border=cv2.BORDER_REPLICATE,
        roughly=True,
    )
    enlarged = HEIGHT / size[1]
    if enlarged < SMALL_CROP:
        return upright
    blurred = cv2.GaussianBlur(upright, (0, 0), enlarged)
    return np.asarray(cv2.addWeighted(upright, 1 + SHARPEN, blurred, -SHARPEN, 0), np.uint8)


def _aired(quad: Quad) -> Quad:
    """`quad` with AIR of its height more on each side."""
    a, b, c, d = (complex(*corner) for corner in quad)
    right, down = b - a, d - a
    right *= AIR * abs(down) / abs(right)
    down *= AIR
    a, b, c, d = a - right - down, b + right - down, c + right + down, d - right + down
    return (a.real, a.imag), (b.real, b.imag), (c.real, c.imag), (d.real, d.imag)
