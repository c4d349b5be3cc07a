"""Attempts to sign in that failed, by the address that they came from, so that none can guess."""

import ipaddress
import time
from collections import OrderedDict

MAX_FAILURES, FAILURE_SECONDS = 20, 60.0
"""Failures in that time after which an address cannot sign in for a while."""
MAX_ADDRESSES = 10_000
"""Addresses that are remembered; then the one is forgotten that has not failed for longest."""
PREFIX_BITS = 64
"""Bits of an IPv6 address that count: one client has all the addresses that share them."""


class Attempts:
    """The failures of the last FAILURE_SECONDS, for one thread."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        """Their times by client, who failed last at the end."""

    def blocked(self, address: str) -> bool:
        """Return whether a client has failed too often to be asked again now."""
        return len(self._recent(_client(address))) >= MAX_FAILURES

    def failed(self, address: str) -> None:
        """Note a failure."""
        client = _client(address)
        self._failures[client] = [*self._recent(client), time.monotonic()]
        self._failures.move_to_end(client)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)

    def _recent(self, client: str) -> list[float]:
        since = time.monotonic() - FAILURE_SECONDS
        return [each for each in self._failures.get(client, ()) if each > since]


def _client(address: str) -> str:
    """Return what stands for a client: its IPv4 address, or the network of its IPv6 address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""  # a proxy does not know it: all such clients are one
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), PREFIX_BITS), strict=False))
