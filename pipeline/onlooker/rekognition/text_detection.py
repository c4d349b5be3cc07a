"""Lines of text in Amazon's form: TextDetections with Ids, parents, limits and filters.

The answers of DetectText and GetTextDetection and the stream records have the same form.
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
"""Least Confidence, 0 to 100, of a WordFilter without its own. No WordFilter means no limit."""
MIN_INSIDE = 0.5
"""A word is in a region of interest if more than this share of its area is."""
ANGLE_TOLERANCE_DEGREES = 3.0
"""Error of a line's measured angle, by which it may exceed `max_angle`."""

Polygon = Sequence[tuple[float, float]]


def text_detections(
    lines: Sequence[TextLine],
    size: Size,
    *,
    filters: TextFilters | None = None,
    max_words: int | None = None,
    max_angle: float | None = None,
    basic_latin: bool = False,
) -> tuple[TextDetection, ...]:
    """Return all lines, with Ids from 0 on, then the words line by line, both in reading order.

    lines: in reading order, in pixels of an image of `size` (width, height). filters: conditions on
    words; a line is left out if it has none of its words left, and is otherwise whole. max_words:
    words beyond these are left out in the same way. max_angle: degrees that a line may be turned
    either way. basic_latin: remove accents, then leave out all that is not ASCII.

    By default nothing is left out, as in the stream record. Amazon's DetectText has 100 words
    within 90 degrees; until 2018 it had 50 words of basic Latin within 30 degrees.
    """
    if basic_latin:
        lines = [folded for line in lines if (folded := _in_basic_latin(line)).words]
    left = math.inf if max_words is None else max_words
    kept: list[tuple[TextLine, list[Word]]] = []
    for line in lines:
        if max_angle is not None and abs(_angle(line.quad)) > max_angle + ANGLE_TOLERANCE_DEGREES:
            continue
        words = [word for word in line.words if _wanted(word, size, filters)]
        words = words[: None if math.isinf(left) else int(left)]
        left -= len(words)
        if words or not line.words:
            kept.append((line, words))
    found = [
        TextDetection(
            DetectedText=line.text,
            Type="LINE",
            Id=number,
            Confidence=percent(line.score),
            Geometry=geometry(line.quad, size),
        )
        for number, (line, _) in enumerate(kept)
    ]
    for parent, (_, words) in enumerate(kept):
        for word in words:
            found.append(
                TextDetection(
                    DetectedText=word.text,
                    Type="WORD",
                    Id=len(found),
                    ParentId=parent,
                    Confidence=percent(word.score),
                    Geometry=geometry(word.quad, size),
                )
            )
    return tuple(found)


def geometry(quad: Quad, size: Size) -> Geometry:
    """Return a place in pixels in Amazon's form; `size` is the image's."""
    x, y = zip(*quad, strict=True)
    return Geometry(
        BoundingBox=bounding_box((min(x), min(y), max(x), max(y)), size),
        Polygon=tuple(Point(X=x, Y=y) for x, y in (place(p, size) for p in quad)),
    )


def _angle(quad: Quad) -> float:
    """Return the angle from the image's rows to the text's direction: degrees, clockwise."""
    (x0, y0), (x1, y1) = quad[:2]
    return math.degrees(math.atan2(y1 - y0, x1 - x0))


def _in_basic_latin(line: TextLine) -> TextLine:
    words = [replace(word, text=_basic_latin(word.text)) for word in line.words]
    words = [word for word in words if word.text]
    return replace(line, text=" ".join(word.text for word in words), words=tuple(words))


def _basic_latin(text: str) -> str:
    """Return `text` without accents, and then without all that is not ASCII."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_TYPOGRAPHIC))
    return decomposed.encode("ascii", "ignore").decode()


_TYPOGRAPHIC = str.maketrans("‘’‚“”„‐‑‒–—", "'''" + '"' * 3 + "-" * 5)


def _wanted(word: Word, size: Size, filters: TextFilters | None) -> bool:
    if filters is None:
        return True
    if filters.WordFilter is not None:
        wanted = filters.WordFilter
        least = MIN_CONFIDENCE if wanted.MinConfidence is None else wanted.MinConfidence
        box = geometry(word.quad, size).BoundingBox
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
    return any(_area(_clipped(_outline(region), quad)) > MIN_INSIDE * whole for region in regions)


def _outline(region: RegionOfInterest) -> Polygon:
    box = region.BoundingBox
    if box is None:
        return [(point.X, point.Y) for point in region.Polygon or ()]
    right, bottom = box.Left + box.Width, box.Top + box.Height
    return [(box.Left, box.Top), (right, box.Top), (right, bottom), (box.Left, bottom)]


def _clipped(polygon: Polygon, quad: Polygon) -> Polygon:
    """Return the part of a polygon that lies in a convex quad with clockwise corners.

    Sutherland and Hodgman, "Reentrant polygon clipping", 1974: cut off the part outside of one side
    after the other.
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
