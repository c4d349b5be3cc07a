"""Signing in with a key of the API, and out again."""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onlooker.console import console_context
from onlooker.console.guard import COOKIE, set_cookie

WRONG = "No key has this id and secret."
TOO_OFTEN = "Too many attempts from your address. Wait a minute, then try again."
ENDED = "Your session has ended. Sign in again."
WRONG_SECONDS = 0.3
"""Time until the answer to a wrong secret."""


async def show(request: Request) -> Response:
    """Show the form."""
    context = console_context.of(request)
    if context.sessions.open:
        return RedirectResponse("/live", 303)
    said = ENDED if "ended" in request.query_params else ""
    return context.render(request, "sign_in.html", said=said, error="")


async def sign_in(request: Request) -> Response:
    """Give the browser a session."""
    context, attempts = console_context.of(request), request.app.state.attempts
    address = "" if request.client is None else request.client.host
    form = await request.form()
    if attempts.blocked(address):
        return _refused(request, TOO_OFTEN, 429)
    session = context.sessions.sign_in(str(form.get("id", "")), str(form.get("secret", "")))
    if session is None:
        attempts.failed(address)
        await asyncio.sleep(WRONG_SECONDS)
        return _refused(request, WRONG, 403)
    response = RedirectResponse("/live", 303)
    secure = request.url.scheme == "https"
    response.headers["Set-Cookie"] = set_cookie(session, context.sessions.seconds, secure)
    return response


def _refused(request: Request, error: str, status: int) -> Response:
    answer = console_context.of(request).render(request, "sign_in.html", said="", error=error)
    answer.status_code = status
    return answer


async def sign_out(request: Request) -> Response:
    """End the session: its cookie and its sockets, too, which another browser may have."""
    session = console_context.session_of(request)
    assert session is not None
    console_context.of(request).sessions.sign_out(session)
    response = Response(headers={"HX-Redirect": "/sign-in"})
    response.delete_cookie(COOKIE, samesite="strict", httponly=True)
    return response


ROUTES = (
    Route("/sign-in", show),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
)
