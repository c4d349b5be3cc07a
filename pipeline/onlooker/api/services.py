"""The table of services."""

from collections.abc import Mapping, Sequence

from onlooker.api.access_keys import CONSOLE_ACTIONS
from onlooker.api.errors import Refusal
from onlooker.api.kinesis.kinesis_service import KINESIS
from onlooker.api.rekognition.operations import REKOGNITION
from onlooker.api.service import Operation, Service
from onlooker.api.sqs import SQS

SERVICES = {service.target: service for service in (REKOGNITION, SQS)}
"""By what X-Amz-Target begins with."""

DATA_STREAMS = {KINESIS.target: KINESIS}
"""The services of the port of `[kinesis]`."""

CONTENT_TYPE = REKOGNITION.content_type
"""Of answers to requests that name no service."""


def find(
    target: str | None, table: Mapping[str, Service] | None = None
) -> tuple[Service, Operation]:
    """Return the service and the operation that a request's X-Amz-Target names. Raises Refusal.

    table: None means SERVICES.
    """
    table = SERVICES if table is None else table
    prefix, _, name = (target or "").partition(".")
    service = table.get(prefix)
    if service is not None and name in service.operations:
        return service, service.operations[name]
    what = f"{target[:100]!r} is not supported" if target else "there is no X-Amz-Target"
    supported = "; ".join(map(_names, [service] if service else table.values()))
    raise Refusal("UnknownOperationException", f"{what}; it must be {supported}")


def takes_any_path(target: str | None) -> bool:
    """Return whether the service that a request's X-Amz-Target names takes paths beside "/"."""
    service = SERVICES.get((target or "").partition(".")[0])
    return service is not None and service.any_path


def _names(service: Service) -> str:
    names = ", ".join(sorted(service.operations))
    return f"{service.target}.NAME with one of these names: {names}"


def actions() -> Sequence[str]:
    """Return all that policies can name, such as "rekognition:DetectFaces"."""
    every = [*SERVICES.values(), *DATA_STREAMS.values()]
    operations = [service.action(name) for service in every for name in service.operations]
    return [*operations, *CONSOLE_ACTIONS]
