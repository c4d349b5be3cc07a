"""Endpoints that records are published on: what may be one, and a Unix socket of our own.

ZeroMQ takes a path for a new socket by removing whatever is there, and the port 22a for 22. So an
endpoint is checked here first, and the socket of `ipc://` is made here.
"""

import ipaddress
import os
import re
import stat
from pathlib import Path
from socket import AF_UNIX
from socket import socket as Socket
from typing import Self

import zmq

from onlooker import durable_file
from onlooker.durable_file import Occupied
from onlooker.errors import printable
from onlooker.record.sinks.publish_messages import PublishError

BACKLOG = 100
"""Connections of an `ipc://` endpoint that may wait to be accepted, as many as ZeroMQ's own."""
FORMS = "write tcp://127.0.0.1:5555, tcp://[::1]:5555 or ipc://PATH"


def check(endpoint: str, *, any_port: bool = False) -> None:
    """Raise PublishError unless `endpoint` is tcp://HOST:PORT or ipc://PATH.

    any_port: whether the port may be `*`, a free one that the system chooses.
    """
    if printable(endpoint) != endpoint:
        raise PublishError(f"{endpoint}: not UTF-8; name another endpoint")
    if (path := path_of(endpoint)) is not None:
        if endpoint in ("ipc://", "ipc://*") or endpoint.startswith("ipc://@"):
            raise PublishError(f"{endpoint}: names no file; {FORMS}")
        if len(os.fsencode(path)) > zmq.IPC_PATH_MAX_LEN:
            raise PublishError(
                f"{endpoint}: the path of a socket has at most {zmq.IPC_PATH_MAX_LEN} bytes; name "
                "a shorter one"
            )
        return
    if not (found := re.fullmatch(r"tcp://(\[[^\]]+\]|[^:\[\]\s]+):(.*)", endpoint)):
        raise PublishError(f"{endpoint}: not an endpoint; {FORMS}")
    host, port = found.groups()
    if port == "*" and any_port:
        return
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise PublishError(f"{endpoint}: a port is 1 to 65535, not {port}")
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError as error:
            raise PublishError(f"{endpoint}: {error}; {FORMS}") from error


def check_publishable(endpoint: str, encrypted: bool) -> None:
    """Raise PublishError if records cannot be published at `endpoint`, whoever uses it now.

    So if something else than a socket has the path, or if records would leave this machine without
    encryption.
    """
    check(endpoint, any_port=True)
    if (path := path_of(endpoint)) is not None:
        if not path.parent.is_dir():
            raise PublishError(f"{endpoint}: there is no folder {path.parent}")
        try:
            if not path.is_socket():
                durable_file.claim(path)
        except Occupied as error:
            raise PublishError(str(error)) from error
        return
    host = endpoint.removeprefix("tcp://").rpartition(":")[0]
    try:
        private = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, an interface, or * for all of them
        private = False
    if not private and not encrypted:
        raise PublishError(
            f"{endpoint}: everybody who reaches this machine could read the records; publish at "
            "tcp://127.0.0.1:PORT, or set `[publish] key` and `clients` (`onlooker keys generate`)"
        )


def check_free(endpoint: str) -> None:
    """Raise PublishError unless a publisher can be bound to the endpoint now."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        Binding(socket, endpoint).close()


def prepare(socket: "zmq.Socket[bytes]", endpoint: str) -> None:
    """Have a socket use IPv6 if the endpoint does."""
    socket.ipv6 = endpoint.startswith("tcp://[")


def path_of(endpoint: str) -> Path | None:
    """Return the path of an `ipc://` endpoint; None for others."""
    return Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None


class Binding:
    """A ZeroMQ socket that is bound to an endpoint. Raises PublishError if it cannot be.

    The file of an `ipc://` endpoint is new, or takes the place of a socket that a killed publisher
    of this user left; `close` removes it.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", endpoint: str) -> None:
        check(endpoint, any_port=True)
        self._path = path_of(endpoint)
        self._file: os.stat_result | None = None
        prepare(socket, endpoint)
        try:
            if self._path is not None:
                with _listening(endpoint, self._path) as own:
                    self._file = self._path.lstat()
                    socket.setsockopt(zmq.USE_FD, os.dup(own.fileno()))
            socket.bind(endpoint)
        except Occupied as error:
            raise PublishError(str(error)) from error
        except (OSError, zmq.ZMQError) as error:
            self.close()
            raise PublishError(
                f"{endpoint}: cannot publish there: {error.strerror}; {FORMS}, "
                "that no other program uses"
            ) from error

    def close(self) -> None:
        """Remove the file of an `ipc://` endpoint, unless another publisher has replaced it."""
        if self._path is not None and self._file is not None and _is_at(self._path, self._file):
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _listening(endpoint: str, path: Path) -> Socket:
    """Return a new listening Unix socket at `path`. Raises PublishError, OSError."""
    _remove_left(endpoint, path)
    made = Socket(AF_UNIX)
    try:
        made.bind(os.fsencode(path))  # fails if anything is there
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _remove_left(endpoint: str, path: Path) -> None:
    """Remove a socket that a killed publisher left. Raises PublishError if it is in use."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        durable_file.claim(path)
    with Socket(AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fsencode(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except OSError:  # busy, or of another kind
            pass
    raise PublishError(f"{endpoint}: another publisher is there; name another endpoint")


def _is_at(path: Path, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), file)
    except OSError:
        return False
