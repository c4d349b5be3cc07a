"""Streams: how each is, what became of its frames, and how far behind it is."""

from itertools import pairwise
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from onlooker.console import console_context, wording
from onlooker.console.console_context import ConsoleContext
from onlooker.console.sessions import Session
from onlooker.media.url import redacted
from onlooker.stream.messages import StreamStatus


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

    @property
    def failures(self) -> int:
        return sum(count for count, _ in self.failed)

    @property
    def drops(self) -> int:
        return sum(count for count, _ in self.dropped)


def rows(context: ConsoleContext, session: Session) -> list[Row]:
    """Return the streams that a user may see."""
    found = []
    for name, feed in sorted(context.observer.feeds.items()):
        if not context.sees(session, name):
            continue
        status = context.observer.stream(name)
        state, health = ("starting", "starting") if status is None else wording.health(status)
        found.append(
            Row(
                name=name,
                url=redacted(feed.source.url),
                state=state,
                health=health,
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
    return {"streams": rows(context, session), "processes": context.observer.processes}


def show(request: Request) -> Response:
    """Show the page."""
    return console_context.of(request).render(request, "streams.html", **_values(request))


def table(request: Request) -> Response:
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


ROUTES = (
    Route("/streams", show),
    Route("/streams/table", table),
    Route("/streams/history", history),
)
