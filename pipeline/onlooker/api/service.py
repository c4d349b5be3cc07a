"""A service of the API: a name and a table of operations, with the rules that differ by service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from onlooker.api.access_keys import Key, ResourceKind
from onlooker.api.context import QueueName
from onlooker.api.errors import Refusal
from onlooker.api.wire_form import WireForm
from onlooker.errors import OnlookerError


@dataclass(frozen=True, slots=True)
class Continue:
    """The rest of a request's work, which belongs in another queue."""

    queue: QueueName
    work: Callable[[], "Result"]
    held: int = 0
    """Bytes that it keeps in memory besides the request's body."""
    delay: float = 0.0
    """Seconds until it begins, in which no thread waits."""


Result = msgspec.Struct | Continue


@dataclass(frozen=True, slots=True)
class Operation:
    """A request, and the function that answers it."""

    request: type[msgspec.Struct]
    run: Callable[[Any, Any], Result]
    """Answers a request, given the service's context, in a thread. Raises OnlookerError."""
    needs_models: bool = False
    """Whether it begins in the queue `images`, which has a thread for each analyser."""
    changes: bool = False
    """Whether it changes what is stored."""
    polled: bool = False
    """Whether clients send it again and again: the log has its failures only."""

    @property
    def name(self) -> str:
        """The name that Amazon gave it."""
        return self.request.__name__

    @property
    def queue(self) -> QueueName:
        """The queue in which it begins."""
        return "images" if self.needs_models else "store"


@dataclass(frozen=True, slots=True)
class Resource:
    """A collection, a bucket or the like that a request is about."""

    kind: ResourceKind
    name: str
    arn: str
    action: str | None = None
    """The action on it, as policies name it; None means the operation itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An AWS service: all that the server must know of it."""

    name: str
    """Its name in signatures and policies."""
    target: str
    """X-Amz-Target is this, a dot and an operation's name."""
    content_type: str
    """AWS JSON, 1.0 or 1.1."""
    operations: Mapping[str, Operation]
    """By name."""
    resources: Callable[[Any, Any], Sequence[Resource]]
    """Returns what a request is about, to be checked against the client's key."""
    refusal: Callable[[OnlookerError], Refusal | None]
    """Returns the client-visible form of an error; None if it is the server's own fault."""
    any_path: bool = False
    """Whether clients may send requests to other paths than "/"."""
    response: Callable[[Operation, msgspec.Struct, Key | None, Any], Any]
    """Returns what is encoded of an operation's response: what the key may see, in the configured
    form. The key is None if no keys are configured."""
    forms: Mapping[str, WireForm] = field(default_factory=dict)
    """Forms of bodies beside JSON, by content type; the answer is in the request's."""
    limit_error: str | None = None
    """Name of the error for a violated limit; None means the configured one."""

    def action(self, operation: str) -> str:
        """Return an operation's name in policies."""
        return f"{self.name}:{operation}"
