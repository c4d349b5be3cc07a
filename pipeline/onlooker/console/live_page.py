"""Live: what the cameras see, with who is there and what is written."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.console import console_context, moments, wording
from onlooker.console.console_context import ConsoleContext
from onlooker.console.sessions import Session
from onlooker.media.url import is_camera


def show(request: Request) -> Response:
    """Show the page."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    feeds = context.observer.feeds
    streams = [
        (name, is_camera(feeds[name].source.url), *_health(context, name)[::2])
        for name in _names(context, session)
    ]
    return context.render(request, "live.html", streams=streams)


def health(request: Request) -> Response:
    """Show what is wrong with the streams; load the page again if there are others by now."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    names = _names(context, session)
    if request.query_params.getlist("shown") != names:
        return Response(headers={"HX-Refresh": "true"})
    states = [(name, *_health(context, name)) for name in names]
    return context.render(request, "live_health.html", states=states)


def _health(context: ConsoleContext, name: str) -> tuple[str, str, bool]:
    """Return how a stream is, and in words, and whether it can be played again."""
    state, words = wording.health(context.observer.stream(name), context.observer.loading)
    return state, words, state == "over" and moments.video_of(context, name) is not None


def _names(context: ConsoleContext, session: Session) -> list[str]:
    """Return the streams that a user may see, in order."""
    return sorted(name for name in context.observer.feeds if context.sees(session, name))


ROUTES = (Route("/live", show), Route("/live/health", health))
