"""Appearances: one row for each visit, the newest first, and why it has its name."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.console import console_context, moments, people_cards, wording
from onlooker.console.console_context import ConsoleContext
from onlooker.console.sessions import Session
from onlooker.escape import PEOPLE, STREAMS
from onlooker.identity.people.people import People
from onlooker.record.log import visit_table
from onlooker.record.log.reader import Log
from onlooker.record.log.visit_table import Visit, VisitQuery
from onlooker.rekognition.shapes import Appearance, FaceMatch

PAGE_ROWS = 50
"""Visits that are loaded at once; further ones follow as the page is scrolled."""
FACE_SECONDS = 60
"""Time for which a browser may keep the image of a face: it may become a better one."""
GONE = "There is no such visit; its record may have been removed."
MAX_NAMES = 2000
"""Names that the filter suggests."""
MAX_SIMILAR = 8
"""Names that are offered if no visit has the one that was typed."""


class Row(NamedTuple):
    """A visit as the page shows it."""

    stream: str
    event: Appearance
    person: str | None
    """Whose it is by now: it may have been named, merged or split since."""
    matched: bool
    """Whether the collection of the stream knows the person."""
    remembered: bool
    """Whether the person is one of those whom `[people]` remembers."""
    pictured: bool
    """Whether the log has an image of the face."""

    @property
    def id(self) -> str:
        return self.event.AppearanceId

    @property
    def named(self) -> bool:
        """Whether somebody gave the person a name on the page People."""
        return self.remembered and not people_cards.is_unknown(self.person or "")

    @property
    def known(self) -> bool:
        return self.matched or self.named

    @property
    def there(self) -> bool:
        """Whether the visit goes on, as far as its events tell."""
        return self.event.State != "end"


class Reason(NamedTuple):
    """Why a visit has its name."""

    threshold: float
    best: FaceMatch | None
    runner_up: FaceMatch | None
    """The best match of another person in the record of the best image."""
    collection: str | None


class Filter(NamedTuple):
    """The conditions of the page's form, as they were typed."""

    person: str
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


def show(request: Request) -> Response:
    """Show the page."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    with context.log() as log, context.people() as people:
        names = _names(context, session, log, people)
        streams = [] if log is None else [*log.sequences_at(log.position)]
        values = _rows(request, context, session, log, people)
    return context.render(
        request,
        "appearances.html",
        names=names,
        streams=sorted(name for name in streams if context.sees(session, name)),
        **values,
    )


def rows(request: Request) -> Response:
    """Show further rows, after those that end with `before`."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    with context.log() as log, context.people() as people:
        values = _rows(request, context, session, log, people)
    return context.render(request, "appearances_rows.html", **values)


def _rows(
    request: Request,
    context: ConsoleContext,
    session: Session,
    log: Log | None,
    people: People | None,
) -> Mapping[str, Any]:
    """Return the values of a page of rows."""
    asked = Filter.of(request)
    zone = console_context.zone_of(request)
    person = PEOPLE.meant(asked.person) if asked.person else None
    others: Sequence[str] = ()
    if person is not None and people is not None:
        visitors = people.journal.visitors(people.journal.resolve(person))
        others = [visitor.appearance for visitor in visitors]
    wanted = VisitQuery(
        stream=STREAMS.meant(asked.stream) if asked.stream else None,
        name=person,
        start=wording.moment(asked.since, zone) if asked.since else None,
        end=wording.moment(asked.until, zone) if asked.until else None,
        others=others,
    )
    question = partial(
        visit_table.page,
        kind=Appearance,
        wanted=wanted,
        limit=PAGE_ROWS,
        before=_place(request.query_params.get("before", "")),
    )
    found = [] if log is None else log.ask(question)
    more = found[-1].event if len(found) == PAGE_ROWS else None
    similar: list[str] = []
    if asked.person and not found:
        similar = _similar(asked.person, _names(context, session, log, people))
    return {
        "similar": similar,
        "visits": [
            _row(each, log, people)
            for each in found
            if log is not None and context.sees(session, each.stream)
        ],
        "asked": asked,
        "before": f"{more.End!r}_{more.AppearanceId}" if more is not None else "",
    }


def _names(
    context: ConsoleContext, session: Session, log: Log | None, people: People | None
) -> list[str]:
    """Return the names that visits have, as people read them; none if some are not for the user."""
    if not context.sees_all(session):
        return []
    names = [] if log is None else log.ask(partial(visit_table.names, limit=MAX_NAMES))
    if people is not None:
        names = [*{*names, *(person for person, *_ in people.journal.people())}]
    return sorted(map(wording.person, names))


def _similar(typed: str, names: Sequence[str]) -> list[str]:
    """Return names of which `typed` is a part, in upper or lower case, but not the whole."""
    part = visit_table.folded(typed)
    return [name for name in names if part in visit_table.folded(name) and name != typed][
        :MAX_SIMILAR
    ]


def _place(text: str) -> tuple[float, str] | None:
    """Return the place in the list that `before` names; None for its beginning."""
    if not text:
        return None
    end, _, visit = text.partition("_")
    try:
        return float(end), str(UUID(visit))
    except ValueError:
        raise HTTPException(400, f"{text[:80]!r} is no place in the list.") from None


def _row(visit: Visit[Appearance], log: Log, people: People | None) -> Row:
    event = visit.event
    person = None if people is None else people.journal.person_of(event.AppearanceId)
    pictured = log.best_face(event.AppearanceId) is not None
    return Row(
        stream=visit.stream,
        event=event,
        person=person or event.Person,
        matched=event.Match is not None,
        remembered=person is not None or (event.Person is not None and event.Match is None),
        pictured=pictured,
    )


def details(request: Request) -> Response:
    """Show why a visit has its name, and more about it."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    question = partial(visit_table.one, kind=Appearance, visit=str(request.path_params["visit"]))
    with context.log() as log, context.people() as people:
        found = None if log is None else log.ask(question)
        if log is None or found is None or not context.sees(session, found.stream):
            raise HTTPException(404, GONE)
        row = _row(found, log, people)
        reason = _reason(context, log, found)
    moment = moments.video_of(context, found.stream) is not None
    return context.render(
        request, "appearances_details.html", visit=row, reason=reason, moment=moment
    )


def face(request: Request) -> Response:
    """Answer with the best image of the face."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    visit = str(request.path_params["visit"])
    with context.log() as log:
        if log is not None:
            found = log.ask(partial(visit_table.one, kind=Appearance, visit=visit))
            image = log.best_face(visit)
            if found is not None and image is not None and context.sees(session, found.stream):
                headers = {"Cache-Control": f"private, max-age={FACE_SECONDS}"}
                return Response(image, media_type="image/jpeg", headers=headers)
    raise HTTPException(404, "There is no image of this face; it was not kept, or was removed.")


def _reason(context: ConsoleContext, log: Log, visit: Visit[Appearance]) -> Reason:
    feed = context.observer.feeds.get(visit.stream)
    match = context.config.match if feed is None else context.config.for_source(feed.source).match
    best, runner_up = visit.event.Match, None
    record = log.find(visit.event.RecordId)
    for track in () if record is None else record.Tracks:
        if record is None or track.TrackId != visit.event.AppearanceId or best is None:
            continue
        own = _name(best)
        faces = record.FaceSearchResponse[track.Face].MatchedFaces
        runner_up = next((each for each in faces if _name(each) != own), None)
    return Reason(match.threshold, best, runner_up, match.collection)


def _name(match: FaceMatch) -> str:
    face = match.Face
    return face.UserId or face.ExternalImageId or face.FaceId


ROUTES = (
    Route("/appearances", show),
    Route("/appearances/rows", rows),
    Route("/appearances/{visit:uuid}", details),
    Route("/appearances/{visit:uuid}/face", face),
)
