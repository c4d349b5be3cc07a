"""A service of the API: a name and a table of operations, with the rules that differ by service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from onlooker.api.access_keys import Key, ResourceKind
from onlooker.api.context import Context
from onlooker.api.errors import Refusal
from onlooker.errors import OnlookerError

QueueName = Literal["images", "store", "buckets"]
"""The queues of threads: for work that needs models, for short work that needs none, and for
downloads, which wait for another server."""


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
    run: Callable[[Any, Context], Result]
    """Answers a request in a thread. Raises OnlookerError."""
    needs_models: bool = False
    """Whether it begins in the queue `images`, which has a thread for each analyser."""
    changes: bool = False
    """Whether it changes what is stored."""

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
    resources: Callable[[Any, Context], Sequence[Resource]]
    """Returns what a request is about, to be checked against the client's key."""
    refusal: Callable[[OnlookerError], Refusal | None]
    """Returns the client-visible form of an error; None if it is the server's own fault."""
    any_path: bool = False
    """Whether clients may send requests to other paths than "/"."""
    response: Callable[[Operation, msgspec.Struct, Key | None, Context], Any]
    """Returns what is encoded of an operation's response: what the key may see, in the configured
    form. The key is None if no keys are configured."""

    def action(self, operation: str) -> str:
        """Return an operation's name in policies."""
        return f"{self.name}:{operation}"
