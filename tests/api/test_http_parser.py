"""Offers of another protocol: each request is parsed as if it had none."""

from itertools import pairwise
from typing import Any, cast

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.server import Running
from tests.support.sockets import exchange

from onlooker.api.http_parser import DecliningParser

Event = tuple[str, bytes]
OFFERS = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n",
    b"Upgrade: h2c, websocket\r\nConnection: keep-alive, upgrade\r\n",
    b"UPGRADE:\tTLS/1.0\r\nconnection: Upgrade\r\nConnection: close\r\n",
)


class Connection:
    """A connection that writes down what the parser calls it with.

    headers, url: as uvicorn's connection has them.
    """

    def __init__(self, declining: bool) -> None:
        self.events: list[Event] = []
        self.parser = DecliningParser(cast(Any, self)) if declining else None

    def _ignored(self) -> bool:
        return self.parser is not None and self.parser.should_upgrade()

    def _should_upgrade(self) -> bool:
        return False  # it has no WebSocket

    def on_message_begin(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if not self._ignored():
            kept = [header for header in self.headers if header[0] != b"upgrade"]
            self.events += [("url", self.url), *((name.decode(), value) for name, value in kept)]

    def on_body(self, body: bytes) -> None:
        if self.events[-1][0] == "body":
            body = self.events.pop()[1] + body
        self.events.append(("body", body))

    def on_message_complete(self) -> None:
        if not self._ignored():
            self.events.append(("end", b""))


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw the bytes of a request with an offer or without one, and the same without it."""
    body = draw(st.binary(max_size=40))
    head = b"POST /%d HTTP/1.1\r\nHost: a\r\n" % draw(st.integers(0, 9))
    offer = draw(st.sampled_from((b"", *OFFERS)))
    plain = b"".join(
        line + b"\r\n" for line in offer.split(b"\r\n")[:-1] if not line.lower().startswith(b"upg")
    )
    if draw(st.booleans()):
        sent = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    else:
        chunks = [body[at : at + 7] for at in range(0, len(body), 7)] + [b""]
        sent = b"Transfer-Encoding: chunked\r\n\r\n"
        sent += b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + offer + sent, head + plain + sent


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
def test_a_request_with_an_offer_is_parsed_as_one_without(
    drawn: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    offering, plain = (b"".join(each) for each in zip(*drawn, strict=True))
    cuts = data.draw(st.lists(st.integers(0, len(offering)), max_size=6))
    declining, ordinary = Connection(True), Connection(False)
    assert declining.parser is not None
    for start, end in pairwise([0, *sorted(cuts), len(offering)]):
        declining.parser.feed_data(offering[start:end])
    parser = httptools.HttpRequestParser(ordinary)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    parser.feed_data(plain)
    assert declining.events == ordinary.events
    assert ("end", b"") in declining.events


def test_thousands_of_offers_at_once_are_parsed() -> None:
    connection = Connection(True)
    assert connection.parser is not None
    connection.parser.feed_data((b"POST / HTTP/1.1\r\n" + OFFERS[1] + b"\r\n") * 3000)
    assert connection.events.count(("end", b"")) == 3000


def test_a_request_for_a_tunnel_is_an_error() -> None:
    connection = Connection(True)
    assert connection.parser is not None
    with pytest.raises(httptools.HttpParserError, match="CONNECT"):
        connection.parser.feed_data(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")


REQUEST = (
    b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: RekognitionService.ListCollections\r\n"
    b"Content-Length: 2\r\n"
)


@pytest.mark.parametrize("offer", OFFERS[:2])
def test_the_connection_is_used_on_after_an_offer(server: Running, offer: bytes) -> None:
    """The second request comes with the first, the third after the answers."""
    with_offer, last = REQUEST + offer + b"\r\n{}", REQUEST + b"Connection: close\r\n\r\n{}"
    response = exchange(server, with_offer * 2, 2, last)
    assert response.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert response.count(b'{"CollectionIds":[') == 3
    assert b"101 Switching" not in response
