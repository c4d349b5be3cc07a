"""The table of operations: the whole API on one screen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from onlooker.api import pictures, requests
from onlooker.api.errors import Refusal


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked, and the function that answers it."""

    request: type[msgspec.Struct]
    run: Callable[..., msgspec.Struct]
    """(request, site) -> answer, or (request, site, analyser) -> answer of one that looks."""
    looks: bool = False
    """Whether it looks at a picture, and needs models."""
    changes: bool = False
    """Whether it changes what is stored."""

    @property
    def name(self) -> str:
        """As Amazon calls it."""
        return self.request.__name__

    def collection(self, request: Any) -> str | None:
        """Name of the collection that a request is about, if it is about one."""
        if hasattr(request, "ResourceArn"):
            return str(request.ResourceArn or "").rpartition("/")[2]
        name: str | None = getattr(request, "CollectionId", None)
        return name


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(requests.DetectFaces, pictures.detect_faces, looks=True),
        Operation(requests.DetectText, pictures.detect_text, looks=True),
        Operation(requests.CompareFaces, pictures.compare_faces, looks=True),
    )
}

TARGET = "RekognitionService."
"""What the header X-Amz-Target begins with."""


def named(target: str | None) -> Operation:
    """The operation that a request's X-Amz-Target names; Refusal for none of ours."""
    if target is not None and target.startswith(TARGET):
        operation = OPERATIONS.get(target.removeprefix(TARGET))
        if operation is not None:
            return operation
    supported = ", ".join(sorted(OPERATIONS))
    what = f"{target[:100]!r} is not one of ours" if target else "there is no X-Amz-Target"
    raise Refusal(
        "UnknownOperationException",
        f"{what}; it must be {TARGET}NAME with one of these names: {supported}",
    )
