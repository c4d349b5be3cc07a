"""From pixels to ratios of the picture: here and nowhere else.

Numbers are rounded, so that lines are short and a last bit that differs between machines is not
seen: ratios to 6 decimals (a hundredth of a pixel in a picture 10 000 wide), percentages and
degrees to 4.
"""

from onlooker.rekognition.shapes import BoundingBox
from onlooker.types import Box, Point

Size = tuple[int, int]
"""Width and height of a picture in pixels."""


def bounding_box(box: Box, size: Size) -> BoundingBox:
    """Never clipped: a face at the edge begins below 0 or ends beyond 1, as Amazon's do."""
    x1, y1, x2, y2 = box
    width, height = size
    return BoundingBox(
        Width=rounded((x2 - x1) / width, 6),
        Height=rounded((y2 - y1) / height, 6),
        Left=rounded(x1 / width, 6),
        Top=rounded(y1 / height, 6),
    )


def place(point: Point, size: Size) -> Point:
    """A point as ratios of the picture's width and height."""
    return rounded(point[0] / size[0], 6), rounded(point[1] / size[1], 6)


def percent(probability: float) -> float:
    """0 to 100, of 0 to 1."""
    return rounded(100 * probability, 4)


def rounded(value: float, digits: int) -> float:
    """`value` with so many decimals."""
    # Adding nothing turns -0.0 into 0.0.
    return round(value, digits) + 0.0
