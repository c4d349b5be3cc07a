"""The application: one route for all operations, and three for those who watch over it."""

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from onlooker.api import metrics, sigv4
from onlooker.api.access_keys import ANYBODY, Key
from onlooker.api.dispatch import Asked, handle
from onlooker.api.errors import Refusal, failed, throttled, unreadable
from onlooker.api.fair_queue import FairQueue
from onlooker.api.rekognition.operations import named
from onlooker.api.rekognition.site import Site
from onlooker.identity.errors import StoreError
from onlooker.models.card import WeightsError
from onlooker.vision.analyser import Analyser

CONTENT_TYPE = "application/x-amz-json-1.1"
MOST_BODY = 16 * 1024 * 1024
"""Bytes of a request: two pictures of 5 MiB in base64, and a little more."""
MOST_BODIES = 256 * 1024 * 1024
"""Bytes of all bodies that a process holds at once."""
MOST_COMMAS = 50_000
"""In a request's JSON. No operation takes as many values, and reading a million of them would keep
everybody else waiting."""
GRACE, SLOWEST = 10.0, 16 * 1024
"""Seconds for a body to come, and bytes a second that it must have after these."""
STORE_THREADS = 4
"""For requests without a picture."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Told:
    """What the log says of a request."""

    request_id: str
    operation: str = "unknown"
    user: str = ANYBODY
    received: int = 0
    """Bytes of the body."""


class Server:
    """Answers requests; one for each process."""

    def __init__(self, site: Site, keys: Mapping[str, Key] | None, analysers: Sequence[Analyser]):
        serve = site.settings.serve
        self._site = site
        self._keys = keys
        self._region = None if serve.any_region else site.settings.record.region
        self._replays = sigv4.Replays() if serve.reject_replays else None
        self._free: SimpleQueue[Analyser] = SimpleQueue()
        for one in analysers:
            self._free.put(one)
        pending = metrics.PENDING.labels
        self._pictures = FairQueue("pictures", len(analysers), serve.queue, pending("pictures").set)
        self._others = FairQueue("others", STORE_THREADS, serve.queue, pending("others").set)
        self._held = 0
        self._stopwatch = metrics.Stopwatch()

    def app(self) -> Starlette:
        """All that is answered."""
        routes = [
            Route("/", self.answer, methods=["POST"]),
            Route("/healthz", self.healthy),
            Route("/readyz", self.ready),
        ]
        if self._site.settings.serve.metrics_port is None:
            routes.append(Route("/metrics", self.counts))
        return Starlette(
            routes=routes,
            exception_handlers={404: _nothing_here, 405: _nothing_here, 500: _broken},
        )

    def close(self) -> None:
        """Wait for what is being done."""
        self._pictures.close()
        self._others.close()

    async def answer(self, request: Request) -> Response:
        """Answer one operation."""
        began, told = time.perf_counter(), Told(str(uuid.uuid4()))
        try:
            body = await self._operate(request, told)
            status, result, headers = 200, "200", {}
        except Refusal as refusal:
            body, status, result = refusal.body(told.request_id), refusal.status, refusal.name
            headers = {"x-amzn-ErrorType": refusal.name}
        except ClientDisconnect:
            body, status, result, headers = b"", 400, "disconnected", {}
        except Exception:
            # Any fault of ours: without this one it would be neither counted nor answered with the
            # id by which the log is searched.
            logger.exception("%s: a fault of the server's", told.request_id)
            ours = failed(f"The server's log says more, under {told.request_id}.")
            body, status, result = ours.body(told.request_id), ours.status, ours.name
            headers = {"x-amzn-ErrorType": ours.name}
        seconds = time.perf_counter() - began
        metrics.REQUESTS.labels(told.operation, result).inc()
        metrics.SECONDS.labels(told.operation).observe(seconds)
        self._stopwatch.tell()
        logger.info(
            "request",
            extra={
                "told": {
                    "request_id": told.request_id,
                    "operation": told.operation,
                    "user": told.user,
                    "client": request.client.host if request.client else "",
                    "result": result,
                    "ms": round(seconds * 1000, 1),
                    "received": told.received,
                    "sent": len(body),
                }
            },
        )
        headers["x-amzn-RequestId"] = told.request_id
        return Response(body, status, headers, CONTENT_TYPE)

    async def _operate(self, request: Request, told: Told) -> bytes:
        """The answer's body; Refusal where there is none."""
        operation = named(request.headers.get("x-amz-target"))
        told.operation = operation.name
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in request.headers.raw]
        claim = None
        if self._keys is not None:
            claim = sigv4.claim(headers, self._keys, self._region)
            told.user = claim.key.user
        lane = self._pictures if operation.looks else self._others
        # The key is only claimed so far: by it alone one could take another client's turns.
        client = f"{request.client.host if request.client else ''} {told.user}"
        # Before the body is read: a client that has to come again has it taken off unread.
        lane.check(client)
        with self._body() as body:
            await self._receive(request, body, told)
            asked = Asked(operation, headers, body, claim)
            work = partial(handle, asked, self._site, self._replays, self._analyser)
            try:
                return await lane.run(client, work, self._site.settings.serve.request_timeout)
            except (StoreError, WeightsError) as error:
                logger.error("%s: %s", told.request_id, error)
                raise failed(f"The server's log says more, under {told.request_id}.") from error

    @contextmanager
    def _body(self) -> Iterator[list[bytes]]:
        """A body's pieces, which count as held as long as they are needed."""
        pieces: list[bytes] = []
        try:
            yield pieces
        finally:
            self._held -= sum(map(len, pieces))
            metrics.BODIES.set(self._held)

    async def _receive(self, request: Request, body: list[bytes], told: Told) -> None:
        loop = asyncio.get_running_loop()
        began, commas = loop.time(), 0
        try:
            async with asyncio.timeout_at(began + GRACE) as limit:
                _check_length(int(request.headers.get("content-length", 0)))
                async for piece in request.stream():
                    told.received += len(piece)
                    _check_length(told.received)
                    if self._held + len(piece) > MOST_BODIES:
                        raise throttled("Too many large requests are under way.")
                    commas += piece.count(b",")
                    if commas > MOST_COMMAS:
                        raise unreadable("The body has more values than any operation takes.")
                    if not (self._keys or body or piece.lstrip().startswith(b"{")):
                        raise unreadable("The body is not a JSON object.")
                    body.append(piece)
                    self._held += len(piece)
                    limit.reschedule(began + GRACE + told.received / SLOWEST)
            metrics.BODIES.set(self._held)
        except TimeoutError:
            raise Refusal(
                "RequestTimeoutException",
                f"The body comes too slowly: {told.received} bytes in {loop.time() - began:.0f} s.",
            ) from None

    @contextmanager
    def _analyser(self) -> Iterator[Analyser]:
        """The models for one thread; there are as many as threads, so that none waits long."""
        one = self._free.get()
        try:
            yield one
        finally:
            self._free.put(one)

    async def healthy(self, _: Request) -> Response:
        """The process runs."""
        return PlainTextResponse("healthy\n")

    async def ready(self, _: Request) -> Response:
        """The models are loaded, or nobody would answer here, and the store can be read."""
        try:
            await self._others.run("", partial(self._site.searcher.collections, 1), 5.0)
        except (Refusal, StoreError) as error:
            logger.warning("not ready: %s", error)
            return PlainTextResponse("the store cannot be read now\n", 503)
        return PlainTextResponse("ready\n")

    async def counts(self, _: Request) -> Response:
        """What has been counted."""
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(None, metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _check_length(length: int) -> None:
    if length > MOST_BODY:
        raise Refusal(
            "RequestEntityTooLargeException",
            f"A request may have {MOST_BODY} bytes; this one has {length} or more. Send the picture"
            " smaller, or name one in a bucket.",
        )


async def _nothing_here(request: Request, _: Exception) -> Response:
    refusal = Refusal(
        "UnknownOperationException",
        f"There is nothing at {request.method} {request.url.path}; operations are POST /.",
    )
    return _refused(refusal)


async def _broken(_: Request, error: Exception) -> Response:
    return _refused(failed("This is a fault of the server's, which its log describes."))


def _refused(refusal: Refusal) -> Response:
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-ErrorType": refusal.name, "x-amzn-RequestId": request_id}
    return Response(refusal.body(request_id), refusal.status, headers, CONTENT_TYPE)
