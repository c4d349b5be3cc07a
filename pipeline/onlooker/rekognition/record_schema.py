"""The JSON Schema of records and of the events in them, for programs in other languages."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from onlooker.rekognition import shapes

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def record_schema() -> dict[str, Any]:
    """Return the schema of a StreamRecord; `$defs` has those of Appearance, Reading and the rest.

    Every description is the docstring of the shape or the member.
    """
    found = msgspec.json.schema(shapes.StreamRecord)
    for name, schema in found["$defs"].items():
        for member, text in member_docs(getattr(shapes, name)).items():
            schema["properties"][member]["description"] = text
    return {"$schema": DIALECT, "title": "Onlooker's record of one frame", **found}


def member_docs(cls: type) -> dict[str, str]:
    """Return the docstring of each member that has one, with its lines joined; inherited ones too.

    Raises OSError if the source of `cls` is not there.
    """
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if each.__module__.startswith("onlooker."):
            found.update(_own(each))
    return found


def _own(cls: type) -> Iterator[tuple[str, str]]:
    [defined] = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(defined, ast.ClassDef)
    for member, below in pairwise(defined.body):
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            match below:
                case ast.Expr(ast.Constant(str(text))):
                    yield member.target.id, " ".join(text.split())
