"""The messages between a publisher and its subscribers.

Each message of a publisher has three parts: a topic, a body, and the id of the log. A record's
topic is `stream/kind`, and its body one line of JSON. The kind tells what is in the record:

    stream/face        faces
    stream/face+text   faces and text
    stream/text        text
    stream/none        neither
    stream/failed      an error: the frame could not be analysed

Each event that a record holds follows it in a message of its own:

    stream/appearance  an event about a person's visit
    stream/reading     an event about a line of text

ZeroMQ filters by prefix, so `stream/face` also matches records with faces and text. Any SUB socket
can subscribe; topics that begin with a zero byte are for `onlooker.record.subscribe`. The pattern
is Clone, of the ZeroMQ guide: a subscriber that has missed records sends a Request over the same
connection, and the Answer has a topic to which no other has subscribed.
"""

from typing import Annotated, NamedTuple

import msgspec
import zmq
from msgspec import Meta

from onlooker.errors import OnlookerError
from onlooker.rekognition.shapes import RecordError, StreamRecord
from onlooker.types import UNREADABLE

KINDS = ("face", "face+text", "text", "none", "failed")

APPEARANCE, READING = "appearance", "reading"
"""Last parts of the topics of events."""

VERSION = 2
"""Number of the protocol, which changes if a subscriber of the one before would go wrong."""

AT = b"\0at"
"""Topic of the streams' newest Sequences, by which a subscriber notices that it missed some."""
END = b"\0end"
"""Topic of the same in the last message before the publisher closes."""
INBOX = b"\0to/"
"""Beginning of the topics of answers; the subscriber's own name follows."""
REQUEST = b"?"
"""First byte of a request: ZeroMQ takes messages that begin with 0 or 1 for subscriptions."""

LOG_ID_BYTES = 16

MAX_QUEUE_RECORDS = 1000
"""Records queued for one subscriber: some 5 MB of a busy video."""


class PublishError(OnlookerError):
    """An endpoint cannot be used; the text says why and what to do."""


MAX_SEQUENCE = 2**63 - 2
"""Largest Sequence; the number after it is the largest that SQLite can store."""
Sequence = Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Asks for the records of `stream` between two Sequences, as many as one message takes."""

    inbox: Annotated[bytes, Meta(max_length=64)]
    number: Sequence
    stream: Annotated[str, Meta(max_length=1000)]
    since: Sequence
    until: Annotated[int, Meta(ge=0, le=MAX_SEQUENCE + 1)]

    def pack(self) -> bytes:
        return REQUEST + msgspec.msgpack.encode(self)


class Newest(msgspec.Struct, frozen=True, array_like=True):
    """Says how far a log has got. Later versions may append elements."""

    version: int
    sequences: dict[str, Sequence]
    """The newest Sequence of each stream."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """Holds the records that the log has of those asked for. Later versions may append elements."""

    number: int
    """Number of the request."""
    bodies: list[bytes]


class Message(NamedTuple):
    """A message of a publisher."""

    topic: bytes
    body: bytes
    log: bytes
    """`onlooker.record.log.schema.id_of`: the Sequences of one log mean nothing in another. Each
    message has it, because ZeroMQ reconnects unseen to whoever publishes by then."""


_request = msgspec.msgpack.Decoder(Request)
_answer = msgspec.msgpack.Decoder(Answer)
_newest = msgspec.msgpack.Decoder(Newest)
_elements = msgspec.msgpack.Decoder(list[msgspec.Raw])
_version = msgspec.msgpack.Decoder(int)


def unpack(parts: list[bytes]) -> Message:
    """Return the message that a publisher sent in these parts. Raises RecordError."""
    if len(parts) != len(Message._fields) or len(parts[-1]) != LOG_ID_BYTES:
        raise RecordError(f"{parts[0]!r}: not a message of Onlooker's publisher of today")
    return Message(*parts)


def unpack_request(message: bytes) -> Request:
    """Return the request in a message that begins with REQUEST. Raises RecordError."""
    try:
        return _request.decode(message[len(REQUEST) :])
    except UNREADABLE as error:
        raise RecordError(f"not a request for records: {error}") from error


def unpack_answer(part: bytes) -> Answer:
    """Return the answer in the second part of a message. Raises RecordError."""
    try:
        return _answer.decode(part)
    except UNREADABLE as error:
        raise RecordError(f"not an answer of Onlooker's publisher: {error}") from error


def pack_newest(sequences: dict[str, int]) -> bytes:
    """Return the second part of an AT or END message."""
    return msgspec.msgpack.encode(Newest(VERSION, sequences))


def unpack_newest(part: bytes) -> Newest:
    """Return the second part of an AT or END message. Raises RecordError."""
    try:
        version = _version.decode(next(iter(_elements.decode(part)), b""))
        if version == VERSION:
            return _newest.decode(part)
    except UNREADABLE as error:
        raise RecordError(f"not a message of Onlooker's publisher: {error}") from error
    raise RecordError(
        f"not a message of Onlooker's publisher of today: it has version {version} of the "
        f"protocol, and this subscriber {VERSION}; install one release of Onlooker on both sides"
    )


def kind(record: StreamRecord) -> str:
    """Return what is in the record: one of KINDS."""
    if record.FrameInformation.Error is not None:
        return "failed"
    contents = {"face": record.FaceSearchResponse, "text": record.TextDetections}
    return "+".join(name for name, found in contents.items() if found) or "none"


def keep_alive(socket: "zmq.Socket[bytes]") -> None:
    """Have TCP notice a peer that has disappeared.

    ZeroMQ's own heartbeats cannot be used: libzmq 4.3 aborts (`_input_stopped`) if one arrives
    while a slow reader's queue is full.
    """
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = 2  # seconds
    socket.tcp_keepalive_cnt = 3
