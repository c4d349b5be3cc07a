"""HTTP/2 connections whose client has announced their end."""

import h2.config
import h2.connection
import h2.events
import pytest
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from onlooker.api.http2 import PatientConnection

HEADERS = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "a")]


def pair(server: h2.connection.H2Connection) -> h2.connection.H2Connection:
    """Return a client that is connected to a server."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    server.initiate_connection()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    return client


def goodbye(error: int = 0) -> bytes:
    frame = GoAwayFrame(0)
    frame.error_code = error
    return frame.serialize()


def server_of(kind: type[h2.connection.H2Connection]) -> h2.connection.H2Connection:
    return kind(h2.config.H2Configuration(client_side=False))


def test_an_answer_on_its_way_still_comes() -> None:
    server = server_of(PatientConnection)
    client = pair(server)
    client.send_headers(1, HEADERS, end_stream=True)
    server.receive_data(client.data_to_send())
    assert server.receive_data(goodbye()) == []
    server.send_headers(1, [(":status", "200")])
    server.send_data(1, b"x" * 100)
    # Larger than the client's window: the rest waits for the client's word.
    client.receive_data(server.data_to_send())
    client.increment_flow_control_window(1000, 1)
    server.receive_data(client.data_to_send())
    server.send_data(1, b"y" * 100)
    server.end_stream(1)
    events = client.receive_data(server.data_to_send())
    kinds = [type(event) for event in events]
    assert h2.events.DataReceived in kinds
    assert h2.events.StreamEnded in kinds
    assert kinds[-1] is h2.events.ConnectionTerminated, "so that the client closes it"
    # What the client has sent meanwhile is no error.
    server.receive_data(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x80\x00")


def test_the_library_alone_would_cut_it_off() -> None:
    server = server_of(h2.connection.H2Connection)
    client = pair(server)
    client.send_headers(1, HEADERS, end_stream=True)
    server.receive_data(client.data_to_send())
    server.receive_data(goodbye())
    with pytest.raises(ProtocolError):
        server.send_headers(1, [(":status", "200")])


@pytest.mark.parametrize("error", [0, ErrorCodes.PROTOCOL_ERROR])
def test_an_idle_connection_ends(error: int) -> None:
    server = server_of(PatientConnection)
    pair(server)
    [event] = server.receive_data(goodbye(error))
    assert isinstance(event, h2.events.ConnectionTerminated)


def test_an_error_ends_it_with_its_answers() -> None:
    server = server_of(PatientConnection)
    client = pair(server)
    client.send_headers(1, HEADERS, end_stream=True)
    server.receive_data(client.data_to_send())
    [event] = server.receive_data(goodbye(ErrorCodes.INTERNAL_ERROR))
    assert isinstance(event, h2.events.ConnectionTerminated)
