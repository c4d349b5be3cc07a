"""Sockets that the processes of the server share."""

import socket

from onlooker.errors import OnlookerError

BACKLOG = 1024
"""Connections that wait to be accepted by a process."""


class ServeError(OnlookerError):
    """The server cannot continue; the text says why."""


def bound(address: tuple[str, int]) -> socket.socket:
    """Return a socket at an address that the server's processes share. Raises OSError."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # asyncio sends small packets at once only if it is told that this is TCP.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one


def listening(address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens on an address. Raises OSError."""
    one = bound(address)
    one.listen(BACKLOG)
    return one


def reserved(address: tuple[str, int], advice: str) -> socket.socket:
    """Return a socket that keeps the port while processes come and go. Raises ServeError."""
    try:
        # Another server would share the port with ours, silently, if it wants to share it too.
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
        return bound(address)
    except OSError as error:
        raise ServeError(
            f"cannot listen on {address[0]} port {address[1]}: {error.strerror}; stop what uses "
            f"it, or name another {advice}"
        ) from error
