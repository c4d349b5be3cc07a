"""One request from its bytes to the bytes of its answer; runs in a thread, and knows no HTTP."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import msgspec

from onlooker.api import sigv4, validation
from onlooker.api.access_keys import Key
from onlooker.api.errors import Refusal, invalid, unreadable
from onlooker.api.rekognition.operations import Operation
from onlooker.api.rekognition.profile_2017 import in_2017
from onlooker.api.rekognition.responses import ListCollections
from onlooker.api.rekognition.site import Site
from onlooker.idempotency import RequestMismatch
from onlooker.identity import errors
from onlooker.identity.errors import ModelMismatch
from onlooker.page_token import InvalidToken
from onlooker.vision.analyser import Analyser


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose body has arrived."""

    operation: Operation
    headers: sigv4.Headers
    body: Sequence[bytes]
    """In pieces, as they came."""
    claim: sigv4.Claim | None
    """None where no keys are configured."""


def handle(
    asked: Asked,
    site: Site,
    replays: sigv4.Replays | None,
    analyser: Callable[[], AbstractContextManager[Analyser]],
) -> bytes:
    """The answer's JSON; Refusal where there is none. `analyser` lends the models."""
    operation, claim = asked.operation, asked.claim
    body = b"".join(asked.body)
    if claim is not None:
        sigv4.verify(claim, asked.headers, sha256(body).hexdigest())
        if replays is not None and operation.changes:
            replays.check(claim.signature)
    request = read(operation.request, body)
    if claim is not None:
        authorise(claim.key, operation, request, site)
    validation.check(request, site.settings.serve.validation_error)
    with _translated():
        if operation.looks:
            with analyser() as models:
                answer = operation.run(request, site, models)
        else:
            answer = operation.run(request, site)
    if claim is not None and isinstance(answer, ListCollections):
        answer = _visible(answer, claim.key)
    if site.settings.serve.profile == "2017-11":
        return msgspec.json.encode(in_2017(operation.name, answer))
    return msgspec.json.encode(answer)


@lru_cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(kind)


def read(kind: type[msgspec.Struct], body: bytes) -> msgspec.Struct:
    """The request that a body is; Refusal for what is no JSON, or has members of other types."""
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise _mistyped(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable(f"The body can not be converted to JSON: {error}.") from error


_MISTYPED = re.compile(r"Expected `(.+)`, got `(.+?)`(?: - at `\$\.?(.*)`)?")


def _mistyped(said: str) -> Refusal:
    """What msgspec says of a value's type, in Amazon's words."""
    found = _MISTYPED.fullmatch(said)
    if found is None:
        return unreadable(f"The body can not be converted to a request: {said}.")
    wanted, got, path = found.groups()
    place = ".".join(part[:1].lower() + part[1:] for part in (path or "").split("."))
    if got == "null" and place:
        return Refusal(
            "InvalidParameterException",
            "1 validation error detected: "
            + validation.said("null", place, "Member must not be null"),
        )
    where = f" at '{place}'" if place else ""
    return unreadable(f"{got} can not be converted to {wanted.removesuffix(' | null')}{where}.")


def authorise(key: Key, operation: Operation, request: msgspec.Struct, site: Site) -> None:
    """Refusal where the key may not do this; before anything is looked up."""
    collection = operation.collection(request)
    user = f"User: arn:aws:iam::{site.settings.record.account}:user/{key.user}"
    denied = "AccessDeniedException"
    if not key.may(operation.name, collection):
        resource = site.arn(collection) if collection else "*"
        action = f"rekognition:{operation.name} on resource: {resource}"
        raise Refusal(denied, f"{user} is not authorized to perform: {action}")
    for bucket in operation.buckets(request):
        if not key.reads(bucket):
            action = f"s3:GetObject on resource: arn:aws:s3:::{bucket}"
            raise Refusal(denied, f"{user} is not authorized to perform: {action}")


def _visible(answer: ListCollections, key: Key) -> ListCollections:
    """Those collections of a page that a key may see; so it may be short, or empty."""
    pairs = zip(answer.CollectionIds, answer.FaceModelVersions, strict=True)
    seen = [(name, model) for name, model in pairs if key.sees(name)]
    return ListCollections(
        CollectionIds=tuple(name for name, _ in seen),
        NextToken=answer.NextToken,
        FaceModelVersions=tuple(model for _, model in seen),
    )


@contextmanager
def _translated() -> Iterator[None]:
    """What the store says, by Amazon's names."""
    try:
        yield
    except tuple(NAMES) as error:
        raise Refusal(NAMES[type(error)], str(error)) from error
    except (ModelMismatch, errors.FaceNotFound, errors.InvalidName) as error:
        raise invalid(str(error)) from error


NAMES: dict[type[Exception], str] = {
    errors.CollectionExists: "ResourceAlreadyExistsException",
    errors.CollectionNotFound: "ResourceNotFoundException",
    InvalidToken: "InvalidPaginationTokenException",
    RequestMismatch: "IdempotentParameterMismatchException",
    errors.TooMany: "ServiceQuotaExceededException",
    errors.UserExists: "ConflictException",
    errors.UserNotFound: "ResourceNotFoundException",
}
"""What Amazon calls the store's errors; what is not here is the server's fault."""
