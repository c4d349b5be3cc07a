"""From the lines that were read to Amazon's TextDetections: Ids, parents, limits and filters.

What DetectText answers, what stands in a stream record and what GetTextDetection lists is made
here and nowhere else.
"""

import math
import unicodedata
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from onlooker.rekognition.ratios import Size, bounding_box, percent, place
from onlooker.rekognition.shapes import (
    Geometry,
    Point,
    RegionOfInterest,
    TextDetection,
    TextFilters,
)
from onlooker.types import Quad, TextLine, Word

MIN_CONFIDENCE = 80.0
"""Of a WordFilter that does not say one. Without a WordFilter nothing is left out."""
INSIDE = 0.5
"""A word is in a region of interest where more than this part of it is."""
LEEWAY = 3.0
"""Degrees that the measured angle of a line may be off: upright text is not outside of 90."""

Polygon = Sequence[tuple[float, float]]


def text_detections(
    lines: Sequence[TextLine],
    size: Size,
    *,
    filters: TextFilters | None = None,
    most_words: int | None = None,
    max_angle: float | None = None,
    basic_latin: bool = False,
) -> tuple[TextDetection, ...]:
    """All lines first, with Ids from 0 on, then the words, line by line in reading order.

    lines: in reading order, in pixels of a picture of `size` (width, height). filters: which words
    are wanted; a line without any of its words is left out, one with some stays whole.
    most_words: words beyond these, in reading order, are left out likewise. max_angle: degrees
    that a line may be turned either way. basic_latin: accents are taken off, and what is not
    ASCII then is left out.

    Without any of these everything is told, as in the stream record. Amazon's DetectText has 100
    words within 90 degrees; until 2018 it had 50 words of basic Latin within 30 degrees.
    """
    if basic_latin:
        lines = [folded for line in lines if (folded := _in_basic_latin(line)).words]
    left = math.inf if most_words is None else most_words
    told: list[tuple[TextLine, list[Word]]] = []
    for line in lines:
        if max_angle is not None and abs(_angle(line.quad)) > max_angle + LEEWAY:
            continue
        words = [word for word in line.words if _wanted(word, size, filters)]
        words = words[: None if math.isinf(left) else int(left)]
        left -= len(words)
        if words or not line.words:
            told.append((line, words))
    found = [
        TextDetection(
            DetectedText=line.text,
            Type="LINE",
            Id=number,
            Confidence=percent(line.score),
            Geometry=_geometry(line.quad, size),
        )
        for number, (line, _) in enumerate(told)
    ]
    for parent, (_, words) in enumerate(told):
        for word in words:
            found.append(
                TextDetection(
                    DetectedText=word.text,
                    Type="WORD",
                    Id=len(found),
                    ParentId=parent,
                    Confidence=percent(word.score),
                    Geometry=_geometry(word.quad, size),
                )
            )
    return tuple(found)


def _geometry(quad: Quad, size: Size) -> Geometry:
    x, y = zip(*quad, strict=True)
    return Geometry(
        BoundingBox=bounding_box((min(x), min(y), max(x), max(y)), size),
        Polygon=tuple(Point(X=x, Y=y) for x, y in (place(p, size) for p in quad)),
    )


def _angle(quad: Quad) -> float:
    """Of the text's direction against the picture's rows, in degrees, clockwise."""
    (x0, y0), (x1, y1) = quad[:2]
    return math.degrees(math.atan2(y1 - y0, x1 - x0))


def _in_basic_latin(line: TextLine) -> TextLine:
    words = [replace(word, text=_basic_latin(word.text)) for word in line.words]
    words = [word for word in words if word.text]
    return replace(line, text=" ".join(word.text for word in words), words=tuple(words))


def _basic_latin(text: str) -> str:
    """`text` without accents, and without what is still not ASCII then."""
    apart = unicodedata.normalize("NFKD", text.translate(_TYPOGRAPHIC))
    return apart.encode("ascii", "ignore").decode()


_TYPOGRAPHIC = str.maketrans("‘’‚“”„‐‑‒–—", "'''" + '"' * 3 + "-" * 5)


def _wanted(word: Word, size: Size, filters: TextFilters | None) -> bool:
    if filters is None:
        return True
    if filters.WordFilter is not None:
        wanted = filters.WordFilter
        least = MIN_CONFIDENCE if wanted.MinConfidence is None else wanted.MinConfidence
        box = _geometry(word.quad, size).BoundingBox
        if (
            percent(word.score) < least
            or box.Height < (wanted.MinBoundingBoxHeight or 0.0)
            or box.Width < (wanted.MinBoundingBoxWidth or 0.0)
        ):
            return False
    regions = filters.RegionsOfInterest
    if not regions:
        return True
    quad = [place(corner, size) for corner in word.quad]
    whole = _area(quad)
    return any(_area(_clipped(_outline(region), quad)) > INSIDE * whole for region in regions)


def _outline(region: RegionOfInterest) -> Polygon:
    box = region.BoundingBox
    if box is None:
        return [(point.X, point.Y) for point in region.Polygon or ()]
    right, bottom = box.Left + box.Width, box.Top + box.Height
    return [(box.Left, box.Top), (right, box.Top), (right, bottom), (box.Left, bottom)]


def _clipped(polygon: Polygon, quad: Polygon) -> Polygon:
    """The part of any polygon that lies in a convex quad, whose corners go clockwise.

    Sutherland and Hodgman, "Reentrant polygon clipping", 1974: what lies outside one side is cut
    off, side after side.
    """
    for (ax, ay), (bx, by) in _sides(quad):

        def depth(
            x: float, y: float, ax: float = ax, ay: float = ay, bx: float = bx, by: float = by
        ) -> float:
            return (bx - ax) * (y - ay) - (by - ay) * (x - ax)

        kept: list[tuple[float, float]] = []
        for one, other in _sides(polygon):
            here, there = depth(*one), depth(*other)
            if here >= 0:
                kept.append(one)
            if (here >= 0) != (there >= 0):
                part = here / (here - there)
                kept.append(
                    (one[0] + part * (other[0] - one[0]), one[1] + part * (other[1] - one[1]))
                )
        polygon = kept
    return polygon


def _area(polygon: Polygon) -> float:
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in _sides(polygon))) / 2


def _sides(polygon: Polygon) -> Iterable[tuple[tuple[float, float], tuple[float, float]]]:
    return zip(polygon, [*polygon[1:], *polygon[:1]], strict=True)
