"""The messages between a run's gateway and the machines that work for it.

Two kinds travel on one connection. Messages of this module have one part and concern the machine.
Messages of `onlooker.stream.messages` concern one worker and have its name in front; a job has the
size of its image behind it. The pixels follow in pieces, as they lie in the ring: the hub's machine
and the worker's have no memory in common. On a slow network each piece says that the other side is
there, and `Took` how much may be sent. Pixels are not compressed: deflating a 720p frame at the
lowest level takes 12 ms of a core and saves 0.8 MB, which a gigabit network carries in half that
time.

    machine -> gateway      Join  Ping  Took  Leave
    gateway -> machine      Welcome  Refused  JoinAgain  Ping  Settings
"""

import struct
from typing import TypeAlias, TypeVar

import msgspec
import numpy as np

from onlooker.config.schema import Config, SourceConfig
from onlooker.media.picture import Planes
from onlooker.stream.messages import MessageError
from onlooker.types import UNREADABLE

MAX_REQUEST_BYTES = 16 * 2**20
"""Largest part of a message to the gateway, which is a frame's results; a larger one
disconnects."""
MAX_ANSWER_BYTES = MAX_REQUEST_BYTES
"""Largest part of a message from the gateway, which is a frame's results so far."""
PIECE_BYTES = 2**18
"""Largest piece of an image: a network that carries one within the silence of a dead peer is alive.
With the default settings that is 90 KB a second."""
PIECE = b""
"""Name in front of a piece: no worker has it."""
MAX_NAME_BYTES = 64
"""Longest name of a machine or of a worker."""
HANDSHAKE_MS = 5000
"""Time that a peer may take to show its key."""
MAX_SIDE = 65536
"""Pixels of an image's longer side, as in a ring."""

_size = struct.Struct("<II")


class MachineMessage(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The base of the messages that concern a machine. Unlike others they have names for their
    fields: programs of two versions must understand each other's first words."""


class Join(MachineMessage, frozen=True):
    """Registers a machine."""

    version: str
    """Version of the program."""
    machine: str
    """Name of the machine, for people."""
    session: str
    """Unique to the process that joins."""


class Leave(MachineMessage, frozen=True):
    """The machine works no more."""


class Ping(MachineMessage, frozen=True):
    """Sent each heartbeat by the machine, and sent back: both know that the other is there."""


class Took(MachineMessage, frozen=True):
    """The next of the images that were sent has arrived whole."""


class StageSettings(msgspec.Struct, frozen=True):
    """A stage that other machines may work for."""

    name: str
    leases: int
    batch: int


class Welcome(MachineMessage, frozen=True):
    """The run that the machine is to work for."""

    run: str
    """Tells runs apart: each has settings of its streams of its own."""
    config: Config
    """The settings that affect results; nothing that is secret."""
    stages: tuple[StageSettings, ...]
    facts: dict[str, str]
    """See `onlooker.stream.equal_results`; they must be the same on the machine."""


class Refused(MachineMessage, frozen=True):
    """The machine cannot work for this run."""

    error: str


class JoinAgain(MachineMessage, frozen=True):
    """The gateway does not know the sender, or has given it up."""


class Settings(MachineMessage, frozen=True):
    """The settings of a feed, sent before its first frame."""

    feed: int
    stream: str
    source: SourceConfig
    """Without the URL, which may have a password."""


ToGateway: TypeAlias = Join | Leave | Ping | Took
FromGateway: TypeAlias = Welcome | Refused | JoinAgain | Ping | Settings
M = TypeVar("M")

_encoder = msgspec.msgpack.Encoder()
_to_gateway: msgspec.msgpack.Decoder[ToGateway] = msgspec.msgpack.Decoder(ToGateway)
_from_gateway: msgspec.msgpack.Decoder[FromGateway] = msgspec.msgpack.Decoder(FromGateway)


def pack(message: MachineMessage) -> bytes:
    """Return the part to send."""
    return _encoder.encode(message)


def unpack_to_gateway(part: bytes) -> ToGateway:
    """Return a message to the gateway. Raises MessageError."""
    return _unpack(part, _to_gateway)


def unpack_from_gateway(part: bytes) -> FromGateway:
    """Return a message from the gateway. Raises MessageError."""
    return _unpack(part, _from_gateway)


def pack_image(planes: Planes, piece: int = PIECE_BYTES) -> tuple[bytes, list[memoryview]]:
    """Return an image's size, and its pixels in pieces of `piece` bytes, copied."""
    parts = [plane.reshape(-1) for plane in map(np.ascontiguousarray, _planes(planes))]
    pixels = np.concatenate(parts).data
    pieces = [pixels[at : at + piece] for at in range(0, len(pixels), piece)]
    return _size.pack(planes.width, planes.height), pieces


class ArrivingImage:
    """An image of which pieces arrive. size: as `pack_image` packed it. Raises MessageError."""

    def __init__(self, size: bytes) -> None:
        if len(size) != _size.size:
            raise MessageError(f"an image's size has {_size.size} bytes, this one {len(size)}")
        self._width, self._height = _size.unpack(size)
        if not (0 < self._width <= MAX_SIDE and 0 < self._height <= MAX_SIDE):
            raise MessageError(f"an image cannot be {self._width} x {self._height} pixels")
        self._half = (self._height + 1) // 2, (self._width + 1) // 2
        luma, chroma = self._width * self._height, self._half[0] * self._half[1]
        self._ends = luma, luma + chroma
        self._pixels = np.empty(luma + 2 * chroma, np.uint8)
        self._arrived = 0

    @property
    def whole(self) -> bool:
        """Whether all pieces have arrived."""
        return self._arrived == self._pixels.size

    def add(self, piece: "bytes | memoryview") -> None:
        """Take the next piece. Raises MessageError if it has more than the image lacks."""
        end = self._arrived + len(piece)
        if not len(piece) or end > self._pixels.size:
            raise MessageError(f"a piece of {len(piece)} bytes at {self._arrived} of an image")
        self._pixels[self._arrived : end] = np.frombuffer(piece, np.uint8)
        self._arrived = end

    @property
    def planes(self) -> Planes:
        """The image, when it is whole."""
        y, u, v = np.split(self._pixels, self._ends)
        shape = self._height, self._width
        return Planes(y.reshape(shape), u.reshape(self._half), v.reshape(self._half))


def _planes(planes: Planes) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    return planes.y, planes.u, planes.v


def _unpack(part: bytes, decoder: msgspec.msgpack.Decoder[M]) -> M:
    try:
        return decoder.decode(part)
    except UNREADABLE as error:
        raise MessageError(f"not a message: {error}") from error
