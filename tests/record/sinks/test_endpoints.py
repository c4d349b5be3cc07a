"""Endpoints: what may be one, and that nothing but a dead socket of ours is removed for one."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from onlooker.record.sinks import endpoints
from onlooker.record.sinks.endpoints import Binding
from onlooker.record.sinks.publish_messages import PublishError


@pytest.fixture
def xpub() -> "Iterator[zmq.Socket[bytes]]":
    with zmq.Context() as context, context.socket(zmq.XPUB) as opened:
        opened.linger = 0
        yield opened


@pytest.mark.parametrize("port", ["22a", "0", "65536", "-1", "", " 80", "+80", "٣", "99999", "*"])
def test_a_port_that_is_none(port: str) -> None:
    with pytest.raises(PublishError, match="a port is 1 to 65535, not "):
        endpoints.check(f"tcp://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "endpoint",
    ["records", "http://x:1", "tcp://127.0.0.1", "tcp://:1", "tcp://::1:80", "tcp://[::1]", "ipc://",
     "ipc://*", "ipc://@hidden", "udp://1.2.3.4:5", "inproc://x", "tcp://[::g]:80", ""],
)  # fmt: skip
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(PublishError, match="write tcp://127"):
        endpoints.check(endpoint)


def test_a_path_that_is_too_long() -> None:
    with pytest.raises(PublishError, match="at most 107 bytes"):
        endpoints.check("ipc:///" + "x" * 107)


@pytest.mark.parametrize("endpoint", ["tcp://[::1]:*", "tcp://[::1]:5555", "tcp://localhost:5555"])
def test_loopback_needs_no_key(endpoint: str) -> None:
    endpoints.check_publishable(endpoint, encrypted=False)


def test_records_go_over_ipv6(xpub: "zmq.Socket[bytes]") -> None:
    try:
        Binding(xpub, "tcp://[::1]:*")
    except PublishError as error:
        pytest.skip(f"no IPv6 here: {error}")
    endpoint = xpub.get_string(zmq.LAST_ENDPOINT)
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        endpoints.prepare(subscriber, endpoint)
        subscriber.connect(endpoint)
        subscriber.subscribe(b"")
        assert xpub.poll(60_000)
        xpub.recv()
        xpub.send(b"record")
        assert subscriber.poll(60_000)
        assert subscriber.recv() == b"record"


def _folder(path: Path) -> None:
    path.mkdir()


def _file(path: Path) -> None:
    path.write_text("keep me")


def _link(path: Path) -> None:
    (path.parent / "kept").write_text("keep me")
    path.symlink_to("kept")


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _linked_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path.parent / "other"))
    path.symlink_to("other")


@pytest.mark.parametrize("make", [_folder, _file, _link, _dangling, _fifo, _linked_socket])
def test_nothing_that_is_there_is_removed(
    make: Callable[[Path], None], tmp_path: Path, xpub: "zmq.Socket[bytes]"
) -> None:
    path = tmp_path / "notes"
    make(path)
    before = path.lstat()
    with pytest.raises(PublishError, match=r"notes: is .*; "):
        Binding(xpub, f"ipc://{path}")
    assert path.lstat().st_ino == before.st_ino
    if path.is_file():
        assert path.read_text() == "keep me"


def test_a_live_socket_is_left_alone(tmp_path: Path, xpub: "zmq.Socket[bytes]") -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        path = tmp_path / f"{kind}"
        with socket.socket(socket.AF_UNIX, kind) as other:
            other.bind(str(path))
            if kind == socket.SOCK_STREAM:
                other.listen(1)
            with pytest.raises(PublishError, match="another publisher is there"):
                Binding(xpub, f"ipc://{path}")
        assert path.is_socket()


def test_a_dead_socket_is_replaced_and_ours_removed(
    tmp_path: Path, xpub: "zmq.Socket[bytes]"
) -> None:
    path = tmp_path / "records"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
    with Binding(xpub, f"ipc://{path}"):
        assert path.is_socket()
    assert not path.exists()


def test_a_file_that_took_the_place_of_ours_is_kept(
    tmp_path: Path, xpub: "zmq.Socket[bytes]"
) -> None:
    path = tmp_path / "records"
    with Binding(xpub, f"ipc://{path}"):
        path.unlink()
        path.write_text("keep me")
    xpub.close()
    assert path.read_text() == "keep me"


def test_a_free_endpoint_stays_free(tmp_path: Path) -> None:
    endpoints.check_free(f"ipc://{tmp_path}/records")
    endpoints.check_free(f"ipc://{tmp_path}/records")
    assert list(tmp_path.iterdir()) == []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        with pytest.raises(PublishError, match=r"cannot publish there: .*in use"):
            endpoints.check_free(f"tcp://127.0.0.1:{other.getsockname()[1]}")
