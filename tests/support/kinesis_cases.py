"""Cases made from botocore's model of Kinesis: each member, at and beyond each of its limits.

The walk uses none of Onlooker's own structs.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from tests.support.kinesis import SHARD, model

OPERATIONS = (
    "ListStreams",
    "DescribeStream",
    "DescribeStreamSummary",
    "ListShards",
    "GetShardIterator",
    "GetRecords",
)
STREAM = "door"
ARN = f"arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}"
ITERATOR = "FRESH"
"""Stands for an iterator that is made just before the case is sent."""

Outcome = Literal["accepted", "limit", "type"]

BASE: dict[str, dict[str, Any]] = {
    "ListStreams": {},
    "DescribeStream": {"StreamName": STREAM},
    "DescribeStreamSummary": {"StreamName": STREAM},
    "ListShards": {"StreamName": STREAM},
    "GetShardIterator": {
        "StreamName": STREAM,
        "ShardId": SHARD,
        "ShardIteratorType": "TRIM_HORIZON",
    },
    "GetRecords": {"ShardIterator": ITERATOR},
}
FITTING: dict[str, Any] = {
    "StreamName": STREAM,
    "StreamARN": ARN,
    "StreamId": "abcdefghij0123456789-abc",
    "ShardId": SHARD,
    "ShardIterator": ITERATOR,
    "SequenceNumber": "4961" + "0" * 52,
}
"""A valid value, by the name of the shape."""
UNFIT: dict[str, list[str]] = {
    "StreamName": ["bad name!", "a/b", "ü", "a\n", "a" * 129],
    "StreamARN": ["door", "arn:aws:s3:::door", "arn:aws:kinesis:us-east-1:1:stream/door"],
    "StreamId": ["abc", "ABCDEFGHIJ0123456789-abc", "abcdefghij0123456789_abc"],
    "ShardId": ["bad id!", "ü", "a" * 129],
    "SequenceNumber": ["01", "-1", "1.5", "x", "1" * 130],
    "ShardIterator": ["a" * 513],
}
WRONG_TYPES: dict[str, list[Any]] = {
    "string": [7, 1.5, True, [], {}],
    "integer": ["7", 1.5, True, [], {}],
    "timestamp": ["now", True, [], {}],
    "boolean": ["true", 1, [], {}],
    "structure": ["a", 7, [], True],
}
LATER = {("GetRecords", "Limit")}
"""Members whose upper limit is another error than a violated constraint."""


class Case(NamedTuple):
    operation: str
    name: str
    body: dict[str, Any]
    outcome: Outcome
    place: str = ""
    """The member, as errors call it."""


def cases() -> Iterator[Case]:
    """Yield all cases of all operations."""
    for operation in OPERATIONS:
        base = BASE[operation]
        shape = model.operation_model(operation).input_shape
        yield Case(operation, "as it should be", base, "accepted")
        yield Case(operation, "unknown members", {**base, "Unknown": {"a": [1]}}, "accepted")
        yield from _members(operation, base, shape, ())


def _members(
    operation: str, base: dict[str, Any], shape: Any, path: tuple[str, ...]
) -> Iterator[Case]:
    for name, member in shape.members.items():
        here = (*path, name)
        place = ".".join(step[0].lower() + step[1:] for step in here)
        if name in shape.required_members:
            for body in (_without(base, here), _with(base, here, None)):
                yield Case(operation, f"{place} missing", body, "limit", place)
        else:
            yield Case(operation, f"{place} null", _with(base, here, None), "accepted")
        for value in WRONG_TYPES[member.type_name]:
            body = _with(base, here, value)
            yield Case(operation, f"{place} {value!r}", body, "type", place)
        for value, fits in _values(operation, name, member):
            shown = f"{place} {str(value)[:30]!r}"
            outcome: Outcome = "accepted" if fits else "limit"
            yield Case(operation, shown, _with(base, here, value), outcome, place)
        if member.type_name == "structure":
            inner = {"Type": "AT_TRIM_HORIZON"}
            yield from _members(operation, _with(base, here, inner), member, here)


def _values(operation: str, name: str, shape: Any) -> Iterator[tuple[Any, bool]]:
    """Yield values of the right type, and whether they are within the limits."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "string":
        if getattr(shape, "enum", []):
            yield from ((value, True) for value in shape.enum)
            yield from ((value, False) for value in ("NOT_ONE", shape.enum[0].lower(), ""))
            return
        if shape.name in FITTING:
            yield FITTING[shape.name], True
        yield from ((value, False) for value in UNFIT.get(shape.name, []))
        if least:
            yield "", False
    elif shape.type_name == "integer":
        for value in (least - 1, least, least + 1, most - 1, most):
            yield value, value >= least
        if (operation, name) not in LATER:
            yield most + 1, False
    elif shape.type_name == "timestamp":
        yield from ((value, True) for value in (0, 1.5, 1_700_000_000))
    elif shape.type_name == "boolean":
        yield from ((value, True) for value in (True, False))


def _with(base: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    first, *rest = path
    inner = _with(base.get(first) or {}, tuple(rest), value) if rest else value
    return {**base, first: inner}


def _without(base: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    first, *rest = path
    if rest:
        return {**base, first: _without(base[first], tuple(rest))}
    return {name: value for name, value in base.items() if name != first}
