"""One request from its bytes to the bytes of its response.

Runs in threads, and knows nothing of HTTP. The order is: verify the signature, decode, check the
key's permissions, check Amazon's limits, run the operation, encode.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any

import msgspec

from onlooker.api import sigv4, validation
from onlooker.api.access_keys import Key
from onlooker.api.context import Context
from onlooker.api.errors import Refusal, unreadable
from onlooker.api.service import Continue, Operation, Result, Service
from onlooker.errors import OnlookerError


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose body has arrived."""

    service: Service
    operation: Operation
    headers: sigv4.Headers
    body: bytes | bytearray
    claim: sigv4.Claim | None
    """None if no keys are configured."""

    @property
    def key(self) -> Key | None:
        return None if self.claim is None else self.claim.key


@dataclass(frozen=True, slots=True)
class Pending:
    """A request of which a part is done; `work` does the next part in a thread of `queue`."""

    queue: str
    work: "Callable[[], bytes | Pending]"
    held: int = 0
    """Bytes that it keeps in memory besides the request's body."""
    delay: float = 0.0
    """Seconds until it begins."""


def handle(call: Call, context: Context, replays: sigv4.ReplayGuard | None) -> bytes | Pending:
    """Return the response's JSON, or the work that is left. Raises Refusal."""
    claim, operation = call.claim, call.operation
    if claim is not None:
        sigv4.verify(claim, call.headers, sha256(call.body).hexdigest())
        if replays is not None and operation.changes:
            replays.check(claim.signature)
    request = decode(operation.request, call.body)
    if claim is not None:
        authorise(claim.key, call.service, operation, request, context)
    validation.check(request, context.settings.serve.validation_error)
    return _run(call, context, partial(operation.run, request, context))


def _run(call: Call, context: Context, work: Callable[[], Result]) -> bytes | Pending:
    """Do a part of a request's work."""
    try:
        result = work()
    except Refusal:
        raise
    except OnlookerError as error:
        refusal = call.service.refusal(error)
        if refusal is None:
            raise
        raise refusal from error
    if isinstance(result, Continue):
        rest = partial(_run, call, context, result.work)
        return Pending(result.queue, rest, result.held, result.delay)
    return msgspec.json.encode(call.service.response(call.operation, result, call.key, context))


@lru_cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(kind)


def decode(kind: type[msgspec.Struct], body: bytes | bytearray) -> msgspec.Struct:
    """Return the request in a body. Raises Refusal if it is not JSON or a member's type differs."""
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise _mistyped(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable(f"The body can not be converted to JSON: {error}.") from error


_MISTYPED = re.compile(r"Expected `(.+)`, got `(.+?)`(?: - at `\$\.?(.*)`)?")


def _mistyped(complaint: str) -> Refusal:
    """Return msgspec's complaint about a value's type in Amazon's words, "can not" among them."""
    found = _MISTYPED.fullmatch(complaint)
    if found is None:
        return unreadable(f"The body can not be converted to a request: {complaint}.")
    wanted, got, path = found.groups()
    place = ".".join(part[:1].lower() + part[1:] for part in (path or "").split("."))
    if got == "null" and place:
        return Refusal(
            "InvalidParameterException",
            "1 validation error detected: "
            + validation.sentence("null", place, "Member must not be null"),
        )
    where = f" at '{place}'" if place else ""
    return unreadable(f"{got} can not be converted to {wanted.removesuffix(' | null')}{where}.")


def authorise(
    key: Key, service: Service, operation: Operation, request: Any, context: Context
) -> None:
    """Check that a key may do this, before anything is looked up. Raises Refusal."""
    resources = service.resources(request, context)
    own = next((each.arn for each in resources if each.action is None), "*")
    action = service.action(operation.name)
    if not key.allows(action):
        raise _denied(key, action, own, context)
    for resource in resources:
        if not key.reaches(resource.kind, resource.name):
            raise _denied(key, resource.action or action, resource.arn, context)


def _denied(key: Key, action: str, arn: str, context: Context) -> Refusal:
    return Refusal(
        "AccessDeniedException",
        f"User: arn:aws:iam::{context.settings.record.account}:user/{key.user} is not authorized "
        f"to perform: {action} on resource: {arn}",
    )
