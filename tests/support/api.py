"""The API's server in the test's own process, with made-up models, collections and buckets."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from onlooker.api.app import Server
from onlooker.api.context import AnalyserPool, Context
from onlooker.config.schema import Config
from onlooker.media.buckets import Buckets, NoBuckets
from onlooker.stream.stream_table import StreamTable
from onlooker.vision.analyser import AnalysedFace, Analyser, Analysis


class FakeAnalyser:
    """Finds the same faces in each image."""

    def __init__(self, faces: Sequence[AnalysedFace] = ()) -> None:
        self._faces = tuple(faces)

    def __call__(self, pictures: Sequence[Any], wanted: Sequence[Any]) -> list[Analysis]:
        return [Analysis(self._faces, (), len(self._faces)) for _ in pictures]


def context(
    searcher: Any = None,
    buckets: Buckets | None = None,
    faces: Sequence[AnalysedFace] = (),
    settings: Config | None = None,
    streams: StreamTable | None = None,
) -> Context:
    """Return a context with one analyser."""
    analyser = cast(Analyser, FakeAnalyser(faces))
    pool = AnalyserPool([analyser])
    return Context(settings or Config(), searcher, buckets or NoBuckets(), pool, streams)


async def ask(
    server: Server, target: str, body: Any, headers: Sequence[tuple[str, str]] = ()
) -> Response:
    """Send a request, a structure or its bytes, and return the response."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent_headers = dict([("x-amz-target", target), *headers])
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in sent_headers.items()],
    }
    pieces = [sent[at : at + 65536] for at in range(0, len(sent), 65536)] or [b""]

    async def receive() -> dict[str, object]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return await server.answer(Request(scope, receive))


async def respond(
    app: Any, method: str, path: str, headers: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Send a request without a body to an application; return status, headers and body."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    named = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], named, b"".join(each.get("body", b"") for each in rest)
