"""Text: what was read, searched; each hit with its image, and what was there at the time."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.console import console_context, moments, wording
from onlooker.console.console_context import ConsoleContext
from onlooker.console.sessions import Session
from onlooker.escape import STREAMS
from onlooker.record.log import visit_table
from onlooker.record.log.reader import Log
from onlooker.record.log.visit_table import Visit, VisitQuery
from onlooker.rekognition.shapes import Appearance, Reading, StreamRecord

PAGE_ROWS = 50
"""Readings that are loaded at once; further ones follow as the page is scrolled."""
MAX_PEOPLE = 12
"""Visits that are shown of those at the time of a reading."""


class Filter(NamedTuple):
    """The conditions of the page's form, as they were typed."""

    find: str
    stream: str
    since: str
    until: str

    @classmethod
    def of(cls, request: Request) -> "Filter":
        return cls(*(request.query_params.get(name, "").strip() for name in cls._fields))

    @property
    def query(self) -> str:
        """The conditions as a part of an URL."""
        return urlencode({name: value for name, value in self._asdict().items() if value})


class Row(NamedTuple):
    """A reading as the page shows it."""

    stream: str
    event: Reading
    parts: Sequence[tuple[str, bool]]
    """The text in parts, and whether each is what was searched for."""
    pictured: bool

    @property
    def there(self) -> bool:
        """Whether the text is still to be seen, as far as its events tell."""
        return self.event.State != "end"


class Line(NamedTuple):
    """A line of the frame in which a text was best to be read."""

    text: str
    points: str
    """The polygon in pixels, as SVG has it."""
    own: bool


def show(request: Request) -> Response:
    """Show the page."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    with context.log() as log:
        streams = [] if log is None else [*log.sequences_at(log.position)]
        values = _rows(request, context, session, log)
    seen = sorted(name for name in streams if context.sees(session, name))
    return context.render(request, "text.html", streams=seen, **values)


def rows(request: Request) -> Response:
    """Show a part of the list: its beginning, or what follows the reading in `before`."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    with context.log() as log:
        values = _rows(request, context, session, log)
    return context.render(request, "text_rows.html", **values)


def _rows(
    request: Request, context: ConsoleContext, session: Session, log: Log | None
) -> Mapping[str, Any]:
    asked = Filter.of(request)
    zone = console_context.zone_of(request)
    question = partial(
        visit_table.page,
        kind=Reading,
        wanted=VisitQuery(
            stream=STREAMS.meant(asked.stream) if asked.stream else None,
            name=asked.find or None,
            start=wording.moment(asked.since, zone) if asked.since else None,
            end=wording.moment(asked.until, zone) if asked.until else None,
        ),
        limit=PAGE_ROWS,
        before=_place(request.query_params.get("before", "")),
    )
    found = [] if log is None else log.ask(question)
    more = found[-1].event if len(found) == PAGE_ROWS else None
    return {
        "readings": [
            _row(each, asked.find, log) for each in found if context.sees(session, each.stream)
        ],
        "asked": asked,
        "enabled": context.config.text.enabled,
        "before": f"{more.End!r}_{more.ReadingId}" if more is not None else "",
    }


def _row(visit: Visit[Reading], find: str, log: Log | None) -> Row:
    event = visit.event
    pictured = log is not None and log.best_face(event.ReadingId) is not None
    return Row(visit.stream, event, marked(event.DetectedText, find), pictured)


def marked(text: str, find: str) -> list[tuple[str, bool]]:
    """Return a text in parts, and whether each is `find` in upper or lower case."""
    if not find:
        return [(text, False)]
    parts = re.split(f"({re.escape(find)})", text, flags=re.IGNORECASE)
    return [(part, index % 2 == 1) for index, part in enumerate(parts) if part]


def _place(text: str) -> tuple[float, str] | None:
    """Return the place in the list that `before` names; None for its beginning."""
    if not text:
        return None
    end, _, reading = text.partition("_")
    try:
        return float(end), str(UUID(reading))
    except ValueError:
        raise HTTPException(400, f"{text[:80]!r} is no place in the list.") from None


def _one(request: Request, log: Log | None) -> Visit[Reading]:
    """Return the reading that a request is about. Raises HTTPException."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    question = partial(visit_table.one, kind=Reading, visit=str(request.path_params["reading"]))
    found = None if log is None else log.ask(question)
    if found is None or not context.sees(session, found.stream):
        raise HTTPException(404, "There is no such text; its record may have been removed.")
    return found


def image(request: Request) -> Response:
    """Answer with the image of a text as a JPEG."""
    with console_context.of(request).log() as log:
        found = _one(request, log)
        data = None if log is None else log.best_face(found.event.ReadingId)
    if data is None:
        raise HTTPException(404, "There is no image of this text.")
    return Response(data, media_type="image/jpeg")


def details(request: Request) -> Response:
    """Show what else was in the image, and who was there at the time."""
    context = console_context.of(request)
    with context.log() as log:
        found = _one(request, log)
        event = found.event
        record = None if log is None else log.find(event.RecordId)
        during = VisitQuery(stream=found.stream, start=event.Start, end=event.End + 1e-3)
        question = partial(visit_table.page, kind=Appearance, wanted=during, limit=MAX_PEOPLE)
        people = [] if log is None else log.ask(question)
        faces = [
            log is not None and log.best_face(each.event.AppearanceId) is not None
            for each in people
        ]
    return context.render(
        request,
        "text_details.html",
        event=event,
        lines=[] if record is None else _lines(record, event),
        frame=None if record is None else record.FrameInformation,
        moment=moments.video_of(context, found.stream) is not None,
        people=list(zip((each.event for each in people), faces, strict=True)),
    )


def _lines(record: StreamRecord, event: Reading) -> list[Line]:
    """Return the lines of the record's frame."""
    width, height = record.FrameInformation.Width, record.FrameInformation.Height
    own = {each.Line for each in record.LineTracks if each.TrackId == event.ReadingId}
    return [
        Line(
            line.DetectedText,
            " ".join(f"{p.X * width:.0f},{p.Y * height:.0f}" for p in line.Geometry.Polygon),
            line.Id in own,
        )
        for line in record.TextDetections
        if line.Type == "LINE"
    ]


ROUTES = (
    Route("/text", show),
    Route("/text/rows", rows),
    Route("/text/{reading:uuid}", details),
    Route("/text/{reading:uuid}/image", image),
)
