"""Whether a JSON value is what botocore's own model of Rekognition allows."""

import math
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import Shape

_model = botocore.session.get_session().get_service_model("rekognition")


def problems(value: Any, shape: str | Shape, place: str = "$") -> Iterator[str]:
    """What of `value` is not as `shape` has it, each with its place; nothing where all is."""
    if isinstance(shape, str):
        shape = _model.shape_for(shape)
    kind = {
        "structure": dict, "list": list, "string": str, "boolean": bool, "map": dict,
        "float": (int, float), "double": (int, float), "integer": int, "long": int,
    }[shape.type_name]  # fmt: skip
    if not isinstance(value, kind) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"{place}: {value!r} is no {shape.type_name}"
        return
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{place}: has no {name}, which {shape.name} requires"
        for name, member in value.items():
            if name in shape.members:
                yield from problems(member, shape.members[name], f"{place}.{name}")
            else:
                yield f"{place}: {name} is no member of {shape.name}"
    elif shape.type_name == "list":
        for number, member in enumerate(value):
            yield from problems(member, shape.member, f"{place}[{number}]")
    elif shape.type_name == "string":
        allowed = getattr(shape, "enum", [])
        if allowed and value not in allowed:
            yield f"{place}: {value!r} is none of {', '.join(allowed)}"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            yield f"{place}: {value!r} does not match {pattern}"
    if shape.type_name in ("list", "string", "float", "double", "integer", "long"):
        size = len(value) if shape.type_name in ("list", "string") else value
        if not shape.metadata.get("min", -math.inf) <= size <= shape.metadata.get("max", math.inf):
            yield f"{place}: {value!r} is out of range of {shape.name}"
