"""What Amazon allows a member of a request to be, and the texts for what it is not.

A limit stands in the annotation of a member, as `Annotated[str, Limit(1, 255, "[a-z]+")]`. Types
are checked where the JSON is read; this is about lengths, ranges, patterns and choices, and about
members that must be there.
"""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from onlooker.api.errors import Refusal

SHOWN = 128
"""Characters of a value that an error repeats."""
MOST = 20
"""Complaints that one error lists."""
LETTERS = r"\w"  # of Python's, which are letters, numbers of any script and the underscore
SPACES = " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


@dataclass(frozen=True, slots=True)
class Limit:
    """Least and most length of a text, a list or a map, or least and most value of a number."""

    least: int | None = None
    most: int | None = None
    pattern: str | None = None
    """Amazon's regular expression, which the whole text must match."""
    choices: tuple[str, ...] = ()

    def complaint(self, value: Any) -> str | None:
        """What Amazon says where `value` is not within the limit."""
        sized = isinstance(value, str | tuple | list | dict)
        kind, size = ("length", len(value)) if sized else ("value", value)
        if self.most is not None and size > self.most:
            return f"Member must have {kind} less than or equal to {self.most}"
        if self.least is not None and size < self.least:
            return f"Member must have {kind} greater than or equal to {self.least}"
        if self.choices and value not in self.choices:
            return f"Member must satisfy enum value set: [{', '.join(self.choices)}]"
        if self.pattern is not None and not _expression(self.pattern).fullmatch(value):
            return f"Member must satisfy regular expression pattern: {self.pattern}"
        return None


@functools.cache
def _expression(pattern: str) -> re.Pattern[str]:
    # Python's re knows no \p{...}; Amazon uses these three, always together.
    for theirs, ours in ((r"\p{L}", LETTERS), (r"\p{N}", ""), (r"\p{Z}", SPACES)):
        pattern = pattern.replace(theirs, ours)
    return re.compile(pattern)


def required() -> Any:
    """The default of a member that a request must have: `check` finds that it is missing."""
    return msgspec.field(default=None)


def check(request: msgspec.Struct, error: str = "InvalidParameterException") -> None:
    """Refuse a request, by the name `error`, with everything that is not within its limits."""
    found = list(islice(_members(request, ""), MOST))
    if found:
        many = f"{len(found)} validation error{'s' * (len(found) > 1)} detected: "
        raise Refusal(error, many + "; ".join(found))


def _members(struct: msgspec.Struct, place: str) -> Iterator[str]:
    for name, needed, look in _rules(type(struct)):
        value = getattr(struct, name)
        path = place + name[0].lower() + name[1:]
        if value is not None:
            yield from look(value, path)
        elif needed:
            yield said("null", path, "Member must not be null")


def said(value: str, path: str, complaint: str) -> str:
    """Amazon's sentence about one value."""
    shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}... ({len(value)} characters)"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {complaint}"


Look = Callable[[Any, str], Iterator[str]]
"""Yields what is wrong with a value at a place."""


@functools.cache
def _rules(struct: type[msgspec.Struct]) -> tuple[tuple[str, bool, Look], ...]:
    """Each member that has something to be checked, whether it must be there, and the check."""
    hints = get_type_hints(struct, include_extras=True)
    rules = []
    for field in msgspec.structs.fields(struct):
        hint = hints[field.name]
        needed = not _optional(hint)
        look = _look(hint)
        if look is not None or needed:
            rules.append((field.name, needed, look or _anything))
    return tuple(rules)


def _anything(value: Any, path: str) -> Iterator[str]:
    return iter(())


def _optional(hint: Any) -> bool:
    return type(None) in get_args(hint)


def _look(hint: Any) -> Look | None:
    """The check of everything that an annotation says."""
    if _optional(hint):
        (hint,) = [one for one in get_args(hint) if one is not type(None)]
    limit = None
    if get_origin(hint) is Annotated:
        hint, limit = get_args(hint)[:2]
    parts: list[Look] = []
    if limit is not None:
        parts.append(functools.partial(_plain, limit))
    if get_origin(hint) is tuple:
        one = get_args(hint)[0]
        if get_origin(one) is Annotated:
            parts.append(functools.partial(_each, get_args(one)[1]))
        elif inner := _look(one):
            parts.append(functools.partial(_numbered, inner))
    if get_origin(hint) is dict:
        key, value = (get_args(one)[1] for one in get_args(hint))
        parts.append(functools.partial(_map, key, value))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        parts.append(lambda value, path: _members(value, f"{path}."))
    if not parts:
        return None
    return lambda value, path: (wrong for part in parts for wrong in part(value, path))


def _plain(limit: Limit, value: Any, path: str) -> Iterator[str]:
    if complaint := limit.complaint(value):
        text = value if isinstance(value, str) else str(msgspec.json.encode(value), "utf-8")
        yield said(f"'{text}'", path, complaint)


def _numbered(inner: Look, value: Any, path: str) -> Iterator[str]:
    """Structures of a list."""
    for number, one in enumerate(value, 1):
        yield from inner(one, f"{path}.{number}.member")


def _each(limit: Limit, value: Any, path: str) -> Iterator[str]:
    """Texts of a list: Amazon names the list, and what its members must satisfy."""
    for one in value:
        if complaint := limit.complaint(one):
            yield said(f"'[{one}]'", path, f"Member must satisfy constraint: [{complaint}]")


def _map(key: Limit, value: Limit, given: Any, path: str) -> Iterator[str]:
    for name, text in given.items():
        shown = f"'{{{name}={text}}}'"
        if complaint := key.complaint(name):
            yield said(shown, path, f"Map keys must satisfy constraint: [{complaint}]")
        if complaint := value.complaint(text):
            yield said(shown, path, f"Map value must satisfy constraint: [{complaint}]")
