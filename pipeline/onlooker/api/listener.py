"""What the parent and the processes of the server agree on."""

import socket
from pathlib import Path

import msgspec

from onlooker.config.schema import Config
from onlooker.errors import OnlookerError

BACKLOG = 1024
"""Connections that the system accepts before the process does."""


class ServeError(OnlookerError):
    """The server cannot go on; the text says why."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told."""

    settings: Config
    store: Path
    address: tuple[str, int]
    """Where to listen, which the parent has seen to be free."""
    threads: int


def bound(address: tuple[str, int]) -> socket.socket:
    """A socket at an address that other processes of ours share; OSError where it is taken."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # asyncio sends small packets at once only where it is told that this is TCP.
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
    one = bound(address)
    one.listen(BACKLOG)
    return one
