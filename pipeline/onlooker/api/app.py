"""The application: one route for all operations, and three for monitoring."""

import asyncio
import logging
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from onlooker.api import metrics, services, sigv4
from onlooker.api.access_keys import ANYBODY, Key
from onlooker.api.context import Account
from onlooker.api.dispatch import Call, Pending, handle
from onlooker.api.errors import Refusal, failed, throttled, unreadable
from onlooker.api.fair_queue import FairQueue
from onlooker.api.request_traces import RequestTraces
from onlooker.api.service import Service
from onlooker.api.wire_form import JSON, WireForm
from onlooker.errors import OnlookerError
from onlooker.models.batches import CardFailed

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Bytes of a request: two images of 5 MiB in base64, and a little more."""
MAX_BODIES_BYTES = 256 * 1024 * 1024
"""Bytes of all bodies, and objects of buckets, that a process holds at once."""
TOO_MUCH_HELD = "Too many large requests are under way."
MAX_COMMAS = 50_000
"""Commas in a request's JSON. No operation takes as many values, and reading a million of them
would keep all other requests waiting."""
BODY_SECONDS, MIN_BODY_RATE = 10.0, 16 * 1024
"""Seconds for a body to arrive, and bytes per second that it must have after these."""
READY_SECONDS = 5.0
"""Seconds that the store may take to answer /readyz."""
EXPOSED_HEADERS = ("x-amzn-RequestId", "x-amzn-ErrorType", "Date")
"""Headers of responses that web pages may read."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LogEntry:
    """The fields of a request in the log."""

    request_id: str
    operation: str = "unknown"
    user: str = ANYBODY
    received: int = 0
    """Bytes of the body."""
    content_type: str = services.CONTENT_TYPE
    """Of the response; not logged."""
    form: WireForm = JSON
    """Of the body, and of the response's; not logged."""
    polled: bool = False
    """Whether the request is logged only if it fails."""


class Server:
    """Answers requests to the services of `table`; one for each process."""

    def __init__(
        self,
        context: Account,
        keys: Mapping[str, Key] | None,
        table: Mapping[str, Service] | None = None,
        count: Callable[[str], None] = lambda operation: None,
        traces: RequestTraces | None = None,
    ) -> None:
        """table: by what X-Amz-Target begins with; None means those of `services`.

        count: receives the name of each operation that was answered without an error.
        traces: None means that requests are not traced.
        """
        serve = context.settings.serve
        self._context = context
        self._keys = keys
        self._table = services.SERVICES if table is None else table
        self._count = count
        self._traces = traces
        self._region = None if serve.any_region else context.settings.record.region
        self._replays = sigv4.ReplayGuard() if serve.reject_replays else None
        self._queues: dict[str, FairQueue] = {
            name: FairQueue(name, number, serve.queue, metrics.PENDING.labels(name).set)
            for name, number in context.threads.items()
        }
        self._held = 0
        self._model_seconds = metrics.ModelSeconds()

    def app(self) -> Starlette:
        """Return the application with all routes."""
        routes = [
            Route("/healthz", self.healthy),
            Route("/readyz", self.ready),
        ]
        serve = self._context.settings.serve
        if serve.metrics_port is None:
            routes.append(Route("/metrics", self.metrics))
        routes.append(Route("/{path:path}", self.answer, methods=["POST"]))
        return Starlette(
            routes=routes,
            middleware=[_cors(serve.cors_origins)] if serve.cors_origins else [],
            exception_handlers={404: _not_found, 405: _not_found, 500: _broken},
        )

    def probe(self) -> "list[Future[None]]":
        """Have threads run nothing, which shows that not all of a pool hang.

        Those of buckets are left out: they wait for another server, which may take its time.
        """
        return [queue.probe() for name, queue in self._queues.items() if name != "buckets"]

    def close(self) -> None:
        """Wait for what is being done."""
        for queue in self._queues.values():
            queue.close()

    async def answer(self, request: Request) -> Response:
        """Answer one operation."""
        began, entry = time.perf_counter(), LogEntry(str(uuid.uuid4()))
        headers = {"x-amzn-RequestId": entry.request_id}
        try:
            body = await self._operate(request, entry)
            status, result = 200, "200"
        except ClientDisconnect:
            body, status, result = b"", 400, "disconnected"
        except Exception as error:
            if not isinstance(error, Refusal):
                # A fault of the server's: without this it would be neither counted nor answered
                # with the id by which the log is searched.
                logger.exception("%s: a fault of the server's", entry.request_id)
                error = _logged(entry)
            body = entry.form.encode(error.members(entry.request_id))
            status, result = error.status, error.name
            headers["x-amzn-ErrorType"] = error.name
            if error.query_name is not None:
                headers["x-amzn-query-error"] = f"{error.query_name};Sender"
        self._report(request, entry, result, time.perf_counter() - began, len(body))
        return Response(body, status, headers, entry.content_type)

    def _report(
        self, request: Request, entry: LogEntry, result: str, seconds: float, sent: int
    ) -> None:
        """Count a request, and log it."""
        metrics.REQUESTS.labels(entry.operation, result).inc()
        metrics.SECONDS.labels(entry.operation).observe(seconds)
        if result == "200":
            self._count(entry.operation)
        self._model_seconds.update()
        fields = {
            "request_id": entry.request_id,
            "operation": entry.operation,
            "user": entry.user,
            "client": _address(request),
            "result": result,
            "ms": round(seconds * 1000, 1),
            "received": entry.received,
            "sent": sent,
        }
        quiet = entry.polled and result == "200"
        if self._traces is not None and not quiet:
            self._traces.add(entry.request_id, entry.operation, request.headers, result, seconds)
        logger.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})

    async def _operate(self, request: Request, entry: LogEntry) -> bytes:
        """Return the response's body. Raises Refusal."""
        headers = _headers(request)
        target = next((value for name, value in headers if name == "x-amz-target"), None)
        path = _path(request, target)
        service, operation = services.find(target, self._table)
        entry.operation, entry.content_type = operation.name, service.content_type
        entry.polled = operation.polled
        given = request.headers.get("content-type", "").strip().lower()
        if given in service.forms:
            entry.form, entry.content_type = service.forms[given], given
        claim = None
        if self._keys is not None:
            query = request.scope.get("query_string", b"").decode("latin-1")
            claim = sigv4.claim(
                headers, self._keys, service.name, self._region, query=query, path=path
            )
            entry.user = claim.key.user
        # The key is only claimed so far: by it alone one could take another client's turns.
        client = f"{_address(request)} {entry.user}"
        _check_coding(request)
        # Before the body is read: a client that has to retry is refused at no cost.
        self._queues[operation.queue].check(client)
        with self._body() as body:
            await self._receive(request, body, entry)
            call = Call(service, operation, headers, body, claim, entry.form)
            work = partial(handle, call, self._context, self._replays)
            try:
                return await self._run(client, Pending(operation.queue, work))
            except Refusal:
                raise
            except OnlookerError as error:
                logger.error("%s: %s", entry.request_id, error)
                if isinstance(error, CardFailed):
                    # No later request would succeed: another process takes this one's place.
                    signal.raise_signal(signal.SIGTERM)
                raise _logged(entry) from error

    async def _run(self, client: str, pending: Pending) -> bytes:
        """Do a request's work, part after part, each in its queue."""
        seconds = self._context.settings.serve.request_timeout
        began = asyncio.get_running_loop().time()
        result = await self._queues[pending.queue].run(client, pending.work, seconds)
        held = 0
        try:
            while isinstance(result, Pending):
                if self._held + result.held > MAX_BODIES_BYTES:
                    raise throttled(TOO_MUCH_HELD)
                self._held += result.held
                held += result.held
                await asyncio.sleep(result.delay)
                queue = self._queues[result.queue]
                result = await queue.run(client, result.work, seconds, began)
        finally:
            self._held -= held
        return result

    @contextmanager
    def _body(self) -> Iterator[bytearray]:
        """Lend room for a body, which counts as held until the request is answered."""
        body = bytearray()
        try:
            yield body
        finally:
            self._held -= len(body)
            metrics.BODIES.set(self._held)

    async def _receive(self, request: Request, body: bytearray, entry: LogEntry) -> None:
        """Append a request's body to `body` as it arrives. Raises Refusal."""
        loop = asyncio.get_running_loop()
        began, commas = loop.time(), 0
        try:
            async with asyncio.timeout_at(began + BODY_SECONDS) as limit:
                _check_length(int(request.headers.get("content-length", 0)))
                async for piece in request.stream():
                    entry.received += len(piece)
                    _check_length(entry.received)
                    if self._held + len(piece) > MAX_BODIES_BYTES:
                        raise throttled(TOO_MUCH_HELD)
                    commas += piece.count(b",")
                    if commas > MAX_COMMAS:
                        raise unreadable("The body has more values than any operation takes.")
                    is_json = entry.form is not JSON or piece.lstrip().startswith(b"{")
                    if not (self._keys or body or is_json):
                        raise unreadable("The body is not a JSON object.")
                    # Grows in place: pieces that are joined later would be held twice.
                    body += piece
                    self._held += len(piece)
                    limit.reschedule(began + BODY_SECONDS + entry.received / MIN_BODY_RATE)
            metrics.BODIES.set(self._held)
        except TimeoutError:
            raise Refusal(
                "RequestTimeoutException",
                f"The body arrives too slowly: {entry.received} bytes in "
                f"{loop.time() - began:.0f} s.",
            ) from None

    async def healthy(self, _: Request) -> Response:
        """Answer as long as the process runs."""
        return PlainTextResponse("healthy\n")

    async def ready(self, _: Request) -> Response:
        """Answer whether the store can be read; the models are loaded before the port opens."""
        try:
            await self._queues["store"].run("", self._context.check_ready, READY_SECONDS)
        except OnlookerError as error:
            logger.warning("not ready: %s", error)
            return PlainTextResponse("the store cannot be read now\n", 503)
        return PlainTextResponse("ready\n")

    async def metrics(self, _: Request) -> Response:
        """Answer with all counts, for Prometheus."""
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(None, metrics.text, self._context.collectors())
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _headers(request: Request) -> list[tuple[str, str]]:
    """Return the headers. Spaces around a value do not belong to it (RFC 9110, section 5.5)."""
    return [
        (name.decode("latin-1"), value.decode("latin-1").strip(" \t"))
        for name, value in request.headers.raw
    ]


def _cors(origins: Sequence[str]) -> Middleware:
    """Return what lets web pages of these origins send requests, and read the answers."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["POST"],
        allow_headers=["*"],
        allow_private_network=True,
        expose_headers=EXPOSED_HEADERS,
    )


def _path(request: Request, target: str | None) -> str:
    """Return a request's path: "/", however many slashes that has, for most services.

    Raises Refusal for another one, unless the service takes that.
    """
    path = str(request.scope["path"])
    if not path.strip("/"):
        return "/"
    if not services.takes_any_path(target):
        raise _nothing_at(request)
    return path


def _check_coding(request: Request) -> None:
    """Raise Refusal if a request's body is compressed."""
    for header, plain in (("content-encoding", "identity"), ("transfer-encoding", "chunked")):
        coding = ", ".join(request.headers.getlist(header))
        if coding.strip().lower() not in ("", plain):
            raise unreadable(
                f"The body has {header} {coding[:100]!r}; only {plain!r} is taken: send it "
                "uncompressed."
            )


def _check_length(length: int) -> None:
    if length > MAX_BODY_BYTES:
        raise Refusal(
            "RequestEntityTooLargeException",
            f"A request may have {MAX_BODY_BYTES} bytes; this one has {length} or more. Send a "
            "smaller image, or name one in a bucket.",
        )


def _logged(entry: LogEntry) -> Refusal:
    return failed(f"The server's log says more, under {entry.request_id}.")


def _nothing_at(request: Request) -> Refusal:
    preflight = "access-control-request-method" in request.headers
    advice = (
        "web pages may ask if [serve] cors_origins names their origin"
        if preflight
        else "operations are POST /, so the endpoint that clients are given has no path"
    )
    return Refusal(
        "UnknownOperationException",
        f"There is nothing at {request.method} {request.scope['path'][:100]}; {advice}.",
    )


async def _not_found(request: Request, _: Exception) -> Response:
    return _refused(_nothing_at(request))


async def _broken(_: Request, error: Exception) -> Response:
    return _refused(failed("This is a fault of the server's, which its log describes."))


def _refused(refusal: Refusal) -> Response:
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-ErrorType": refusal.name, "x-amzn-RequestId": request_id}
    body = JSON.encode(refusal.members(request_id))
    return Response(body, refusal.status, headers, services.CONTENT_TYPE)
