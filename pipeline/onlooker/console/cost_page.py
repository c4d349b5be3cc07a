"""Cost: what was called in a month, and what it would have cost at Amazon's list prices."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.api import usage
from onlooker.console import console_context, list_prices, wording
from onlooker.console.console_context import ConsoleContext
from onlooker.console.sessions import Session
from onlooker.file_format import FormatError
from onlooker.identity.search.searcher import all_collections
from onlooker.jobs import job_store
from onlooker.jobs.job_store import JobStore
from onlooker.record.log import live_minutes

MAX_JOBS = 100_000
NOT_CONFIRMED = "not confirmed"
"""Of what costs something, and nobody knows how much."""


class Item(NamedTuple):
    """A line of the bill."""

    name: str
    number: str
    """How much, with its unit."""
    price: float | None
    """US dollars; None if it has none."""
    why: str = "not billed"
    """Why it has no price."""


def show(request: Request) -> Response:
    """Show the page; its table follows, as it may take a while."""
    context, month, known = _asked(request)
    return context.render(request, "cost.html", months=known, month=month, prices=list_prices)


def table(request: Request) -> Response:
    """Show the bill of a month."""
    context, month, _ = _asked(request)
    session = console_context.allowed(request, "console:View")
    items = [*_images(context, month), *_videos(context, month)]
    items += _streams(context, session, month)
    if month == _this_month():
        items.append(_stored(context))
    total = sum(item.price or 0.0 for item in items)
    return context.render(request, "cost_table.html", items=items, total=total)


def _asked(request: Request) -> tuple[ConsoleContext, str, list[str]]:
    """Return the month that is asked for, and all that there are. Raises HTTPException."""
    context = console_context.of(request)
    console_context.allowed(request, "console:View")
    with _readable(context):
        known = list(dict.fromkeys([_this_month(), *usage.months(context.settings.store)]))
    month = request.query_params.get("month", known[0])
    if month not in known:
        raise HTTPException(404, f"There are no calls of the month {month[:20]!r}.")
    return context, month, known


@contextmanager
def _readable(context: ConsoleContext) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, FormatError) as error:
        path = usage.path_of(context.settings.store)
        raise HTTPException(500, f"{path}: {error}; move the file away.") from error


def _this_month() -> str:
    return datetime.now(UTC).strftime("%Y-%m")


def _images(context: ConsoleContext, month: str) -> list[Item]:
    with _readable(context):
        calls = usage.calls(context.settings.store, month)
    prices = list_prices.image_prices(calls)
    return [
        Item(name, _counted(calls[name], "call"), prices[name] if billed else None)
        for billed in (True, False)
        for name in calls
        if (name in list_prices.GROUPS) == billed
    ]


def _videos(context: ConsoleContext, month: str) -> list[Item]:
    """Return the minutes of the videos whose jobs are still kept, by kind."""
    if not job_store.exists(context.config.jobs):
        return []
    start, end = _span(month)
    minutes: defaultdict[str, float] = defaultdict(float)
    with JobStore(context.config.jobs) as store:
        for job in store.jobs(MAX_JOBS):
            if job.metadata is not None and job.ended is not None and start <= job.ended < end:
                minutes[job.request.kind] += job.metadata.DurationMillis / 60_000
    return [
        Item(f"Start{kind}", f"{number:,.1f} minutes", number * list_prices.VIDEO_MINUTE[kind])
        for kind, number in sorted(minutes.items())
    ]


def _streams(context: ConsoleContext, session: Session, month: str) -> list[Item]:
    """Return the minutes in which live streams were analysed, of those that a user may see."""
    with context.log() as log:
        if log is None:
            return []
        found = log.ask(partial(live_minutes.count, span=_span(month)))
    return [
        Item(
            f"stream {wording.stream(name)}",
            _counted(number, "minute"),
            None,
            NOT_CONFIRMED if _is_searched(context, name) else "not billed",
        )
        for name, number in found.items()
        if number and context.sees(session, name)
    ]


def _is_searched(context: ConsoleContext, stream: str) -> bool:
    """Return whether the faces of a stream are searched, as its configuration is now."""
    feed = context.observer.feeds.get(stream)
    config = context.config if feed is None else context.config.for_source(feed.source)
    return config.faces.enabled and config.match.collection is not None


def _stored(context: ConsoleContext) -> Item:
    faces = sum(each.faces for each in all_collections(context.api.searcher))
    return Item(
        "stored faces", f"{wording.number(faces)} for a month", faces * list_prices.FACE_MONTH
    )


def _counted(number: int, what: str) -> str:
    return f"{wording.number(number)} {what}{'s' if number != 1 else ''}"


def _span(month: str) -> tuple[float, float]:
    """Return the epoch seconds from the start of a month, in UTC, to its end."""
    start = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    end = (start + timedelta(days=32)).replace(day=1)
    return start.timestamp(), end.timestamp()


ROUTES = (
    Route("/cost", show),
    Route("/cost/table", table),
)
