"""AWS Signature Version 4: the check of who sent a request, and that nobody changed it on its way.

The client signs a canonical form of the request with a key made of its secret, the day, the region
and the service; the server makes the same signature. What the server acts on must be signed: the
host, the date, the operation (`x-amz-target`), the session token if there is one, and the body. The
content type need not be, because the server does not act on it: the SDKs for PHP and JavaScript
(version 2) and aws4fetch leave it out, as proxies and browsers may change it.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

from onlooker.api.access_keys import Key
from onlooker.api.errors import Refusal

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_CLOCK_SKEW_SECONDS = 300
"""Seconds that the clocks of client and server may differ."""
SIGNED_HEADERS = ("host", "x-amz-date", "x-amz-target")
"""Headers that must be signed."""

Headers = Sequence[tuple[str, str]]
"""Names in lower case and values, in the order they came; a name may come twice."""

_PARTS = {
    "Credential": re.compile("[^ ,]+"),
    "SignedHeaders": re.compile(r"[!#$%&'*+.^_`|~a-z0-9;-]+"),
    "Signature": re.compile("[0-9a-f]{64}"),
}
"""The parts of the header Authorization, whose order clients choose."""
_DATE = re.compile(r"\d{8}T\d{6}Z")
_DIGEST = re.compile("[0-9a-f]{64}")
_SPACES = re.compile("[ \t]+")


@dataclass(frozen=True, slots=True)
class Claim:
    """The sender that a request names, before the signature is checked."""

    key: Key
    scope: str
    """day/region/service/aws4_request"""
    date: str
    """`X-Amz-Date`"""
    signed: tuple[str, ...]
    """Names of the signed headers."""
    signature: str
    query: str = ""
    """The part of the URL after the question mark, in its canonical form."""
    path: str = "/"
    """The URL's path, in its canonical form."""


def claim(
    headers: Headers,
    keys: Mapping[str, Key],
    service: str,
    region: str | None,
    now: float | None = None,
    query: str = "",
    path: str = "/",
) -> Claim:
    """Read the headers of a request, and check all that can be checked without its body.

    The request must be signed for `service`, and for `region` unless that is None. `now` is in
    epoch seconds; `query` and `path` are the URL's. Raises Refusal.
    """
    given = [value for name, value in headers if name == "authorization"]
    if not given:
        more = ". Sign the headers; a signature in the URL is not taken." if query else ""
        raise Refusal("MissingAuthenticationTokenException", f"Missing Authentication Token{more}")
    found = _parts(given[0])
    if found is None or len(given) > 1:
        raise _incomplete(
            f"Authorization must be given once, as {ALGORITHM} Credential=..., "
            "SignedHeaders=..., Signature=..."
        )
    scope = found["Credential"].split("/")
    if len(scope) != 5 or scope[4] != "aws4_request":
        raise _incomplete(f"Credential must be KEY/YYYYMMDD/REGION/{service}/aws4_request")
    signed = tuple(found["SignedHeaders"].split(";"))
    _check_signed(signed, headers)
    date = _only(headers, "x-amz-date")
    _check_scope(scope, date, service, region)
    _check_clock(date, time.time() if now is None else now)
    key = keys.get(scope[0])
    if key is None or not _same_token(key, headers):
        # One text for all, so that it tells nobody which keys there are.
        raise Refusal(
            "UnrecognizedClientException",
            "The security token included in the request is invalid. No key has this id "
            "(AWS_ACCESS_KEY_ID), or the key's session token (AWS_SESSION_TOKEN) is another, or "
            "it has none.",
        )
    _check_body_is_signed(headers)
    canonical = _canonical(query), quote(path, safe="/-_.~")
    return Claim(key, "/".join(scope[1:]), date, signed, found["Signature"], *canonical)


def verify(claim: Claim, headers: Headers, body_hash: str) -> None:
    """Check the signature of a POST with these headers and the SHA-256 of its body, in hex.

    Raises Refusal.
    """
    for name, value in headers:
        if name == "x-amz-content-sha256" and value != body_hash:
            raise _wrong("x-amz-content-sha256 is not the SHA-256 of the body.")
    lines = "".join(f"{name}:{_value(headers, name)}\n" for name in claim.signed)
    canonical = f"POST\n{claim.path}\n{claim.query}\n{lines}\n{';'.join(claim.signed)}\n{body_hash}"
    digest = sha256(canonical.encode("latin-1")).hexdigest()
    expected = _sign(claim, f"{ALGORITHM}\n{claim.date}\n{claim.scope}\n{digest}")
    if not hmac.compare_digest(expected, claim.signature):
        raise _wrong(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method."
        )


def _sign(claim: Claim, text: str) -> str:
    key = b"AWS4" + claim.key.secret.encode()
    for part in claim.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _value(headers: Headers, name: str) -> str:
    """Return all values of a header, without needless spaces.

    Of ASCII alone: the bytes of a UTF-8 letter may look like a space of Latin-1.
    """
    values = (value for other, value in headers if other == name)
    return ",".join(_SPACES.sub(" ", value).strip(" ") for value in values)


def _canonical(query: str) -> str:
    """Return a URL's query in the canonical form: each part encoded again, in order."""
    pairs = (part.partition("=")[::2] for part in query.split("&") if part)
    return "&".join("=".join(each) for each in sorted(tuple(map(_encoded, one)) for one in pairs))


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _only(headers: Headers, name: str) -> str:
    values = [value for other, value in headers if other == name]
    if len(values) != 1:
        raise _incomplete(f"{name} must be given once, not {len(values)} times.")
    return values[0]


def _parts(authorization: str) -> dict[str, str] | None:
    """Return the parts of the header by their names, or None if they are not what they must be."""
    algorithm, _, rest = authorization.strip().partition(" ")
    parts = [part.strip().partition("=") for part in rest.split(",")]
    found = {name: value for name, _, value in parts}
    if algorithm != ALGORITHM or len(parts) != len(_PARTS) or found.keys() != _PARTS.keys():
        return None
    return found if all(form.fullmatch(found[name]) for name, form in _PARTS.items()) else None


def _check_signed(signed: Sequence[str], headers: Headers) -> None:
    if list(signed) != sorted(set(signed)):
        raise _incomplete("SignedHeaders must be sorted, each name once.")
    sent = {name for name, _ in headers}
    needed = {*SIGNED_HEADERS, *({"x-amz-security-token"} & sent)}
    if unsigned := needed - set(signed):
        raise _wrong(f"These headers must be signed: {', '.join(sorted(unsigned))}.")
    if missing := set(signed) - sent:
        raise _wrong(f"These headers are signed but not sent: {', '.join(sorted(missing))}.")
    for name in ("x-amz-target", "host"):
        _only(headers, name)


def _check_body_is_signed(headers: Headers) -> None:
    for name, value in headers:
        if name == "x-amz-content-sha256" and not _DIGEST.fullmatch(value):
            raise _wrong(
                f"x-amz-content-sha256 is {value!r}, but the body must be signed: give its SHA-256 "
                "in hex, or leave the header out."
            )


def _check_scope(scope: Sequence[str], date: str, service: str, region: str | None) -> None:
    _, day, signed_region, signed_service, _ = scope
    if not _DATE.fullmatch(date):
        raise _incomplete(f"X-Amz-Date must be YYYYMMDDTHHMMSSZ, not {date!r}.")
    if day != date[:8]:
        raise _wrong(f"Date in Credential scope, {day!r}, is not that of X-Amz-Date, {date!r}.")
    if signed_service != service:
        raise _wrong(f"Credential should be scoped to correct service: {service!r}.")
    if region is not None and signed_region != region:
        raise _wrong(
            f"Credential should be scoped to a valid region, {region!r}, not {signed_region!r}."
        )


def _check_clock(date: str, now: float) -> None:
    try:
        sent = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise _incomplete(f"X-Amz-Date, {date!r}, is not a valid time.") from None
    # Clients cut fractions of a second off, so it is compared by whole ones.
    now = int(now)
    skew = MAX_CLOCK_SKEW_SECONDS
    limit = _text(now - skew if sent < now else now + skew)
    if sent < now - skew:
        raise _wrong(
            f"Signature expired: {date} is now earlier than {limit} ({_text(now)} - 5 min.)"
        )
    if sent > now + skew:
        raise _wrong(
            f"Signature not yet current: {date} is still later than {limit} ({_text(now)} + 5 min.)"
        )


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%SZ")


def _same_token(key: Key, headers: Headers) -> bool:
    """Return whether the session token is the key's; a key without one takes none."""
    tokens = [value for name, value in headers if name == "x-amz-security-token"]
    given, wanted = "".join(tokens), key.token or ""
    same = hmac.compare_digest(given.encode("latin-1"), wanted.encode())
    return same and len(tokens) == (key.token is not None)


def _wrong(why: str) -> Refusal:
    return Refusal("InvalidSignatureException", why)


def _incomplete(why: str) -> Refusal:
    return Refusal("IncompleteSignatureException", why)


class ReplayGuard:
    """The signatures of the last ten minutes: a request that is sent again is refused.

    For one process; a proxy in front that sends one client to one process makes it complete.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, float] = {}
        """When each signature was used, the oldest first."""

    def check(self, signature: str, now: float | None = None) -> None:
        """Remember a signature. Raises Refusal if it was used before."""
        now = time.monotonic() if now is None else now
        # A signature may be dated up to the allowed skew from now, and is good as long after that.
        oldest = now - 2 * MAX_CLOCK_SKEW_SECONDS
        with self._lock:
            while self._used and next(iter(self._used.values())) < oldest:
                del self._used[next(iter(self._used))]
            if signature in self._used:
                raise _wrong("This signature was used before; sign each request anew.")
            self._used[signature] = now
