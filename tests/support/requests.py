"""Cases made from botocore's model of Rekognition: each member, at and beyond each of its limits.

A case is a request and its expected outcome. The walk uses none of Onlooker's own structs.
"""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from tests.support.botocore_shapes import model
from tests.support.stored_videos import ROLE, TOPIC

from onlooker.api.rekognition.operations import OPERATIONS

Outcome = Literal["accepted", "limit", "type"]
Path = tuple[str | int, ...]

PNG = cv2.imencode(".png", np.zeros((80, 80, 3), np.uint8))[1].tobytes()
FACE = "0f0e0d0c-1111-2222-3333-0123456789ab"
COLLECTION = "contract"
ARN = f"arn:aws:rekognition:us-east-1:000000000000:collection/{COLLECTION}"

NOT_MATCHING = {
    "CollectionId": ["bad id!", "a/b", "ü", "a\n"],
    "ExternalImageId": ["a b", "a/b", "ö"],
    "UserId": ["a b", "a/b", "\U0001f600"],
    "FaceId": ["0F0E0D0C-1111-2222-3333-0123456789AB", "x", FACE + "0", FACE[:-1]],
    "ClientRequestToken": ["a.b", "a b", "a\n"],
    "S3Bucket": ["my_bucket!", "a/b/c"],
    "JobId": ["a.b", "a b", "a\n", "ü"],
    "JobTag": ["a b", "ö", "a\n"],
    "SNSTopicArn": ["topic", "arn:aws:sqs:us-east-1:000000000000:a", "arn:aws:sns:a:b:c"],
    "RoleArn": ["role", "arn:aws:iam::1:role/a", "arn:aws:iam::000000000000:user/a"],
    "StreamProcessorName": ["a b", "a/b", "ü", "a:b"],
    "KinesisVideoArn": ["stream", "arn:aws:kinesis:us-east-1:000000000000:stream/a"],
    "KinesisDataArn": ["stream", "arn:aws:kinesisvideo:us-east-1:000000000000:stream/a"],
    "KmsKeyId": ["a b", "-a", "ü"],
    "KinesisVideoStreamFragmentNumber": ["a", "1.5", "-1"],
    "TagKey": ["aws:mine", "a#b", "a\tb"],
    "TagValue": ["a#b", "a\tb", "\x00"],
}
MATCHING = {
    "CollectionId": ["a", "A.b-c_9"],
    "ExternalImageId": ["a:b", "A.b-c_9"],
    "UserId": ["a:b", "A.b-c_9"],
    "FaceId": [FACE],
    "ClientRequestToken": ["a-b_9"],
    "S3Bucket": ["my-bucket.1"],
    "JobId": ["a-b_9"],
    "JobTag": ["A.b-c_9:+=/"],
    "SNSTopicArn": [TOPIC, "arn:aws:sns:eu-west-1:000000000000:unknown"],
    "RoleArn": [ROLE],
    "StreamProcessorName": ["contract", "A.b-c_9"],
    "KinesisVideoArn": ["arn:aws:kinesisvideo:us-east-1:000000000000:stream/door/1"],
    "KinesisDataArn": ["arn:aws:kinesis:us-east-1:000000000000:stream/results"],
    "KmsKeyId": ["a-b_9"],
    "KinesisVideoStreamFragmentNumber": ["0", "91343852333289682796718532614445757584843717598"],
    "TagKey": ["Größe 1", "a:b/c=d+e-f@g"],
    "TagValue": ["", "日本 ½", "a:b/c=d+e-f@g"],
}
"""By the name of the shape."""
WRONG_TYPES: dict[str, list[Any]] = {
    "string": [7, 1.5, True, [], {}],
    "integer": ["7", 1.5, True, [], {}],
    "long": ["7", 1.5, True, [], {}],
    "boolean": ["true", 1, [], {}],
    "float": ["7", True, [], {}],
    "list": ["a", 7, {}, True],
    "map": ["a", 7, [], True],
    "structure": ["a", 7, [], True],
    "blob": [7, [], {}, True],
}


class Case(NamedTuple):
    operation: str
    name: str
    body: dict[str, Any]
    outcome: Outcome
    place: str = ""
    """The member, as errors call it."""
    says: str = ""
    """A part of the error's text."""


def cases() -> Iterator[Case]:
    """Yield all cases of all operations."""
    for operation in OPERATIONS:
        shape = model.operation_model(operation).input_shape
        base = _valid(operation)
        yield Case(operation, "as it should be", base, "accepted")
        yield from _members(operation, base, shape, ())
        yield Case(operation, "unknown members", {**base, "Unknown": {"a": [1]}}, "accepted")


def _valid(operation: str) -> dict[str, Any]:
    """Return a request with every required member."""
    shape = model.operation_model(operation).input_shape
    request = {name: _sample(name, shape.members[name]) for name in shape.required_members}
    if operation == "SearchUsers":
        request["FaceId"] = FACE
    if operation == "CreateStreamProcessor":
        # Of the alternatives that Amazon's model has as members beside each other.
        del request["Output"]["S3Destination"], request["Settings"]["ConnectedHome"]
    return request


def _sample(name: str, shape: Any) -> Any:
    """Return a valid value of a member."""
    kind = shape.type_name
    if name.endswith("Image"):
        return {"Bytes": base64.b64encode(PNG).decode()}
    if name == "ResourceArn":
        return ARN
    if name == "CollectionId":
        return COLLECTION
    if kind == "string":
        if getattr(shape, "enum", []):
            return shape.enum[0]
        return MATCHING.get(shape.name, ["name"])[0]
    if kind == "list":
        return [_sample(name, shape.member)] * max(1, shape.metadata.get("min", 1))
    if kind == "map":
        return {"key": "value"}
    if kind == "structure":
        return {name: _sample(name, member) for name, member in shape.members.items()}
    return shape.metadata.get("min", 1)


def _members(operation: str, base: dict[str, Any], shape: Any, path: Path) -> Iterator[Case]:
    for name, member in shape.members.items():
        here = (*path, name)
        if name in shape.required_members:
            for body in (_without(base, here), _with(base, here, None)):
                yield Case(
                    operation,
                    f"{here} missing",
                    body,
                    "limit",
                    _place(here),
                    "Value null at",
                )
        else:
            yield Case(operation, f"{here} null", _with(base, here, None), "accepted")
        yield from _member(operation, base, name, member, here)


def _member(
    operation: str, base: dict[str, Any], name: str, shape: Any, path: Path
) -> Iterator[Case]:
    """Yield the cases of one member at a place."""
    kind, place = shape.type_name, _place(path)
    for value in WRONG_TYPES[kind]:
        yield Case(operation, f"{path} {value!r}", _with(base, path, value), "type", place)
    for value, fits in _values(name, shape):
        outcome: Outcome = "accepted" if fits else "limit"
        shown = str(value)[:40]
        yield Case(operation, f"{path} {shown!r}", _with(base, path, value), outcome, place)
    if kind == "structure" and name != "S3Object":
        inner = _valid_inner(name, shape)
        yield from _members(operation, _with(base, path, inner), shape, path)
    elif kind == "structure":
        # Bytes and S3Object exclude each other.
        other = {"Bucket": "bucket", "Name": "name"}
        moved = _with(base, path[:-1], {"S3Object": other})
        yield from _members(operation, moved, shape, path)
    elif kind == "list" and shape.member.type_name == "structure":
        inner = _valid_inner(name, shape.member)
        listed = _with(base, path, [inner])
        yield from _members(operation, listed, shape.member, (*path, 0))
    elif kind == "list":
        good = _sample(name, shape.member)
        for value, fits in _values(name, shape.member):
            outcome = "accepted" if fits else "limit"
            yield Case(
                operation, f"{path} [{value!r}]", _with(base, path, [good, value]), outcome, place
            )
        for value in WRONG_TYPES[shape.member.type_name]:
            yield Case(operation, f"{path} [{value!r}]", _with(base, path, [value]), "type", place)
    elif kind == "map":
        for value, fits in _values("key", shape.key):
            outcome = "accepted" if fits else "limit"
            yield Case(
                operation, f"{path} key {value!r}", _with(base, path, {value: "v"}), outcome, place
            )
        for value, fits in _values("value", shape.value):
            outcome = "accepted" if fits else "limit"
            yield Case(
                operation,
                f"{path} value {value!r}",
                _with(base, path, {"k": value}),
                outcome,
                place,
            )


def _valid_inner(name: str, shape: Any) -> dict[str, Any]:
    """Return a structure that leaves the request valid."""
    if name.endswith("Image"):
        return {"Bytes": base64.b64encode(PNG).decode()}
    if shape.name == "NotificationChannel":
        return {"SNSTopicArn": TOPIC, "RoleArn": ROLE}
    if shape.name == "RegionOfInterest":
        return {"BoundingBox": {"Width": 0.5, "Height": 0.5, "Left": 0.0, "Top": 0.0}}
    if shape.name == "BoundingBox":
        return {"Width": 0.5, "Height": 0.5, "Left": 0.0, "Top": 0.0}
    if shape.name == "Point":
        return {"X": 0.5, "Y": 0.5}
    return {name: _sample(name, shape.members[name]) for name in shape.required_members}


def _values(name: str, shape: Any) -> Iterator[tuple[Any, bool]]:
    """Yield values of the right type, and whether they are within the limits."""
    kind, least, most = shape.type_name, shape.metadata.get("min"), shape.metadata.get("max")
    if kind == "string":
        if getattr(shape, "enum", []):
            yield from ((value, True) for value in shape.enum)
            yield from ((value, False) for value in ("NOT_ONE", shape.enum[0].lower(), ""))
            return
        yield from ((value, False) for value in NOT_MATCHING.get(shape.name, []))
        yield from ((value, True) for value in MATCHING.get(shape.name, []))
        if shape.name == "FaceId":
            return
        letter = "1" if shape.name == "KinesisVideoStreamFragmentNumber" else "a"
        if least:
            yield letter * (least - 1), False
            yield letter * least, True
            yield letter * (least + 1), True
        if most:
            yield letter * (most - 1), True
            yield letter * most, True
            yield letter * (most + 1), False
    elif kind in ("integer", "long", "float"):
        if least is not None:
            yield least - 1, False
            yield least, True
            yield least + 1, True
        if most is not None:
            yield most - 1, True
            yield most, True
            yield most + 1, False
            if kind == "float":
                yield most + 0.001, False
        if kind in ("integer", "long"):
            yield 10**30, most is None
    elif kind in ("list", "map"):
        for size in (least, least and least + 1, most and most - 1, most):
            if size:
                yield _many(shape, size), True
        if least:
            yield _many(shape, least - 1), False
        if most:
            yield _many(shape, most + 1), False


def _many(shape: Any, size: int) -> Any:
    if shape.type_name == "map":
        return {f"k{number}": "v" for number in range(size)}
    if shape.member.type_name == "structure":
        return [_valid_inner("", shape.member) for _ in range(size)]
    if shape.member.name == "FaceId":
        return [f"{number:08x}{FACE[8:]}" for number in range(size)]
    return [f"a{number}" for number in range(size)]


def _with(base: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy of a request with another value at a place; structures on the way are made."""
    made = copy.deepcopy(base)
    at: Any = made
    for step in path[:-1]:
        if isinstance(at, dict) and at.get(step) is None:
            at[step] = {}
        at = at[step]
    at[path[-1]] = value
    return made


def _without(base: dict[str, Any], path: Path) -> dict[str, Any]:
    made = copy.deepcopy(base)
    at: Any = made
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return made


def _place(path: Path) -> str:
    """As errors spell it, without the numbers of a list's members."""
    return ".".join(step[0].lower() + step[1:] for step in path if isinstance(step, str))


def encoded(case: Case) -> bytes:
    return json.dumps(case.body, ensure_ascii=False).encode()
