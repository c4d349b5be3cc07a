"""The conversion of pixels into ratios of the image; no other module does it.

Numbers are rounded, so that lines are short and differences between machines in the last bit
disappear: ratios to 6 decimals (a hundredth of a pixel in an image 10,000 wide), percentages and
degrees to 4.
"""

from onlooker.rekognition.shapes import BoundingBox
from onlooker.types import Box, Point

Size = tuple[int, int]
"""Width and height of an image in pixels."""


def bounding_box(box: Box, size: Size) -> BoundingBox:
    """Return a box as ratios of the image's size.

    It is not clipped: at the edge it begins below 0 or ends above 1, as Amazon's boxes do.
    """
    x1, y1, x2, y2 = box
    width, height = size
    return BoundingBox(
        Width=rounded((x2 - x1) / width, 6),
        Height=rounded((y2 - y1) / height, 6),
        Left=rounded(x1 / width, 6),
        Top=rounded(y1 / height, 6),
    )


def place(point: Point, size: Size) -> Point:
    """Return a point as ratios of the image's width and height."""
    return rounded(point[0] / size[0], 6), rounded(point[1] / size[1], 6)


def percent(probability: float) -> float:
    """Return a probability, 0 to 1, as a percentage, 0 to 100."""
    return rounded(100 * probability, 4)


def rounded(value: float, digits: int) -> float:
    """Return `value` rounded to `digits` decimals, and never -0.0."""
    # Adding 0.0 turns -0.0 into 0.0.
    return round(value, digits) + 0.0
