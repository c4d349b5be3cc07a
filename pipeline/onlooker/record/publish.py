"""Records to whoever listens: ZeroMQ PUB out, SUB in.

A message has two parts: the topic `stream/kind`, and the record as one line of JSON. Each record
is sent once, so that who subscribes to everything receives what the JSON-lines file holds, in
the same order. The kind says what the record has:

    stream/face        faces
    stream/face+text   faces and text
    stream/text        text
    stream/none        neither
    stream/failed      a frame that could not be looked at

ZeroMQ filters by prefix, so `stream/face` also gets what has faces and text.

A subscriber that cannot keep up holds the publisher back for a little while. Then records that
it has no room for pass it by: they are counted here, show as gaps in `Sequence` there, and are
in the JSON-lines file.
"""

import ipaddress
import logging
import re
import time
from collections.abc import Iterator, Sequence
from math import ceil, inf
from socket import AF_UNIX
from socket import socket as UnixSocket
from typing import Self

import zmq

from onlooker.record.shapes import RecordError, StreamRecord, decode, encode

KINDS = ("face", "face+text", "text", "none", "failed")

QUEUE = 10_000
"""Records that wait for one subscriber: some 50 MB in a busy film."""
LINGER = 2.0
"""Seconds that closing waits for subscribers to take what is queued for them."""
SILENCE = 5.0
"""Seconds without a sign of life after which either side takes the other for gone."""

END = b"\0end"
"""Topic of the last message: nothing more comes. No stream has such a name."""
RECENT = 1024
"""Records that a subscriber knows again: after a recorder was killed, some may come twice."""

log = logging.getLogger(__name__)


class PublishError(Exception):
    """An endpoint cannot be used; the text says why and what to do."""


def kind(record: StreamRecord) -> str:
    """What the record has: one of KINDS."""
    if record.FrameInformation.Error is not None:
        return "failed"
    has = {"face": record.FaceSearchResponse, "text": record.TextDetections}
    return "+".join(name for name, found in has.items() if found) or "none"


class Publisher:
    """Binds `endpoint`, `ipc://PATH` or `tcp://127.0.0.1:PORT`, and sends records to subscribers.

    `patience`: seconds that a subscriber whose queue is full may hold the sender back, once each
    time that it falls behind. Raises PublishError for an endpoint that cannot be bound.
    """

    def __init__(self, endpoint: str, patience: float = 5.0) -> None:
        _check_private(endpoint)
        _check_free(endpoint)
        self._patience = patience
        self._behind = False
        self.missed = 0
        """Records that some subscriber had no room for."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)  # PUB that hears who subscribes
        _keep_alive(self._socket)
        self._socket.sndhwm = QUEUE
        self._socket.linger = round(LINGER * 1000)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise PublishError(f"{endpoint}: cannot publish there: {error}") from error
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT)
        """With the port that `tcp://127.0.0.1:*` was given."""

    def publish(self, record: StreamRecord) -> None:
        """Send one record to those who subscribed to its topic."""
        topic = f"{record.stream}/{kind(record)}".encode()
        message = [topic, encode(record)]
        while self._socket.poll(0):
            self._socket.recv()  # who came and who went; unread, they would pile up
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket.sndtimeo = 0 if self._behind else round(self._patience * 1000)
        try:
            self._socket.send_multipart(message)
            self._behind = False
        except zmq.Again:
            if not self._behind:
                log.warning("a subscriber of %s has fallen behind", self.endpoint)
            self._behind = True
            self.missed += 1
            self._socket.setsockopt(zmq.XPUB_NODROP, 0)  # to all others
            self._socket.send_multipart(message)

    def wait_for_subscriber(self, seconds: float) -> bool:
        """Wait until somebody subscribes; False if nobody does in that time.

        What is published before that goes to nobody.
        """
        end = time.monotonic() + seconds
        while self._socket.poll(_milliseconds_until(end)):
            if self._socket.recv().startswith(b"\x01"):
                return True
        return False

    def close(self) -> None:
        """Say that it was all, let subscribers take it for two seconds at most, and close."""
        if self._socket.closed:
            return
        if self.missed:
            log.warning(
                "%d records passed by a subscriber of %s; the file has them",
                self.missed,
                self.endpoint,
            )
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket.sndtimeo = 0 if self._behind else round(LINGER * 1000)
        try:
            self._socket.send_multipart([END, b""])
        except zmq.Again:
            self._socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._socket.send_multipart([END, b""])
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def subscribe(
    endpoint: str,
    streams: Sequence[str] = (),
    kinds: Sequence[str] = (),
    timeout: float | None = None,
) -> Iterator[StreamRecord]:
    """The records that are published at `endpoint` from now on, until their publisher closes.

    `streams` and `kinds` narrow them; the kinds `face` and `text` include `face+text`. Waits for a
    publisher that is not there, be it that it never was or that it was killed: another one may
    take over, and what both send comes once. Raises TimeoutError after `timeout` seconds without
    a record, PublishError for an endpoint that is none, ValueError for an unknown kind, and
    RecordError for a message that is not a record.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"kind {unknown[0]!r} is none of {', '.join(KINDS)}")
    wanted = {known for known in KINDS if {known, *known.split("+")} & set(kinds)} or set(KINDS)
    prefixes = [f"{stream}/{one}" for stream in streams for one in sorted(wanted)] or [""]
    context = zmq.Context()
    try:
        socket = context.socket(zmq.SUB)
        _keep_alive(socket)
        socket.rcvhwm = QUEUE
        socket.linger = 0
        socket.reconnect_ivl = 20  # ms
        for prefix in [*prefixes, END.decode()]:
            socket.subscribe(prefix)
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        context.destroy(linger=0)
        raise PublishError(f"{endpoint}: cannot subscribe there: {error}") from error
    return _records(context, socket, set(streams), wanted, timeout)


def _records(
    context: zmq.Context[zmq.Socket[bytes]],
    socket: zmq.Socket[bytes],
    streams: set[str],
    kinds: set[str],
    timeout: float | None,
) -> Iterator[StreamRecord]:
    recent: dict[str, None] = {}
    heard = False
    deadline = _after(timeout)
    try:
        while True:
            if not socket.poll(_milliseconds_until(deadline)):
                where = socket.get_string(zmq.LAST_ENDPOINT)
                what = "no further record" if heard else "no record"
                raise TimeoutError(f"{where}: {what} in {timeout:g} s")
            topic, *parts = socket.recv_multipart()
            if topic == END:
                return
            stream, _, what = topic.decode(errors="replace").rpartition("/")
            if what not in KINDS or len(parts) != 1:
                raise RecordError(f"{topic!r}: not a message of Onlooker's")
            # Prefixes let more through: "a/face" is also a prefix of stream "a/face"'s topics.
            if what not in kinds or (streams and stream not in streams):
                continue
            record = decode(parts[0])
            if record.RecordId in recent:
                continue
            recent[record.RecordId] = None
            if len(recent) > RECENT:
                del recent[next(iter(recent))]
            heard = True
            yield record
            deadline = _after(timeout)
    finally:
        context.destroy(linger=0)


def _after(seconds: float | None) -> float:
    return inf if seconds is None else time.monotonic() + seconds


def _milliseconds_until(deadline: float) -> int | None:
    return None if deadline == inf else max(0, ceil((deadline - time.monotonic()) * 1000))


def _keep_alive(socket: zmq.Socket[bytes]) -> None:
    socket.tcp_keepalive = 1
    socket.heartbeat_ivl = 1000
    socket.heartbeat_timeout = round(SILENCE * 1000)


def _check_private(endpoint: str) -> None:
    """Records say who was where: unencrypted, they stay on this machine."""
    found = re.fullmatch(r"tcp://(.*):(.*)", endpoint)
    if not found:
        return
    host, port = found.groups()
    # ZeroMQ takes 99999 for 34463.
    if port.isdigit() and not 1 <= int(port) <= 65535:
        raise PublishError(f"{endpoint}: a port is 1 to 65535, not {port}")
    try:
        private = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, an interface, or * for all of them
        private = False
    if not private:
        raise PublishError(
            f"{endpoint}: whoever reaches this machine could read who was seen; publish at "
            "tcp://127.0.0.1:PORT and let others in through a tunnel (ssh -L PORT:127.0.0.1:PORT)"
        )


def _check_free(endpoint: str) -> None:
    """ZeroMQ takes an ipc path over from a publisher that still uses it, without a word."""
    if not endpoint.startswith("ipc://"):
        return
    with UnixSocket(AF_UNIX) as probe:
        try:
            probe.connect(endpoint.removeprefix("ipc://"))
        except OSError:
            return  # nobody answers there; what else may be wrong, bind says
    raise PublishError(f"{endpoint}: another publisher is there; name another endpoint")
