"""A check of JSON values against botocore's own model of Rekognition."""

import math
import re
from collections.abc import Iterator
from typing import Any

import botocore.session

model: Any = botocore.session.get_session().get_service_model("rekognition")

KINDS: dict[str, Any] = {
    "structure": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "float": (int, float),
    "double": (int, float),
    "integer": int,
    "long": int,
    "timestamp": (int, float),
    "blob": str,
    "map": dict,
}
# Python's re has no \p{...}; letters, digits and spaces are what Amazon's tags use it for.
CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s"}


def problems(value: Any, name: str, service: Any = model) -> list[str]:
    """Return where `value` differs from the shape `name`, one text for each place."""
    return list(_problems(value, service.shape_for(name), "$"))


def problems_of(value: Any, shape: Any) -> list[str]:
    """Return where `value` differs from a shape of any service."""
    return list(_problems(value, shape, "$"))


def _problems(value: Any, shape: Any, place: str) -> Iterator[str]:
    kind = shape.type_name
    if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{place}: {value!r} is no {kind}"
        return
    if kind == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{place}: has no {name}, which {shape.name} requires"
        for name, member in value.items():
            if name in shape.members:
                yield from _problems(member, shape.members[name], f"{place}.{name}")
            else:
                yield f"{place}: {name} is no member of {shape.name}"
    elif kind == "list":
        for number, member in enumerate(value):
            yield from _problems(member, shape.member, f"{place}[{number}]")
    elif kind == "map":
        for name, member in value.items():
            yield from _problems(name, shape.key, f"{place} key")
            yield from _problems(member, shape.value, f"{place}.{name}")
    elif kind == "string":
        if getattr(shape, "enum", []) and value not in shape.enum:
            yield f"{place}: {value!r} is none of {', '.join(shape.enum)}"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(_python(pattern), value):
            yield f"{place}: {value!r} does not match {pattern}"
    if kind not in ("structure", "boolean"):
        size = len(value) if kind in ("list", "string", "map", "blob") else value
        if not shape.metadata.get("min", -math.inf) <= size <= shape.metadata.get("max", math.inf):
            yield f"{place}: {value!r} is out of range of {shape.name}"


def _python(pattern: str) -> str:
    for theirs, ours in CLASSES.items():
        pattern = pattern.replace(theirs, ours)
    return pattern
