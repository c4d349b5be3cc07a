"""Bytes to a server and back, without any client."""

import socket

from tests.support.server import Running

SECONDS = 30.0


def exchange(server: Running, first: bytes, answers: int = 0, then: bytes = b"") -> bytes:
    """Send bytes, and others after so many answers; return all until the server closes."""
    with socket.create_connection((server.host, server.port), SECONDS) as connection:
        connection.sendall(first)
        received = b""
        while received.count(b"HTTP/1.1 ") < answers and (piece := received_piece(connection)):
            received += piece
        if then:
            connection.sendall(then)
        while piece := received_piece(connection):
            received += piece
        return received


def received_piece(connection: socket.socket) -> bytes:
    """Return what has arrived; nothing if the server has closed the connection."""
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""
