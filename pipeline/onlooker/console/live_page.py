"""Live: what the cameras see, with who is there and what is written."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.console import console_context
from onlooker.media.url import is_camera


def show(request: Request) -> Response:
    """Show the page."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    streams = [
        (name, is_camera(feed.source.url))
        for name, feed in sorted(context.observer.feeds.items())
        if context.sees(session, name)
    ]
    return context.render(request, "live.html", streams=streams)


ROUTES = (Route("/live", show),)
