"""The messages between a run's gateway and the machines that work for it.

Two kinds travel on one connection. Messages of this module have one part and concern the machine.
Messages of `onlooker.stream.messages` concern one worker and have its name in front; a job has the
pixels behind it, as they lie in the ring: the hub's machine and the worker's have no memory in
common. Pixels are not compressed: deflating a 720p frame at the lowest level takes 12 ms of a
core and saves 0.8 MB, which a gigabit network carries in half that time.

    machine -> gateway      Join  Ping  Leave
    gateway -> machine      Welcome  Refused  JoinAgain  Ping  Settings
"""

import struct
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import msgspec
import numpy as np

from onlooker.config.schema import Config, SourceConfig
from onlooker.media.picture import Planes
from onlooker.stream.messages import UNREADABLE, MessageError

MAX_REQUEST_BYTES = 16 * 2**20
"""Largest part of a message to the gateway, which is a frame's results; a larger one
disconnects."""
MAX_ANSWER_BYTES = 2**28
"""Largest part of a message from the gateway, which is an image's pixels."""
MAX_NAME_BYTES = 64
"""Longest name of a machine or of a worker."""
HANDSHAKE_MS = 5000
"""Time that a peer may take to show its key."""

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


ToGateway: TypeAlias = Join | Leave | Ping
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


def pack_pixels(planes: Planes) -> list[bytes]:
    """Return an image's size and its pixels, copied."""
    parts = [plane.reshape(-1) for plane in map(np.ascontiguousarray, _planes(planes))]
    return [_size.pack(planes.width, planes.height), np.concatenate(parts).tobytes()]


def unpack_pixels(parts: Sequence[bytes]) -> Planes:
    """Return the image that `pack_pixels` packed, as views. Raises MessageError."""
    size, pixels = parts
    if len(size) != _size.size:
        raise MessageError(f"an image's size has {_size.size} bytes, this one {len(size)}")
    width, height = _size.unpack(size)
    half = (height + 1) // 2, (width + 1) // 2
    luma, chroma = width * height, half[0] * half[1]
    if not luma or len(pixels) != luma + 2 * chroma:
        raise MessageError(f"{len(pixels)} bytes are no image of {width} x {height}")
    found = np.frombuffer(pixels, np.uint8)
    y, u, v = np.split(found, [luma, luma + chroma])
    return Planes(y.reshape(height, width), u.reshape(half), v.reshape(half))


def _planes(planes: Planes) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    return planes.y, planes.u, planes.v


def _unpack(part: bytes, decoder: msgspec.msgpack.Decoder[M]) -> M:
    try:
        return decoder.decode(part)
    except UNREADABLE as error:
        raise MessageError(f"not a message: {error}") from error
