"""Answers as they were in November 2017: without what Amazon added since."""

from typing import Any

import msgspec

SINCE = frozenset(
    (
        "EyeDirection",
        "FaceOccluded",
        "IndexFacesModelVersion",
        "TextModelVersion",
        "UnindexedFaces",
        "UnsuccessfulFaceDeletions",
        "UserId",
    )
)
"""Members that answers did not have."""
TYPES_SINCE = frozenset(
    (
        "FEAR",
        "upperJawlineLeft",
        "midJawlineLeft",
        "chinBottom",
        "midJawlineRight",
        "upperJawlineRight",
    )
)
"""Emotions and landmarks that there were not."""
OPERATIONS = frozenset(
    (
        "CompareFaces",
        "CreateCollection",
        "DeleteCollection",
        "DeleteFaces",
        "DetectFaces",
        "DetectText",
        "IndexFaces",
        "ListCollections",
        "ListFaces",
        "SearchFaces",
        "SearchFacesByImage",
    )
)
"""Those that there were; the others answer as they do today."""


def in_2017(operation: str, answer: msgspec.Struct) -> Any:
    """The answer as lists and dictionaries, in the form of its time."""
    told = msgspec.to_builtins(answer)
    if operation not in OPERATIONS:
        return told
    if operation == "CreateCollection":
        told["CollectionArn"] = told["CollectionArn"].removeprefix("arn:")
    return _without(told)


def _without(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _without(value) for name, value in told.items() if name not in SINCE}
    if isinstance(told, list | tuple):
        return [
            _without(one)
            for one in told
            if not (isinstance(one, dict) and one.get("Type") in TYPES_SINCE)
        ]
    return told
