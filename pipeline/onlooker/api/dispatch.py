"""One request from its bytes to the bytes of its response.

Runs in threads, and knows nothing of HTTP. The order is: verify the signature, decode, check the
key's permissions, check Amazon's limits, run the operation, encode.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from onlooker.api import sigv4, validation
from onlooker.api.access_keys import Key
from onlooker.api.context import Account
from onlooker.api.errors import Refusal
from onlooker.api.service import Continue, Operation, Result, Service
from onlooker.api.wire_form import JSON, WireForm
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
    form: WireForm = JSON
    """Of the body, and of the answer's."""

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


def handle(call: Call, context: Account, replays: sigv4.ReplayGuard | None) -> bytes | Pending:
    """Return the response's body, or the work that is left. Raises Refusal."""
    claim, operation = call.claim, call.operation
    if claim is not None:
        sigv4.verify(claim, call.headers, sha256(call.body).hexdigest())
        if replays is not None and operation.changes:
            replays.check(claim.signature)
    limit_error = call.service.limit_error or context.settings.serve.validation_error
    request = call.form.decode(operation.request, call.body, limit_error)
    if claim is not None:
        authorise(claim.key, call.service, operation, request, context)
    validation.check(request, limit_error)
    return _run(call, context, partial(operation.run, request, context))


def _run(call: Call, context: Account, work: Callable[[], Result]) -> bytes | Pending:
    """Do a part of a request's work."""
    try:
        result = work()
    except Refusal:
        raise
    except OnlookerError as error:
        refusal = call.service.refusal(error)
        if refusal is None:
            raise
        try:
            raise refusal from error
        finally:
            del refusal  # or it and its traceback keep each other, and the request, in memory
    if isinstance(result, Continue):
        rest = partial(_run, call, context, result.work)
        return Pending(result.queue, rest, result.held, result.delay)
    return call.form.encode(call.service.response(call.operation, result, call.key, context))


def authorise(
    key: Key, service: Service, operation: Operation, request: Any, context: Account
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


def _denied(key: Key, action: str, arn: str, context: Account) -> Refusal:
    return Refusal(
        "AccessDeniedException",
        f"User: arn:aws:iam::{context.settings.record.account}:user/{key.user} is not authorized "
        f"to perform: {action} on resource: {arn}",
    )
