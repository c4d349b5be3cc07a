"""URLs of sources: those that name a camera, and URLs without their secrets."""

import re

from onlooker.config.schema import NEARLY_URL
from onlooker.config.schema import is_camera as is_camera
from onlooker.config.schema import is_device as is_device

SYNTHETIC_SCHEME = "test://"
_LOCAL_SCHEMES = ("test", "file")
_HOST = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(%\w+)?\])(:\d{1,5})?")


def redacted(url: str) -> str:
    """Return `url` with nothing but its scheme, host and port, for messages and logs.

    Passwords are in users' URLs everywhere: before the host, in the path, in the query, and with
    unescaped characters that make a part of them look like a host or a path. If the host is not
    certain, it is left out, too. Files are named in full.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "..." if NEARLY_URL.match(url) else url
    if scheme.lower() in _LOCAL_SCHEMES:
        return url
    address, path = _split(rest)
    host = address.rpartition("@")[2]
    if "@" in path or not _HOST.fullmatch(host):
        return f"{scheme}://..."
    return f"{scheme}://{host}{'/...' if path.strip('/') else ''}"


def may_be_unescaped(url: str) -> bool:
    """Return whether the password in `url` may have a character that ends the host."""
    _, separator, rest = url.partition("://")
    return bool(separator) and "@" in _split(rest)[1]


def _split(rest: str) -> tuple[str, str]:
    """Return the host with user and password, and what follows, of a URL without its scheme."""
    end = re.search(r"[/?#;\\]", rest)
    return (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
