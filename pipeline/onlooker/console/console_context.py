"""The things that all pages share: settings, log, people, and the making of a page."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import tzinfo
from typing import Any

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from onlooker.config.schema import SourceConfig
from onlooker.console import wording
from onlooker.console.guard import MAX_UPLOAD_BYTES
from onlooker.console.local_api import LocalApi
from onlooker.console.run_observer import RunObserver
from onlooker.console.sessions import Session, Sessions
from onlooker.console.settings import ConsoleSettings
from onlooker.identity.errors import StoreError
from onlooker.identity.people.people import People, are_people, open_people
from onlooker.models.card import space
from onlooker.record.log.reader import Log
from onlooker.stream import stream_table
from onlooker.stream.stream_table import StreamTable, StreamTableError

ALL = "*"
"""What a key has that reaches everything of a kind."""
ZONE_COOKIE = "onlooker_zone"
"""The browser's time zone, which `console.js` sets."""

NAME_SECONDS = 5.0
"""Time for which a name is not asked for again."""
MAX_CACHED_NAMES = 1000

PAGES = (
    ("/live", "Live"),
    ("/appearances", "Appearances"),
    ("/people", "People"),
    ("/text", "Text"),
    ("/streams", "Streams"),
    ("/jobs", "Jobs"),
    ("/try", "Try it"),
    ("/cost", "Cost"),
)
"""The pages as the navigation has them: path and title."""


class ConsoleContext:
    """One for the process; a page gets it by `of(request)`."""

    def __init__(
        self, settings: ConsoleSettings, sessions: Sessions, observer: RunObserver
    ) -> None:
        self.settings = settings
        self.config = settings.config
        self.sessions = sessions
        self.observer = observer
        self.api = LocalApi(settings)
        self._names: dict[str, tuple[str, float]] = {}
        """Names and the times at which they were asked for."""
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("onlooker.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name in ("duration", "number", "percent", "person", "stream"):
            self._templates.filters[name] = getattr(wording, name)

    def render(self, request: Request, template: str, **values: Any) -> HTMLResponse:
        """Return a page, or a part of one, made from a template."""
        zone = zone_of(request)
        text = self._templates.get_template(template).render(
            request=request,
            session=session_of(request),
            pages=PAGES,
            max_upload=MAX_UPLOAD_BYTES,
            running=self.observer.feeds,
            clock=lambda seconds: wording.clock(seconds, zone),
            time_of_day=lambda seconds: wording.time_of_day(seconds, zone),
            **values,
        )
        return HTMLResponse(text)

    @contextmanager
    def log(self) -> Iterator[Log | None]:
        """Lend the log of records to one thread; None if there is none yet. Raises LogError."""
        if not self.settings.log.exists():
            yield None
            return
        with Log(self.settings.log) as log:
            yield log

    @contextmanager
    def people(self) -> Iterator[People | None]:
        """Lend the people whom no collection knows; None if there are none yet.

        Raises StoreError.
        """
        place = space(self.config.faces.embedder), self.settings.store, self.config.store.url
        if not are_people(*place):
            yield None
            return
        with open_people(*place) as people:
            yield people

    def streams(self) -> StreamTable:
        """Return the streams beside the configuration file, to be closed again.

        Raises StreamTableError.
        """
        return StreamTable(stream_table.default_path())

    def name_of(self, person: str) -> str:
        """Return what a person is called by now, as people read it: an id may have a name."""
        now = time.monotonic()
        found = self._names.get(person)
        if found is None or now - found[1] > NAME_SECONDS:
            if len(self._names) >= MAX_CACHED_NAMES:
                self._names.clear()
            with suppress(StoreError), self.people() as people:
                resolved = person if people is None else people.journal.resolve(person)
                self._names[person] = found = wording.person(resolved), now
        return wording.person(person) if found is None else found[0]

    def sees(self, session: Session, stream: str) -> bool:
        """Return whether a user may see a stream: its key reaches it and its collection.

        A stream that runs no more, and is in no settings either, had a collection that nobody
        knows by now: only keys that reach all collections see it.
        """
        if session.key is None:
            return True
        if not session.key.reaches("stream", stream):
            return False
        source = self._source_of(stream)
        if source is None:
            return ALL in session.key.collections
        return self.reaches(session, self.config.for_source(source).match.collection)

    def sees_all(self, session: Session) -> bool:
        """Return whether a user may see every stream, whatever its name and collection."""
        key = session.key
        return key is None or (ALL in key.streams and ALL in key.collections)

    def _source_of(self, stream: str) -> SourceConfig | None:
        """Return the source of a stream that runs, is in the file, or was added."""
        if (feed := self.observer.feeds.get(stream)) is not None:
            return feed.source
        if (source := self.config.streams.get(stream)) is not None:
            return source
        if not stream_table.default_path().exists():
            return None
        with suppress(StreamTableError), self.streams() as table:
            return table.added().get(stream)
        return None

    def reaches(self, session: Session, collection: str | None) -> bool:
        """Return whether a user may know of a collection; None is none, which everybody may."""
        return (
            session.key is None
            or collection is None
            or session.key.reaches("collection", collection)
        )


def of(request: Request) -> ConsoleContext:
    """Return the context of the process that answers a request."""
    context = request.app.state.console
    assert isinstance(context, ConsoleContext)
    return context


def session_of(request: Request) -> Session | None:
    """Return the session of a request; None on the page to sign in."""
    found: Session | None = request.scope["session"]
    return found


def allowed(request: Request, action: str) -> Session:
    """Return the session of a request whose user may do `action`. Raises HTTPException."""
    session = session_of(request)
    if session is None or not session.allows(action):
        raise HTTPException(403, f"This key may not do that: it lacks {action}.")
    return session


def zone_of(request: Request) -> tzinfo:
    """Return the browser's time zone."""
    return wording.zone(request.cookies.get(ZONE_COOKIE))
