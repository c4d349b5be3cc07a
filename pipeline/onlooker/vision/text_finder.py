"""Text detection: a DBNet, whose probability map is cut into regions; each becomes a rectangle."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.config import schema
from onlooker.media.picture import Picture, Pixels, Still, usual
from onlooker.models import session
from onlooker.models.card import ProbabilityMap, WeightsError, card
from onlooker.types import Box, TextQuad
from onlooker.vision import regions
from onlooker.vision.crops import padded
from onlooker.vision.text_lines import as_quad
from onlooker.vision.tiles import parts, windows

# The finder's map is cut at REGION_THRESHOLD, and a region whose mean is at least TEXT_SCORE is
# text. Those of at least CANDIDATE_SCORES are candidates, which the reader must confirm.
REGION_THRESHOLD = 0.3
TEXT_SCORE = 0.6
CANDIDATE_SCORES = {"fast": 0.45, "thorough": 0.5}
# The fast search takes only candidates that look like words, because each of them is read: width to
# height, and least and largest height in pixels of the map.
MIN_CANDIDATE_RATIO = 2.5
CANDIDATE_HEIGHTS = 9.0, 40.0
FINER = 1.5
"""Factor to the size of the input by which a finer search is finer."""
UNCLIP_RATIO = 1.0
"""DBNet is trained on shrunken regions. Growing them back by its training ratio of 1.5 to 2 leaves
much space round a word; this ratio fits the words of ICDAR 2015 best."""
# In pixels of the map: a region with a shorter side is noise; lower text, once grown, is dropped.
MIN_SIDE, MIN_HEIGHT = 3.0, 4.4
MAX_QUADS = 1000
# Larger inputs go through the detector in tiles that overlap: its memory grows with its input.
MAX_INPUT_PIXELS = 960 * 736
MAX_TILE_HEIGHT, MAX_TILE_WIDTH, TILE_OVERLAP_PIXELS = 736, 960, 64

# The thorough search begins with an input of at least this long side. Around text lower than
# SMALL_HEIGHT, and around candidates, it detects again, twice as large each time, up to
# MAX_THOROUGH_PIXELS or to the image's own size. Only text lower than TINY_HEIGHT there is
# enlarged.
MIN_THOROUGH_PIXELS, MAX_THOROUGH_PIXELS = 960, 3840
SMALL_HEIGHT, TINY_HEIGHT = 10.0, 9.0
MIN_ZOOM = 1.1
"""Factor to the scale before below which another detection shows nothing new."""
# Pixels of the input shown around such text, and how often that is widened if text reaches its
# edge.
MARGIN_PIXELS = 32
MAX_WIDENINGS = 3

Floats = NDArray[np.float32]


class Regions(NamedTuple):
    """Regions that one or more runs of the detector found, in pixels of the full image."""

    quads: Floats
    """(n, 4, 2), best first."""
    scores: Floats
    """(n,)"""
    heights: Floats
    """(n,): the shorter side of each, in pixels of the detector's input."""

    def where(self, chosen: NDArray[np.bool_]) -> "Regions":
        return Regions(self.quads[chosen], self.scores[chosen], self.heights[chosen])

    @property
    def certain(self) -> NDArray[np.bool_]:
        """(n,): whether each is text, and not only a candidate."""
        return (self.scores >= TEXT_SCORE) & (self.heights >= MIN_HEIGHT)


class TextFinder:
    """A text detector for images of any size."""

    @staticmethod
    def cards(settings: schema.Text) -> list[str]:
        """Return the names of the model cards that the finder needs.

        Raises WeightsError if the settings name a model that cannot find text.
        """
        found = card(settings.detector)
        if not isinstance(found.decode, ProbabilityMap):
            raise WeightsError(
                f"[text] detector: {found.name} cannot be used for text; it {found.task}"
            )
        return [found.name]

    def __init__(self, settings: schema.Text, provider: str) -> None:
        self._thorough = settings.detection == "thorough"
        self._min_score = CANDIDATE_SCORES[settings.detection]
        size = max(settings.size, MIN_THOROUGH_PIXELS) if self._thorough else settings.size
        # A thorough search is fine already.
        self._sizes = size, size if self._thorough else round(FINER * size)
        self._model = session.load(settings.detector, provider)
        first = (usual().small(each, self._model.card.multiple) for each in self._sizes)
        self._model.prepare([padded(each, self._model.card).shape[:2] for each in first])

    def __call__(
        self, pictures: Sequence[Picture], finer: Sequence[bool] | None = None
    ) -> list[tuple[TextQuad, ...]]:
        """Return each picture's rectangles round words and lines, in pixels of the full image.

        The best ones come first. finer: whether to search it at a higher resolution; None means
        that none is.
        """
        sizes = [self._sizes[each] for each in finer or [False] * len(pictures)]
        inputs = [
            picture.small(size, self._model.card.multiple)
            for picture, size in zip(pictures, sizes, strict=True)
        ]
        # Inputs are let go of as their maps are decoded.
        return [
            self._quads(picture, given.shape, probable)
            for picture, given, probable in zip(pictures, inputs, self._maps(inputs), strict=True)
        ]

    def _quads(
        self, picture: Picture, shape: tuple[int, ...], probable: Floats
    ) -> tuple[TextQuad, ...]:
        """Return the rectangles of a picture whose probability map is `probable`."""
        scale = picture.width / shape[1], picture.height / shape[0]
        found = self._decoded(probable, scale, (0, 0))
        if self._thorough:
            found = self._with_small_text(picture, found, 1 / max(scale))
        else:
            found = found.where(found.certain | _like_words(found))
        found = found.where(found.heights >= MIN_HEIGHT)
        return tuple(
            TextQuad(quad=as_quad(quad), score=score)
            for quad, score in zip(found.quads, found.scores.tolist(), strict=True)
        )

    def _with_small_text(self, picture: Picture, found: Regions, scale: float) -> Regions:
        """Return `found`, with all that is small in it detected again in larger and larger inputs.

        scale: pixels of the input that `found` is from, for one pixel of the image.
        """
        done: list[Regions] = []
        longest = max(picture.width, picture.height)
        if not len(found.scores) and scale <= 0.5:
            # Text may be too small to be detected at all: the whole image is tried once more.
            everything = np.array([[[0, 0], [picture.width, 0], [picture.width, picture.height],
                                    [0, picture.height]]], np.float32)  # fmt: skip
            found = Regions(everything, np.zeros(1, np.float32), np.zeros(1, np.float32))
        while True:
            # Up to the image's own size, small text is enlarged; beyond it, tiny text.
            shrunk = scale < 1 / MIN_ZOOM
            low = SMALL_HEIGHT if shrunk else TINY_HEIGHT
            again = (found.heights < low) | (~found.certain & (found.heights < SMALL_HEIGHT))
            done.append(found.where(~again))
            limit = min(1.0, MAX_THOROUGH_PIXELS / longest) if shrunk else 2.0
            larger = min(2 * scale, limit)
            if not again.any() or larger < MIN_ZOOM * scale:
                done.append(found.where(again))
                return _together(done)
            scale = larger
            found = self._detect_around(picture, found.where(again), scale)
            # Text that was large enough before is not wanted in pieces now.
            kept = _together(done)
            found = found.where(~_covered(found.quads, kept.quads[kept.certain]))

    def _detect_around(self, picture: Picture, places: Regions, scale: float) -> Regions:
        """Return the regions around `places` at `scale`, and wherever they go on from there."""
        size = picture.width, picture.height
        around = windows((_box(quad) for quad in places.quads), MARGIN_PIXELS / scale, *size)
        found: dict[Box, Regions] = {}
        for _ in range(1 + MAX_WIDENINGS):
            found = {box: found.get(box) or self._detect_in(picture, box, scale) for box in around}
            edge = MARGIN_PIXELS / scale / 4
            around = windows((_widened(box, found[box].quads, edge) for box in found), 0, *size)
            if found.keys() == set(around):
                break
        return _together(list(found.values()))

    def _detect_in(self, picture: Picture, box: Box, scale: float) -> Regions:
        """Return the regions of one part of the image, `scale` input pixels to one of its own."""
        left, top, right, bottom = box
        part, origin = picture.region(
            math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
        )
        height, width = part.shape[:2]
        if scale > 1:
            size = round(width * scale), round(height * scale)
            given = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        else:
            given = Still(part).small(max(1, round(max(width, height) * scale)))
        [probable] = self._maps([given])
        return self._decoded(probable, (width / given.shape[1], height / given.shape[0]), origin)

    def _decoded(
        self, probable: Floats, scale: tuple[float, float], origin: tuple[int, int]
    ) -> Regions:
        """Return the regions of a map whose input begins at `origin` in the full image."""
        shortest = 1.0 if self._thorough else MIN_SIDE
        quads, scores = regions.rectangles(
            probable, REGION_THRESHOLD, self._min_score, UNCLIP_RATIO, shortest, MAX_QUADS
        )
        sides = np.hypot(*(quads[:, [1, 3]] - quads[:, [0, 0]]).transpose(2, 0, 1))
        whole = quads * np.array(scale, np.float32) + np.array(origin, np.float32)
        return Regions(whole, scores, sides.min(1, initial=np.inf))

    def _maps(self, inputs: Sequence[Pixels]) -> list[Floats]:
        """Return, for each pixel of each input, how likely it lies in the core of text."""
        whole = [n for n, given in enumerate(inputs) if given[..., 0].size <= MAX_INPUT_PIXELS]
        maps = dict(zip(whole, self._run([inputs[n] for n in whole]), strict=True))
        return [
            np.ascontiguousarray(maps[n]) if n in maps else self._tiled(given)
            for n, given in enumerate(inputs)
        ]

    def _tiled(self, given: Pixels) -> Floats:
        height, width = given.shape[:2]
        whole = np.empty((height, width), np.float32)
        for top, bottom in _tiles(height, MAX_TILE_HEIGHT):
            for left, right in _tiles(width, MAX_TILE_WIDTH):
                y, x = max(0, top - TILE_OVERLAP_PIXELS), max(0, left - TILE_OVERLAP_PIXELS)
                below, beyond = bottom + TILE_OVERLAP_PIXELS, right + TILE_OVERLAP_PIXELS
                [tile] = self._run([given[y:below, x:beyond]])
                whole[top:bottom, left:right] = tile[top - y : bottom - y, left - x : right - x]
        return whole

    def _run(self, inputs: Sequence[Pixels]) -> list[Floats]:
        outputs = self._model.run_each([padded(given, self._model.card) for given in inputs])
        return [
            probable[0, 0, : given.shape[0], : given.shape[1]]
            for given, (probable,) in zip(inputs, outputs, strict=True)
        ]


def _tiles(length: int, max_length: int) -> list[tuple[int, int]]:
    """Return begin and end of tiles that are within `max_length`, with their overlap."""
    alone = length <= max_length
    return parts(length, max_length if alone else max_length - 2 * TILE_OVERLAP_PIXELS)


def _together(found: Sequence[Regions]) -> Regions:
    """Return the regions of several runs, best first."""
    quads, scores, heights = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(-scores, kind="stable")[:MAX_QUADS]
    return Regions(quads[order], scores[order], heights[order])


def _like_words(found: Regions) -> NDArray[np.bool_]:
    """Return (n,): whether each is as high as text is, and longer than a letter, along the rows."""
    sides = found.quads[:, [1, 3]] - found.quads[:, [0, 0]]
    width, height = np.hypot(*sides.transpose(2, 0, 1)).T
    low, high = CANDIDATE_HEIGHTS
    fits = (found.heights >= low) & (found.heights <= high)
    return np.asarray(fits & (width >= MIN_CANDIDATE_RATIO * height), np.bool_)


def _box(quad: Floats) -> Box:
    (x1, y1), (x2, y2) = quad.min(0).tolist(), quad.max(0).tolist()
    return x1, y1, x2, y2


def _widened(box: Box, quads: Floats, edge: float) -> Box:
    """Return `box`, twice as wide or high on each side that a quad comes within `edge` of."""
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
    """Return (n,): whether more than half of each of `quads` (n, 4, 2) lies in one of `others`."""
    low, high = (pick(quads, axis=1)[:, None] for pick in (np.min, np.max))
    near = ((low < others.max(1)) & (high > others.min(1))).all(2)
    covered = np.zeros(len(quads), np.bool_)
    for number, other in np.argwhere(near):
        quad = quads[number]
        shared, _ = cv2.intersectConvexConvex(quad, others[other])
        covered[number] |= shared > cv2.contourArea(quad) / 2
    return covered
