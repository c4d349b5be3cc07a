"""Errors of a card in words for its author."""

import difflib
import re
from collections.abc import Iterable, Iterator

from msgspec import inspect

UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`")
INVALID = re.compile(r"Invalid (enum )?value ")
PLACE = re.compile(r" - at `\$(?P<place>[^`]*)`$")
PATTERNS = {"matching regex '^[0-9a-f]{64}$'": "of 64 hex digits in lower case"}
"""Patterns of strings, in words."""


def explained(message: str, card: type) -> str:
    """Return msgspec's message about a card with what it could have been. card: its struct."""
    for pattern, words in PATTERNS.items():
        message = message.replace(pattern, words)
    place = PLACE.search(message)
    keys = [key.partition("[")[0] for key in place["place"].split(".")[1:]] if place else []
    root = inspect.type_info(card)
    if (unknown := UNKNOWN.search(message)) is not None:
        return message + _likely_key(unknown["key"], keys, root)
    if INVALID.search(message) and keys:
        values = ", ".join(dict.fromkeys(_values(keys, root)))
        return f"{message}; known are {values}"
    return message


def _likely_key(key: str, keys: list[str], root: inspect.Type) -> str:
    here = {each.encode_name for each in _fields(_at(keys, root))}
    if near := difflib.get_close_matches(key, here, 1):
        return f"; did you mean `{near[0]}`?"
    tables = [each.encode_name for each in _fields([root]) if key in _names(_flat(each.type))]
    if keys and key in _names([root]):
        return f"; `{key}` stands before the first [table]"
    return f"; `{key}` is a key of [{tables[0]}]" if tables else ""


def _values(keys: list[str], root: inspect.Type) -> Iterator[str]:
    """Return the values that a key may have: literals, or the tags of structs."""
    for each in _at(keys, root):
        if isinstance(each, inspect.LiteralType):
            yield from map(str, each.values)
    for each in _at(keys[:-1], root):
        if isinstance(each, inspect.StructType) and each.tag_field == keys[-1]:
            yield str(each.tag)


def _at(keys: Iterable[str], root: inspect.Type) -> list[inspect.Type]:
    """Return the types that a card may have at a place."""
    found = [root]
    for key in keys:
        fields = [each for each in _fields(found) if each.encode_name == key]
        found = [inner for each in fields for inner in _flat(each.type)]
    return found


def _fields(types: Iterable[inspect.Type]) -> list[inspect.Field]:
    return [
        field for each in types if isinstance(each, inspect.StructType) for field in each.fields
    ]


def _names(types: Iterable[inspect.Type]) -> set[str]:
    return {each.encode_name for each in _fields(types)}


def _flat(kind: inspect.Type) -> list[inspect.Type]:
    """Return the types of a union, or of a tuple's items; else the type itself."""
    if isinstance(kind, inspect.UnionType):
        return [inner for each in kind.types for inner in _flat(each)]
    if isinstance(kind, inspect.VarTupleType):
        return _flat(kind.item_type)
    return [kind]
