"""URLs of sources: those that name a camera, and URLs without their secrets."""

from onlooker.config.schema import CAMERA_SCHEMES

SYNTHETIC_SCHEME = "test://"


def is_camera(url: str) -> bool:
    """Return whether `url` names a stream that does not end by itself."""
    scheme, separator, _ = url.partition("://")
    return (bool(separator) and scheme.lower() in CAMERA_SCHEMES) or is_device(url)


def is_device(url: str) -> bool:
    """Return whether `url` names a device file; /dev/shm alone has ordinary files."""
    return url.startswith("/dev/") and not url.startswith("/dev/shm/")


def redacted(url: str) -> str:
    """Return `url` without user, password, query and fragment, for messages and logs."""
    scheme, separator, rest = url.partition("://")
    if not separator or url.startswith(SYNTHETIC_SCHEME):
        return url
    address, question, _ = rest.partition("#")[0].partition("?")
    host, slash, path = address.partition("/")
    host = host.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path}{'?...' if question else ''}"
