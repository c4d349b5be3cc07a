"""Parts of an image that are detected separately: windows round regions, and tiles."""

from collections.abc import Iterable

from onlooker.types import Box


def windows(boxes: Iterable[Box], margin: float, width: int, height: int) -> list[Box]:
    """Return boxes round all of `boxes`, `margin` wider on each side, that do not overlap.

    If two would overlap, one box goes round both. All are clipped to the image of `width` x
    `height`; a box outside of it is left out.
    """
    found: list[Box] = []
    for x1, y1, x2, y2 in boxes:
        box = (
            max(0.0, x1 - margin),
            max(0.0, y1 - margin),
            min(float(width), x2 + margin),
            min(float(height), y2 + margin),
        )
        if box[2] <= box[0] or box[3] <= box[1]:
            continue
        # Each time that it grows, it may overlap further ones.
        while near := [other for other in found if _overlap(box, other)]:
            found = [other for other in found if other not in near]
            box = _around(box, *near)
        found.append(box)
    return found


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _around(*boxes: Box) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def parts(length: int, max_length: int) -> list[tuple[int, int]]:
    """Return begin and end of the fewest equal parts of `length` that are within `max_length`."""
    count = -(-length // max_length)
    return [(length * part // count, length * (part + 1) // count) for part in range(count)]
