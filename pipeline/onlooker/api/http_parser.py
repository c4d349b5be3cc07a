"""A parser of HTTP/1.1 that declines offers of another protocol but WebSocket.

Java's HttpClient, `curl --http2` and others send `Upgrade: h2c` with their first request. A server
may ignore that and answer by HTTP/1.1 (RFC 9110, section 7.8), but httptools stops at the end of
such a head: the body would be lost, and everything after it on the connection.
"""

from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class DecliningParser:
    """httptools' parser for a connection, of which it has what uvicorn uses.

    A head with an offer is parsed twice, the second time without it. In the first pass
    `should_upgrade` is true, and the connection must ignore what it is called with.
    """

    def __init__(self, connection: "HttpToolsProtocol") -> None:
        self._connection = connection
        self._parser = self._new()

    def feed_data(self, data: bytes) -> None:
        """Parse what has arrived. Raises HttpParserError if it is no HTTP/1.1."""
        rest = memoryview(data)
        while True:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                if self._connection._should_upgrade():
                    raise  # uvicorn makes it a WebSocket
                rest = rest[offer.args[0] :]
                head = self._head_without_offer()
                self._parser = self._new()
                self._parser.feed_data(head)
            else:
                return

    def get_http_version(self) -> str:
        return self._parser.get_http_version()

    def get_method(self) -> bytes:
        return self._parser.get_method()

    def should_keep_alive(self) -> bool:
        return self._parser.should_keep_alive()

    def should_upgrade(self) -> bool:
        """Return whether the head that is being parsed has an offer."""
        return self._parser.should_upgrade()

    def _new(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self._connection)
        # As uvicorn's own: the first of several requests is answered although the others come
        # after `Connection: close`.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _head_without_offer(self) -> bytes:
        """Return the head that was parsed, without `Upgrade`. Raises HttpParserError."""
        method, version = self.get_method(), self.get_http_version().encode()
        if method == b"CONNECT":  # to it, what follows is always another protocol
            raise httptools.HttpParserError("CONNECT is for proxies")
        lines = [method + b" " + self._connection.url + b" HTTP/" + version]
        lines += [
            name + b": " + value for name, value in self._connection.headers if name != b"upgrade"
        ]
        return b"\r\n".join([*lines, b"", b""])
