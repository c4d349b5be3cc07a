"""Responses as they were in November 2017, without what Amazon has added since."""

from typing import Any

import msgspec

ADDED_MEMBERS = frozenset(
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
"""Members that responses did not have."""
ADDED_TYPES = frozenset(
    (
        "FEAR",
        "upperJawlineLeft",
        "midJawlineLeft",
        "chinBottom",
        "midJawlineRight",
        "upperJawlineRight",
    )
)
"""Emotions and landmarks that did not exist."""
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
"""Operations that existed; the others respond as they do today."""


def as_in_2017(operation: str, response: msgspec.Struct) -> Any:
    """Return a response in the form of 2017, as lists and dictionaries if that is another one."""
    if operation not in OPERATIONS:
        return response
    members = msgspec.to_builtins(response)
    if operation == "CreateCollection":
        members["CollectionArn"] = members["CollectionArn"].removeprefix("arn:")
    return _without_additions(members)


def _without_additions(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_additions(inner)
            for name, inner in value.items()
            if name not in ADDED_MEMBERS
        }
    if isinstance(value, list | tuple):
        return [
            _without_additions(inner)
            for inner in value
            if not (isinstance(inner, dict) and inner.get("Type") in ADDED_TYPES)
        ]
    return value
