"""Records to whoever listens: ZeroMQ XPUB out, and what was missed on request.

The publisher follows the log. A message has two parts: the topic `stream/kind`, and the record as
one line of JSON. The kind says what the record has:

    stream/face        faces
    stream/face+text   faces and text
    stream/text        text
    stream/none        neither
    stream/failed      a frame that could not be looked at

ZeroMQ filters by prefix, so `stream/face` also gets what has faces and text. Any SUB socket can
listen; topics that begin with a zero byte are for Onlooker's own subscribers (`subscribe`).

A subscriber that cannot keep up holds nobody back: records that its queue has no room for pass it
by, and show there as gaps in `Sequence`. Ours then asks for them, over the same connection: a
request is a message from subscriber to publisher, the answer a message with a topic that only who
asked has subscribed to. Pattern: Clone, of the ZeroMQ guide.
"""

import ipaddress
import logging
import re
import time
from collections.abc import Collection
from socket import AF_UNIX
from socket import socket as UnixSocket
from typing import Annotated, Self

import msgspec
import zmq
from msgspec import Meta
from zmq.auth.thread import ThreadAuthenticator

from onlooker.errors import OnlookerError
from onlooker.record.curve_keys import KeyPair
from onlooker.record.log.reader import Entry, Log, LogError
from onlooker.rekognition.shapes import RecordError, StreamRecord, decode

KINDS = ("face", "face+text", "text", "none", "failed")

QUEUE = 1000
"""Records that wait for one subscriber: some 5 MB in a busy video."""
LINGER = 2.0
"""Seconds that closing waits for subscribers to take what is queued for them."""
QUIET = 0.3
"""Seconds without a request after which closing takes subscribers to have all they want."""
TELL_EVERY = 1.0
"""Seconds between messages that say how far the streams are."""
BATCH = 100
"""Records that are published, or sent on one request, before anything else is looked after."""
LARGEST = 4096
"""Bytes of a subscriber's message; one that sends more is cut off."""

AT = b"\0at"
"""Topic of how far the streams are: a subscriber sees that it missed the last ones."""
END = b"\0end"
"""Topic of the last message, which says the same: nothing more comes."""
INBOX = b"\0to/"
"""What topics of answers begin with; the subscriber's own name follows."""

logger = logging.getLogger(__name__)


class PublishError(OnlookerError):
    """An endpoint cannot be used; the text says why and what to do."""


Sequence = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""As far as SQLite counts."""


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Send me the records of `stream` between those two, as many as go into one message."""

    inbox: Annotated[bytes, Meta(max_length=64)]
    number: Sequence
    stream: Annotated[str, Meta(max_length=1000)]
    since: Sequence
    until: Sequence

    def pack(self) -> bytes:
        # ZeroMQ takes messages that begin with 0 or 1 for subscriptions.
        return b"?" + msgspec.msgpack.encode(self)


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What the log has of it."""

    number: int
    """The request's."""
    bodies: list[bytes]


_request = msgspec.msgpack.Decoder(Request)


def kind(record: StreamRecord) -> str:
    """What the record has: one of KINDS."""
    if record.FrameInformation.Error is not None:
        return "failed"
    has = {"face": record.FaceSearchResponse, "text": record.TextDetections}
    return "+".join(name for name, found in has.items() if found) or "none"


class Publisher:
    """Publishes what comes into `records` behind `position`, at `endpoint`.

    `endpoint` is `ipc://PATH` or `tcp://ADDRESS:PORT`; with `keys`, only who has the secret of one
    of the public keys in `clients` is let in, and nobody else can read along. Raises PublishError
    for an endpoint that cannot be bound, and for one that others can reach without keys.

    Call `pump` again and again.
    """

    def __init__(
        self,
        records: Log,
        endpoint: str,
        position: int | None = None,
        keys: KeyPair | None = None,
        clients: Collection[str] = (),
    ) -> None:
        check_private(endpoint, keys is not None)
        _check_free(endpoint)
        self._log = records
        self.position = records.position if position is None else position
        self._sequences = records.sequences_at(self.position)
        self._told = 0.0
        self._asked = 0.0
        self._over = False
        self._context = zmq.Context()
        self._guard = _guard(self._context, clients) if keys else None
        self._socket = self._context.socket(zmq.XPUB)
        keep_alive(self._socket)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # each newcomer is told how far we are
        self._socket.sndhwm = QUEUE
        self._socket.maxmsgsize = LARGEST
        self._socket.linger = round(LINGER * 1000)
        if keys:
            self._socket.curve_server = 1
            self._socket.curve_secretkey = keys.secret.encode()
            self._socket.zap_domain = b"onlooker"
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._end()
            raise PublishError(
                f"{endpoint}: cannot publish there: {error}; write tcp://HOST:PORT, with a "
                "port that nobody uses"
            ) from error
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT)
        """With the port that `tcp://127.0.0.1:*` was given."""

    def pump(self, wait: float = 0.0) -> int:
        """Answer requests, for `wait` seconds if there are none, then publish some new records.

        Returns how many were dealt with. A record that is damaged is passed over: subscribers see a
        gap. Raises LogError where the log cannot be read.
        """
        self._listen(wait)
        entries = self._log.after(self.position, BATCH)
        for entry in entries:
            self.position = entry.position
            self._sequences[entry.stream] = entry.sequence
            try:
                topic = f"{entry.stream}/{kind(_whole(entry))}".encode()
            except RecordError as error:
                logger.error("record not published position=%d error=%s", entry.position, error)
                continue
            self._socket.send_multipart([topic, entry.body])
        if time.monotonic() - self._told > TELL_EVERY:
            self._tell(AT)
        return len(entries)

    def wait_for_subscriber(self, seconds: float) -> bool:
        """Wait until somebody subscribes; False if nobody does in that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._listen(left):
                return True
        return False

    def close(self) -> None:
        """Publish the rest, say that it was all, answer who still asks, and close."""
        if self._socket.closed:
            return
        try:
            while self.pump():
                pass
            self._over = True
            self._tell(END)
            # Who comes by now, or has fallen behind, may ask for a little while.
            end = self._asked = time.monotonic()
            while (now := time.monotonic()) < min(end + LINGER, self._asked + QUIET):
                self._listen(min(end + LINGER, self._asked + QUIET) - now)
        except LogError as error:
            logger.error("the last records were not published: %s", error)
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self) -> None:
        self._socket.close()
        if self._guard is not None:
            self._guard.stop()
        self._context.term()

    def _tell(self, topic: bytes) -> None:
        self._told = time.monotonic()
        self._socket.send_multipart([topic, msgspec.msgpack.encode(self._sequences)])

    def _listen(self, wait: float) -> bool:
        """Wait for messages from subscribers and take those there are; whether somebody came."""
        came = False
        self._socket.poll(round(max(0.0, wait) * 1000))
        for _ in range(BATCH):
            try:
                message = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if message.startswith(b"\x01"):
                came = True
                if message[1:] == AT:
                    self._tell(END if self._over else AT)
            elif message.startswith(b"?"):
                self._answer(message[1:])
        return came

    def _answer(self, message: bytes) -> None:
        try:
            request = _request.decode(message)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            logger.warning("request dropped error=%s", error)
            return
        self._asked = time.monotonic()
        found = self._log.missed(request.stream, request.since, request.until, BATCH)
        answer = Answer(request.number, [entry.body for entry in found if entry.intact])
        self._socket.send_multipart([INBOX + request.inbox, msgspec.msgpack.encode(answer)])


def _whole(entry: Entry) -> StreamRecord:
    if not entry.intact:
        raise RecordError("it is not what was written; `onlooker log check` says more")
    return decode(entry.body)


def _guard(
    context: "zmq.Context[zmq.Socket[bytes]]", clients: Collection[str]
) -> ThreadAuthenticator:
    """A thread that lets in who has one of the keys."""

    class Known:
        def callback(self, domain: str, key: bytes) -> bool:
            if key.decode() in clients:
                return True
            logger.warning("subscriber refused: its key is none of [publish] clients")
            return False

    guard = ThreadAuthenticator(context)
    guard.start()
    guard.configure_curve_callback("onlooker", Known())
    return guard


def keep_alive(socket: "zmq.Socket[bytes]") -> None:
    """Notice a peer that is gone without a word.

    Not by ZeroMQ's own heartbeats: libzmq 4.3 aborts (`_input_stopped`) where one comes while a
    slow reader's queue is full.
    """
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = 2
    socket.tcp_keepalive_cnt = 3


def check_private(endpoint: str, encrypted: bool) -> None:
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
    if not private and not encrypted:
        raise PublishError(
            f"{endpoint}: whoever reaches this machine could read who was seen; publish at "
            "tcp://127.0.0.1:PORT, or set `[publish] key` and `clients` (`onlooker keys generate`)"
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
