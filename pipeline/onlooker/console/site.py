"""The console as an application: the table of its pages."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from onlooker.api.access_keys import Key
from onlooker.console import (
    appearances_page,
    cost_page,
    enrolled_page,
    jobs_page,
    live_page,
    moments,
    page_socket,
    people_changes,
    people_page,
    sign_in_page,
    streams_page,
    text_page,
    try_page,
)
from onlooker.console.console_context import ConsoleContext
from onlooker.console.guard import Guard
from onlooker.console.live_feed import LiveFeed
from onlooker.console.run_observer import RunObserver
from onlooker.console.sessions import Sessions
from onlooker.console.settings import ConsoleSettings
from onlooker.console.sign_in_attempts import Attempts
from onlooker.console.video_feed import VideoFeed
from onlooker.errors import OnlookerError

STATIC = Path(__file__).parent / "static"

logger = logging.getLogger(__name__)


async def _first(_: Request) -> Response:
    return RedirectResponse("/live", 303)


ROUTES: tuple[BaseRoute, ...] = (
    Route("/", _first),
    *sign_in_page.ROUTES,
    *live_page.ROUTES,
    *appearances_page.ROUTES,
    *people_page.ROUTES,
    *people_changes.ROUTES,
    *enrolled_page.ROUTES,
    *text_page.ROUTES,
    *streams_page.ROUTES,
    *moments.ROUTES,
    *jobs_page.ROUTES,
    *try_page.ROUTES,
    *cost_page.ROUTES,
    *page_socket.ROUTES,
    Mount("/static", StaticFiles(directory=STATIC)),
)
"""Every page. A page is a module with ROUTES, a template, and a row in `console_context.PAGES`."""


class Site:
    """The pages of the program whose process id is `parent`.

    keys: None means that nobody needs to sign in. secret: signs the cookies. signed_out: file of
    the sessions that were signed out; None keeps them in memory alone. Raises OSError.
    """

    def __init__(
        self,
        settings: ConsoleSettings,
        keys: Mapping[str, Key] | None,
        parent: int,
        secret: bytes,
        signed_out: Path | None = None,
    ) -> None:
        seconds = settings.config.console.session_hours * 3600
        self._sessions = Sessions(keys, secret, seconds, signed_out)
        self._observer = RunObserver(parent)
        self._context = ConsoleContext(settings, self._sessions, self._observer)
        self._live = LiveFeed(self._context)
        self._video = VideoFeed()

    def app(self) -> Starlette:
        """Return the application."""
        app = Starlette(
            routes=ROUTES,
            middleware=[Middleware(Guard, sessions=self._sessions)],
            exception_handlers={
                HTTPException: _refused,
                OnlookerError: _failed,
                ClientDisconnect: _left,
                Exception: _broken,
            },
        )
        app.state.console = self._context
        app.state.attempts = Attempts()
        app.state.live = self._live
        app.state.video = self._video
        return app

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Observe the program while the `with` statement lasts."""
        tasks = [
            asyncio.create_task(self._observer.observe()),
            asyncio.create_task(self._live.follow()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            self._video.close()
            self._observer.close()
            self._context.api.close()


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", error.status_code)


async def _failed(_: Request, error: Exception) -> Response:
    """Answer with an expected error: it is for the user."""
    return PlainTextResponse(f"{error}\n", 409)


async def _left(_: Request, __: Exception) -> Response:
    """Answer nobody: the client has gone before its request was there."""
    return Response(status_code=400)


async def _broken(request: Request, error: Exception) -> Response:
    logger.error("page broken path=%s cause=%s: %s", request.url.path, type(error).__name__, error)
    return PlainTextResponse("This is a fault of the console's, which its log describes.\n", 500)
