"""Ports for servers that are told theirs, and that may be gone for a while."""

import random
import socket
from contextlib import suppress

MIN_PORT, MAX_PORT = 20_000, 32_767
"""Below the ports that systems give to clients' ends of connections, where one of those might take
the port before its server listens, or while it is away."""

_given: set[int] = set()


def free_port() -> int:
    """Return a TCP port of this machine at which nobody listens, another one each time."""
    chance = random.SystemRandom()
    while True:
        port = chance.randint(MIN_PORT, MAX_PORT)
        with suppress(OSError), socket.socket() as probe:
            if port not in _given:
                probe.bind(("127.0.0.1", port))
                _given.add(port)
                return port
