"""Amazon's limits of the members of a request, and Amazon's texts for violated ones.

A limit stands in the annotation of a member, as `Annotated[str, Limit(1, 255, "[a-z]+")]`. Types
are checked when the JSON is decoded; this is about lengths, ranges, patterns and choices, and about
members that are required.
"""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from onlooker.api.errors import Refusal

MAX_SHOWN_CHARACTERS = 128
"""Characters of a value that an error repeats."""
MAX_COMPLAINTS = 20
"""Complaints that one error lists."""
LETTERS = r"\w"  # in Python: letters and numbers of any script, and the underscore
SPACES = " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


@dataclass(frozen=True, slots=True)
class Limit:
    """Bounds of the length of a text, a list or a map, or of the value of a number."""

    least: int | None = None
    most: int | None = None
    pattern: str | None = None
    """Amazon's regular expression, which the whole text must match."""
    choices: tuple[str, ...] = ()

    def complaint(self, value: Any) -> str | None:
        """Return Amazon's complaint about a value; None if it is within the limit."""
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
    # Python's re has no \p{...}; Amazon uses these three, always together.
    for theirs, ours in ((r"\p{L}", LETTERS), (r"\p{N}", ""), (r"\p{Z}", SPACES)):
        pattern = pattern.replace(theirs, ours)
    return re.compile(pattern)


def required() -> Any:
    """Return the default of a required member, so that `check` can find that it is missing."""
    return msgspec.field(default=None)


def check(request: msgspec.Struct, error: str = "InvalidParameterException") -> None:
    """Check all members of a request. Raises Refusal, named `error`, with all complaints."""
    found = list(islice(_members(request, ""), MAX_COMPLAINTS))
    if found:
        many = f"{len(found)} validation error{'s' * (len(found) > 1)} detected: "
        raise Refusal(error, many + "; ".join(found))


def _members(struct: msgspec.Struct, place: str) -> Iterator[str]:
    for name, is_required, rule in rules_of(type(struct)):
        value = getattr(struct, name)
        path = place + name[0].lower() + name[1:]
        if value is not None:
            yield from rule(value, path)
        elif is_required:
            yield sentence("null", path, "Member must not be null")


def sentence(value: str, path: str, complaint: str) -> str:
    """Return Amazon's sentence about one value."""
    shown = value
    if len(value) > MAX_SHOWN_CHARACTERS:
        shown = f"{value[:MAX_SHOWN_CHARACTERS]}... ({len(value)} characters)"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {complaint}"


Rule = Callable[[Any, str], Iterator[str]]
"""Yields what is wrong with a value, given its path in the request."""


@functools.cache
def rules_of(struct: type[msgspec.Struct]) -> tuple[tuple[str, bool, Rule], ...]:
    """Return each member that is to be checked, whether it is required, and its rule."""
    hints = get_type_hints(struct, include_extras=True)
    rules = []
    for field in msgspec.structs.fields(struct):
        hint = hints[field.name]
        is_required = not _optional(hint)
        rule = _rule(hint)
        if rule is not None or is_required:
            rules.append((field.name, is_required, rule or _anything))
    return tuple(rules)


def _anything(value: Any, path: str) -> Iterator[str]:
    return iter(())


def _optional(hint: Any) -> bool:
    return type(None) in get_args(hint)


def _rule(hint: Any) -> Rule | None:
    """Return the rule that checks a value against its annotation; None if that has no limit."""
    if _optional(hint):
        (hint,) = [part for part in get_args(hint) if part is not type(None)]
    limit = None
    if get_origin(hint) is Annotated:
        hint, limit = get_args(hint)[:2]
    parts: list[Rule] = []
    if limit is not None:
        parts.append(functools.partial(_plain, limit))
    if get_origin(hint) is tuple:
        member = get_args(hint)[0]
        if get_origin(member) is Annotated:
            parts.append(functools.partial(_each, get_args(member)[1]))
        elif inner := _rule(member):
            parts.append(functools.partial(_numbered, inner))
    if get_origin(hint) is dict:
        key, value = (get_args(part)[1] for part in get_args(hint))
        parts.append(functools.partial(_map, key, value))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        parts.append(lambda value, path: _members(value, f"{path}."))
    if not parts:
        return None
    return lambda value, path: (wrong for part in parts for wrong in part(value, path))


def _plain(limit: Limit, value: Any, path: str) -> Iterator[str]:
    if complaint := limit.complaint(value):
        text = value if isinstance(value, str) else str(msgspec.json.encode(value), "utf-8")
        yield sentence(f"'{text}'", path, complaint)


def _numbered(inner: Rule, value: Any, path: str) -> Iterator[str]:
    """Check the structures of a list."""
    for number, member in enumerate(value, 1):
        yield from inner(member, f"{path}.{number}.member")


def _each(limit: Limit, value: Any, path: str) -> Iterator[str]:
    """Check the texts of a list: Amazon names the list, and what its members must satisfy."""
    for member in value:
        if complaint := limit.complaint(member):
            yield sentence(f"'[{member}]'", path, f"Member must satisfy constraint: [{complaint}]")


def _map(key: Limit, value: Limit, given: Any, path: str) -> Iterator[str]:
    for name, text in given.items():
        shown = f"'{{{name}={text}}}'"
        if complaint := key.complaint(name):
            yield sentence(shown, path, f"Map keys must satisfy constraint: [{complaint}]")
        if complaint := value.complaint(text):
            yield sentence(shown, path, f"Map value must satisfy constraint: [{complaint}]")
