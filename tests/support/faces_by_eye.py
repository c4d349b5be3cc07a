"""What people see in the photographs of `tests.support.pictures`: `tests/data/faces.toml`."""

import tomllib

import msgspec
from tests.support.pictures import DATA

from onlooker.models.card import Section

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""


class FaceByEye(Section, frozen=True):
    """A face, and the attributes that it plainly has or has not."""

    box: Box
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()


class Faces(Section, frozen=True):
    """The faces of one image, from left to right."""

    faces: tuple[FaceByEye, ...]


def faces_by_eye() -> dict[str, tuple[FaceByEye, ...]]:
    """Return the faces of all photographs, by the photograph's name."""
    found = tomllib.loads((DATA / "faces.toml").read_text(encoding="utf-8"))
    return {name: msgspec.convert(one, Faces).faces for name, one in found.items()}


def overlap(one: Box, other: Box) -> float:
    """Return the intersection of two boxes divided by their union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (sum(areas) - both)
