"""Streams: how each is, what became of its frames, and how far behind it is."""

import asyncio
import re
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from onlooker.config.schema import SourceConfig, StreamName
from onlooker.console import console_context, wording
from onlooker.console.console_context import ConsoleContext
from onlooker.console.sessions import Session
from onlooker.escape import STREAMS
from onlooker.media.check_source import check_source
from onlooker.media.url import redacted
from onlooker.stream.messages import StreamStatus
from onlooker.stream.stream_table import StreamTable


class Row(NamedTuple):
    """A stream as the page shows it."""

    name: str
    url: str
    """Without its secrets."""
    state: str
    """"good", "bad", "over" or "starting"."""
    health: str
    rate: float
    status: StreamStatus | None
    failed: list[tuple[int, str]]
    dropped: list[tuple[int, str]]
    added: bool
    """Whether it was added beside the configuration file, and may be changed and removed here."""

    @property
    def paused(self) -> bool:
        return self.state == "paused"

    @property
    def failures(self) -> int:
        return sum(count for count, _ in self.failed)

    @property
    def drops(self) -> int:
        return sum(count for count, _ in self.dropped)


def rows(context: ConsoleContext, session: Session) -> list[Row]:
    """Return the streams that a user may see."""
    with context.streams() as table:
        added, paused, troubles = table.added(), table.paused(), table.troubles()
    feeds = {name: feed.source for name, feed in context.observer.feeds.items()}
    found = []
    for name, source in sorted({**context.config.streams, **added, **feeds}.items()):
        running = name in feeds
        if not context.sees(session, name) or not (running or name in {*added, *paused}):
            continue
        status = context.observer.stream(name) if running else None
        state, health = wording.health(status, context.observer.loading)
        if name in troubles:
            state, health = "bad", troubles[name]
        elif name in paused:
            state, health = "paused", "paused"
        found.append(
            Row(
                name=name,
                url=redacted(source.url),
                state=state,
                health=health,
                added=name in added,
                rate=context.observer.rate(name),
                status=status,
                failed=wording.causes(status.counts.failed, wording.FAILURES) if status else [],
                dropped=wording.causes(status.counts.dropped, wording.DROPS) if status else [],
            )
        )
    return found


def _values(request: Request) -> dict[str, Any]:
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    return {
        "streams": rows(context, session),
        "processes": context.observer.processes,
        "changes": session.allows("console:ChangeStreams"),
    }


def show(request: Request) -> Response:
    """Show the page."""
    return console_context.of(request).render(request, "streams.html", **_values(request))


def table_of(request: Request) -> Response:
    """Show the part that changes."""
    return console_context.of(request).render(request, "streams_table.html", **_values(request))


def history(request: Request) -> Response:
    """Answer with the last minutes of each stream: times, analysed and dropped per second, lag."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    found: dict[str, list[list[float]]] = {}
    for name, samples in context.observer.samples.items():
        if not context.sees(session, name):
            continue
        past = list(samples)
        pairs = [(a, b) for a, b in pairwise(past) if b.time > a.time]
        found[name] = [
            [round(b.time, 1) for _, b in pairs],
            [round((b.done - a.done) / (b.time - a.time), 2) for a, b in pairs],
            [round((b.dropped - a.dropped) / (b.time - a.time), 2) for a, b in pairs],
            [round(b.lag, 3) for _, b in pairs],
        ]
    return JSONResponse(found)


def form(request: Request) -> Response:
    """Show the form for a new camera, or for one that was added before."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:ChangeStreams")
    name = request.query_params.get("name")
    with context.streams() as table:
        source = table.added().get(name) if name else None
    if name and (source is None or not context.sees(session, name)):
        raise HTTPException(404, f"No stream {name[:128]} was added here.")
    return context.render(request, "streams_form.html", name=name, source=source)


async def save(request: Request) -> Response:
    """Add a camera, or change one; only if it yields an image, unless the user insists."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:ChangeStreams")
    asked = await request.form()
    fields = {name: value.strip() for name, value in asked.items() if isinstance(value, str)}
    await asyncio.to_thread(_save, context, session, fields)
    return Response(headers={"HX-Trigger": "streams, saved"})


def _save(context: ConsoleContext, session: Session, fields: dict[str, str]) -> None:
    """Save what a form has. Raises HTTPException with the reason if it cannot be saved."""
    old = fields.get("old")
    name = old or STREAMS.meant(fields.get("name", ""))
    with context.streams() as table:
        before = table.added().get(old) if old else None
        if old and (before is None or not context.sees(session, old)):
            raise HTTPException(404, f"No stream {old[:128]} was added here.")
        try:
            msgspec.convert(name, StreamName)
            source = _source(fields, before)
        except (msgspec.ValidationError, ValueError) as error:
            raise HTTPException(422, _reason(str(error))) from None
        if not context.reaches(session, context.config.for_source(source).match.collection):
            raise HTTPException(403, "This key does not reach that collection.")
        if session.key is not None and not session.key.reaches("stream", name):
            raise HTTPException(403, "This key does not reach a stream of that name.")
        if before is None and name in {*context.config.streams, *table.added()}:
            raise HTTPException(
                409, f"There is a stream {STREAMS.shown(name)} already: choose another name."
            )
        if "unchecked" not in fields:
            trouble = check_source(name, source)
            if trouble is not None:
                raise HTTPException(422, f"{trouble}. It was not saved.")
        if before is None:
            table.add(name, source, taken=context.config.streams)
        else:
            table.change(name, source)


def _source(fields: dict[str, str], before: SourceConfig | None) -> SourceConfig:
    """Return the source that a form describes. Raises ValidationError and ValueError."""
    given: dict[str, Any] = {"policy": "live"} if before is None else msgspec.to_builtins(before)
    if before is None or fields.get("url"):
        given["url"] = fields.get("url", "")
    if not given["url"]:
        raise ValueError("the address is missing")
    given["fps"] = float(fields["fps"]) if fields.get("fps") else None
    given["collection"] = fields.get("collection") or None
    given["faces"] = None if "faces" in fields else False
    given["text"] = None if "text" in fields else False
    return msgspec.convert(given, SourceConfig)


def _reason(error: str) -> str:
    """Return an error of the form in words."""
    if "matching regex" in error:
        return "A name has 1 to 128 letters, digits, dots, hyphens and underscores."
    if "could not convert" in error:
        return "The frames per second must be a number."
    return re.sub(r" - at `.*`$", "", error)


def pause(request: Request) -> Response:
    """Have a stream not run until it is resumed."""
    with _table(request) as table:
        table.pause(request.path_params["name"])
    return table_of(request)


def resume(request: Request) -> Response:
    """Have a stream run again."""
    with _table(request) as table:
        table.resume(request.path_params["name"])
    return table_of(request)


def remove(request: Request) -> Response:
    """Remove a stream that was added; its records stay in the log."""
    with _table(request) as table:
        table.remove(request.path_params["name"])
    return table_of(request)


def _table(request: Request) -> StreamTable:
    """Return the table for a change of the stream that a path names. Raises HTTPException."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:ChangeStreams")
    table = context.streams()
    name = request.path_params["name"]
    known = {*context.config.streams, *context.observer.feeds, *table.added()}
    if name not in known or not context.sees(session, name):
        table.close()
        raise HTTPException(404, f"There is no stream {name[:128]}.")
    return table


ROUTES = (
    Route("/streams/form", form),
    Route("/streams/save", save, methods=["POST"]),
    Route("/streams/{name}/pause", pause, methods=["POST"]),
    Route("/streams/{name}/resume", resume, methods=["POST"]),
    Route("/streams/{name}/remove", remove, methods=["POST"]),
    Route("/streams", show),
    Route("/streams/table", table_of),
    Route("/streams/history", history),
)
