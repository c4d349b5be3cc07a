"""The guard in front of all pages: who may come in, and what a browser may do with an answer.

Everything that a page shows is from outside: names, texts in images, URLs, file names. So no
page has a script of its own, and browsers are told to run none but the console's files. A change
must come from the console's own page: it brings the session's token, and no foreign Origin.
"""

import asyncio
import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onlooker.console.sessions import Session, Sessions

COOKIE = "onlooker_session"
CSRF_HEADER = "X-CSRF-Token"
MAX_BODY_BYTES = 16 * 1024 * 1024
"""Bytes of a request: an image to try, or a form."""
TOO_LARGE = "The upload is too large: at most 16 MB."
MAX_UPLOAD_BYTES = MAX_BODY_BYTES - 64 * 1024
"""Bytes of a file in a form: its other fields need a little."""
SAFE_METHODS = ("GET", "HEAD")
SIGN_IN = "/sign-in"
OPEN_PATHS = (SIGN_IN, "/static/")
"""Beginnings of the paths that need no session."""
CLOSE_UNAUTHORISED = 4401
"""Code with which a socket without a session is closed; the page then says so."""
ENDED = f"{SIGN_IN}?ended"
"""Where a browser is sent whose session has ended."""
BODY_SECONDS = 120.0
"""Seconds for a request's body to arrive."""
MAX_FORM_BYTES = 16 * 1024
"""Bytes of a request of somebody who has not signed in."""

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class _BodyTooLarge(Exception):
    """A request's body has more bytes than MAX_BODY_BYTES."""


class _BodyTooSlow(Exception):
    """A request's body has not arrived within BODY_SECONDS."""


class Guard:
    """The middleware; `scope["session"]` is the session of those whom it lets in."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        session = self._session_of(headers)
        foreign = self._foreign(scope, headers)
        refusal = foreign or self._refusal(scope, headers, session)
        new = None
        if refusal is None and session is None and self._sessions.open:
            session = new = self._sessions.new(None)
        scope["session"] = session
        if scope["type"] == "websocket":
            if refusal is not None:
                await receive()
                if foreign is None:  # a browser learns the code only of a socket that was open
                    await send({"type": "websocket.accept"})
                await send({"type": "websocket.close", "code": CLOSE_UNAUTHORISED})
                return
            await self._app(scope, receive, send)
            return
        secure = scope["scheme"] == "https"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent.update(HEADERS)
                if not scope["path"].startswith("/static/") and "Cache-Control" not in sent:
                    sent["Cache-Control"] = "no-store"
                if new is not None:
                    sent.append("Set-Cookie", set_cookie(new, self._sessions.seconds, secure))
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        limit = MAX_FORM_BYTES if session is None else MAX_BODY_BYTES
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            await _refuse(413, TOO_LARGE)(scope, receive, answer)
            return
        try:
            await self._app(scope, _limited(receive, limit), answer)
        except _BodyTooLarge:
            await _refuse(413, TOO_LARGE)(scope, receive, answer)
        except _BodyTooSlow:
            await _refuse(408, "The upload took too long.")(scope, receive, answer)

    def _session_of(self, headers: Headers) -> Session | None:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return None
        return self._sessions.read(cookies[COOKIE].value) if COOKIE in cookies else None

    def _foreign(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a request of another web page; None if it is not of one."""
        host = ",".join(headers.getlist("host"))
        if self._sessions.open and not _is_loopback(host):
            # A foreign name that leads to this machine: another web page is asking.
            return _refuse(421, "Without keys, this console is only for localhost and 127.0.0.1.")
        if (_changes(scope) or scope["type"] == "websocket") and not _same_origin(headers, host):
            return _refuse(403, "This request comes from another web page.")
        return None

    def _refusal(self, scope: Scope, headers: Headers, session: Session | None) -> Response | None:
        """Return the answer to a request that may not pass; None if it may."""
        changes, path = _changes(scope), scope["path"]
        if path.startswith(OPEN_PATHS):
            return None
        if session is None:
            if not self._sessions.open:
                return _to_sign_in(scope, headers)
            if changes or scope["type"] == "websocket":
                return _refuse(401, "The session is over: load the page again.")
            return None
        if changes:
            given = headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(given.encode(), session.csrf.encode()):
                return _refuse(403, "The page is out of date: load it again.")
        if not session.allows("console:View") and path != "/sign-out":
            return _refuse(403, "This key may not use the console: it lacks console:View.")
        return None


def set_cookie(session: Session, seconds: float, secure: bool) -> str:
    """Return the Set-Cookie header that gives a browser its session."""
    end = "; Secure" if secure else ""
    return (
        f"{COOKIE}={session.cookie}; Max-Age={int(seconds)}; Path=/; HttpOnly; SameSite=Strict{end}"
    )


def _changes(scope: Scope) -> bool:
    """Return whether a request may change something."""
    return scope["type"] == "http" and scope["method"] not in SAFE_METHODS


def _same_origin(headers: Mapping[str, str], host: str) -> bool:
    """Return whether a request comes from the console's own pages, or from no web page at all."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _is_loopback(host: str) -> bool:
    """Return whether a Host header names this machine by a name that only it can have."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname or "", parts.port  # ValueError: not a port
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _to_sign_in(scope: Scope, headers: Headers) -> Response:
    if scope["type"] == "http" and "text/html" in headers.get("accept", ""):
        return RedirectResponse(ENDED if COOKIE in headers.get("cookie", "") else SIGN_IN, 303)
    return _refuse(401, "Sign in first.")


def _refuse(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)


def _limited(receive: Receive, limit: int) -> Receive:
    """Return `receive` that takes `limit` bytes at most: a body may come without its length.

    It raises _BodyTooLarge and _BodyTooSlow.
    """
    taken, more = 0, True
    end = asyncio.get_running_loop().time() + BODY_SECONDS

    async def limited() -> Message:
        nonlocal taken, more
        try:
            async with asyncio.timeout_at(end if more else None):
                message = await receive()
        except TimeoutError:
            raise _BodyTooSlow from None
        more = message.get("more_body", False)
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _BodyTooLarge
        return message

    return limited
