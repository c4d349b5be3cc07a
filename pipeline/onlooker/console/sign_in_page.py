"""Signing in with a key of the API, and out again."""

import asyncio
import time

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onlooker.console import console_context
from onlooker.console.guard import COOKIE, set_cookie

MAX_FAILURES, FAILURE_SECONDS = 20, 60.0
"""Failures in that time after which nobody can sign in for a while: secrets cannot be guessed."""
WRONG = "No key has this id and secret."
TOO_OFTEN = "Too many attempts. Wait a minute, then try again."

_failures: list[float] = []


async def show(request: Request) -> Response:
    """Show the form."""
    context = console_context.of(request)
    if context.sessions.open:
        return RedirectResponse("/live", 303)
    return context.render(request, "sign_in.html", error="")


async def sign_in(request: Request) -> Response:
    """Give the browser a session."""
    context = console_context.of(request)
    now = time.monotonic()
    _failures[:] = [each for each in _failures if now - each < FAILURE_SECONDS]
    if len(_failures) >= MAX_FAILURES:
        answer = context.render(request, "sign_in.html", error=TOO_OFTEN)
        answer.status_code = 429
        return answer
    form = await request.form()
    session = context.sessions.sign_in(str(form.get("id", "")), str(form.get("secret", "")))
    if session is None:
        _failures.append(now)
        await asyncio.sleep(0.3)
        answer = context.render(request, "sign_in.html", error=WRONG)
        answer.status_code = 403
        return answer
    response = RedirectResponse("/live", 303)
    secure = request.url.scheme == "https"
    response.headers["Set-Cookie"] = set_cookie(session, context.sessions.seconds, secure)
    return response


async def sign_out(_: Request) -> Response:
    """Take the session away."""
    response = Response(headers={"HX-Redirect": "/sign-in"})
    response.delete_cookie(COOKIE, samesite="strict", httponly=True)
    return response


ROUTES = (
    Route("/sign-in", show),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
)
