"""The console's connections: slow and too many ones keep nobody out; pages keep their sockets."""

import http.client
import select
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.console import Visitor, serving
from tests.support.processes import wait_until
from tests.support.sockets import received_piece
from websockets.sync.client import connect

from onlooker.api import connection_limits
from onlooker.console import guard

MAX_WAIT_SECONDS = 60.0


def opened(url: str, data: bytes, source: str = "127.0.0.1") -> socket.socket:
    """Return a connection over which these bytes were sent, from an address of this machine."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    connection = socket.create_connection((host, port), MAX_WAIT_SECONDS, (source, 0))
    with suppress(ConnectionError):  # the server may have ended it already
        connection.sendall(data)
    return connection


def ended(connections: list[socket.socket]) -> int:
    """Return how many of these the server has closed."""
    readable, _, _ = select.select(connections, [], [], 0)
    return sum(received_piece(each) == b"" for each in readable)


def test_slow_connections_end_and_a_pages_socket_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.5)
    with serving(tmp_path) as url:
        visitor = Visitor(url)
        visitor.get("/live")
        cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        head = f"POST /try/run HTTP/1.1\r\nHost: {visitor.host}\r\nCookie: {cookie}\r\n"
        head += f"X-CSRF-Token: {visitor.token}\r\nContent-Length: 1000\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\n\r\nimage="
        address = f"{url.replace('http', 'ws')}/socket"
        with connect(address, additional_headers={"Cookie": cookie}) as page:
            with opened(url, head.encode()) as slow:
                assert received_piece(slow).startswith(b"HTTP/1.1 408 ")
            # A pause of this test must not end the connections above.
            monkeypatch.setattr(connection_limits, "HEADER_SECONDS", 0.5)
            for silent in (b"", b"GET /live HTTP/1.1\r\nHost: "):
                with opened(url, silent) as slow:
                    assert received_piece(slow) == b""
            time.sleep(2 * connection_limits.HEADER_SECONDS)
            page.send('{"events": ["streams"]}')
            assert page.recv(MAX_WAIT_SECONDS) == '{"event":"streams"}'


def test_many_connections_of_one_address_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(connection_limits, "HEADER_SECONDS", 600.0)
    with serving(tmp_path) as url, ExitStack() as closing:
        idle = [closing.enter_context(socket.socket()) for _ in range(60)]
        for each in idle:
            each.setblocking(False)
            each.connect_ex((urlsplit(url).hostname, urlsplit(url).port))
        assert wait_until(lambda: ended(idle) >= 55, MAX_WAIT_SECONDS)
        assert Visitor(url).get("/live").status == 200


def test_many_sockets_of_one_address_keep_no_other_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 5)
    with ExitStack() as pages_close, serving(tmp_path) as url:
        visitor = Visitor(url)
        visitor.get("/live")
        cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        address = f"{url.replace('http', 'ws')}/socket"
        connects = [connect(address, additional_headers={"Cookie": cookie}) for _ in range(5)]
        pages = [pages_close.enter_context(each) for each in connects]
        asked = f"GET /live HTTP/1.1\r\nHost: {visitor.host}\r\n\r\n".encode()
        with opened(url, asked, "127.0.0.2") as other:
            assert received_piece(other).startswith(b"HTTP/1.1 200 ")
        assert wait_until(lambda: sum(page.state.name == "OPEN" for page in pages) < 5, 60)
        for page in pages:
            page.close()
    assert caplog.records == []


def test_another_protocol_is_declined(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=MAX_WAIT_SECONDS)
        for _ in range(2):
            connection.request("GET", "/live", headers={"Connection": "Upgrade", "Upgrade": "h2c"})
            answer = connection.getresponse()
            assert answer.status == 200
            assert b"Live" in answer.read()
        connection.close()
