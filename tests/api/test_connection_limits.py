"""Connections that are invalid, slow or too many."""

import socket
import time
from contextlib import suppress

import pytest
from tests.support.server import Running
from tests.support.sockets import exchange, received_piece

from onlooker.api.connection_limits import LimitedConnection


def connections(*hosts: str) -> list[LimitedConnection]:
    made = [LimitedConnection.__new__(LimitedConnection) for _ in hosts]
    for one, host in zip(made, hosts, strict=True):
        one.client = (host, 1)
    return made


def test_the_address_that_has_most_loses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    few, *many = connections("10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2")
    monkeypatch.setattr(
        LimitedConnection, "awaiting_headers", {few: None, many[1]: None, many[2]: None}
    )
    assert few._one_to_close({few, *many}) is many[1]
    # All of its requests are under way: even so it is not the other's turn.
    monkeypatch.setattr(LimitedConnection, "awaiting_headers", {few: None})
    assert few._one_to_close({few, *many}) in many


def test_invalid_http_is_refused(server: Running) -> None:
    assert exchange(server, b"\x16\x03\x01\x02\x00\x01\x00\x01").startswith(b"HTTP/1.1 400")
    assert exchange(server, b"GET\r\n\r\n").startswith(b"HTTP/1.1 400")
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
    assert exchange(server, head + b"-1\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert exchange(server, head + b"1\r\nContent-Length: 2\r\n\r\nab").startswith(b"HTTP/1.1 400")
    endless = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(100_000))
    assert exchange(server, endless) == b""
    short = exchange(server, head + b"2\r\nConnection: close\r\n\r\n{}GET / HTTP/1.1\r\n\r\n")
    assert short.count(b"HTTP/1.1 ") == 1


def test_slow_connections_are_aborted_and_delay_no_other(server: Running) -> None:
    began = time.monotonic()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: RekognitionService.ListCollections\r\n"
    silent = [socket.create_connection((server.host, server.port)) for _ in range(100)]
    headers = [socket.create_connection((server.host, server.port)) for _ in range(50)]
    bodies = [socket.create_connection((server.host, server.port)) for _ in range(50)]
    for one in headers:
        one.sendall(head)
    for one in bodies:
        one.sendall(head + b"Content-Length: 1000\r\n\r\n{")
    asked, connection = 0, server.connect()
    while time.monotonic() < began + 14:
        for number, one in enumerate((*headers, *bodies)):
            if number % 25 == asked % 25:
                _send(one, b"X" if one in headers else b" ")
        assert server.post("ListCollections", {}, connection).status == 200
        asked += 1
        time.sleep(0.1)
    connection.close()
    for one in (*silent, *headers):
        one.settimeout(60)
        assert received_piece(one) == b""
    for one in bodies:
        one.settimeout(60)
        answer = received_piece(one)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"RequestTimeoutException" in answer
    for one in (*silent, *headers, *bodies):
        one.close()


def _send(connection: socket.socket, data: bytes) -> None:
    with suppress(ConnectionError):
        connection.sendall(data)
