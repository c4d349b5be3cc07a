"""What processes say to each other, and how it looks as bytes.

A message is two parts: a small struct of this module as msgpack, and, where it concerns a frame,
the frame itself as an opaque second part. The hub reads the first and hands on the second without
looking inside; pixels are in neither (see `onlooker.stream.ring`).

    source      -> hub      Open  Offer  Health  End
    worker      -> hub      Ready  Result
    publisher   -> hub      Register
    any         -> hub      Heartbeat  Broken
    hub         -> source   Start  Free
    hub         -> worker   Job
    hub         -> any      RegisterAgain
    supervisor <-> hub      Died  Forget  Health  StatusRequest  Status
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar, get_args

import msgspec

from onlooker.types import Frame

Policy: TypeAlias = Literal["every", "live"]
"""every: each frame is looked at, and the source waits. live: the newest wins."""


Failure: TypeAlias = Literal["undecodable", "poisoned", "error"]
"""Why a frame is recorded as failed: it could not be decoded; workers died over it; a step raised
over it."""
FAILURES: tuple[str, ...] = get_args(Failure)

POISONED = "workers died over this frame"
"""How the cause of such a failure ends."""

Drop: TypeAlias = Literal["superseded", "stale", "shed", "restarted"]
"""Why a frame of a live stream is neither looked at nor recorded: newer ones came while it waited;
it was old when it came; so many were on their way that there was no room for its pixels; its pixels
went with the process that had decoded them."""


class MessageError(ValueError):
    """Bytes that are no message of this program."""


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """What all messages share."""


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """Where a frame's pixels are."""

    ring: str
    """Path of the ring's file."""
    slot: int
    generation: int


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What became of a stream's frames: received = done + failed + dropped + in flight."""

    received: int = 0
    done: int = 0
    """Through all stages."""
    failed: dict[Failure, int] = {}
    """Recorded, but not looked at: see the record's error."""
    dropped: dict[Drop, int] = {}
    """Neither looked at nor recorded."""

    @property
    def settled(self) -> int:
        return self.done + sum(self.failed.values()) + sum(self.dropped.values())

    def plus(self, what: "Failure | Drop | None" = None) -> "Counts":
        """One more settled frame: done, or what became of it instead."""
        done, failed, dropped = self.done, self.failed, self.dropped
        match what:
            case None:
                done += 1
            case "undecodable" | "poisoned" | "error":
                failed = {**failed, what: failed.get(what, 0) + 1}
            case _:
                dropped = {**dropped, what: dropped.get(what, 0) + 1}
        return Counts(self.received, done, failed, dropped)


# Source to hub


class Open(Message, frozen=True):
    """A source's first word, and its answer to `RegisterAgain`."""

    stream: str
    session: int
    """Tells one process of a source from the next, which has a higher one."""
    policy: Policy
    next: int
    """The next frame that the source will offer for the first time."""
    held: tuple[int, ...]
    """Frames before it that are not settled, as far as the source knows; ascending."""
    frames: int | None
    """How many the stream will have, where that is known."""
    counts: Counts
    """As the hub said last, for a hub that was started since."""
    hub: int | None
    """Number of the hub that asked; None where nobody did."""


class Offer(Message, frozen=True):
    """A frame to look at. Second part: the frame."""

    stream: str
    session: int
    index: int
    slot: Slot | None
    """None for a frame without pixels."""
    failed: str | None
    """Why it could not be decoded."""
    dropped: Drop | None
    """Why the source has not kept it."""
    same: bool
    """Whether the last result is taken again: only the ordered stages get it."""
    seconds: float
    """Time the source has spent decoding so far."""


class Health(Message, frozen=True):
    """How the source of a stream is, when that changes."""

    stream: str
    text: str
    """Empty where all is well."""
    reconnects: int


class End(Message, frozen=True):
    """No frame will follow."""

    stream: str
    session: int
    frames: int
    """Index of the last frame + 1."""
    error: str | None
    """Why the stream ended early."""


# Hub to source


class Start(Message, frozen=True):
    """Go on with frame `next`; offer again what you hold from there."""

    session: int
    next: int
    in_flight: tuple[int, ...]
    """Frames before `next` that the hub still has; all others' slots are free."""
    counts: Counts


class Free(Message, frozen=True):
    """A frame is settled and its slot may be written again."""

    session: int
    index: int
    counts: Counts
    done: bool
    """Whether it was looked at and recorded."""


# Worker to hub


class Ready(Message, frozen=True):
    """I hold no frame: give me one of this stage."""

    stage: str


class Result(Message, frozen=True):
    """The answer to a `Job`. Second part: the frame as it is now."""

    lease: int
    failed: str | None
    """Why the step could not look at it; the frame is then as it was. An ordered stage has taken it
    as a failed one."""
    busy: float
    """Seconds this worker has spent in its step so far."""
    model: float
    """Seconds of them spent in models."""
    cpu: float
    """CPU seconds of its whole process."""


class Heartbeat(Message, frozen=True):
    """`name` is alive, whatever it is doing. Comes from a thread with a socket of its own."""

    name: str


class Register(Message, frozen=True):
    """I have nothing to do with frames: only see whether I am alive."""


class Broken(Message, frozen=True):
    """This process can not do its work and will not be able to if started again."""

    error: str


# Hub to worker


class Job(Message, frozen=True):
    """A frame, lent to one worker. Second part: the frame."""

    lease: int
    slot: Slot | None
    failed: str | None
    """Set where an ordered stage is given a frame that failed before."""


class RegisterAgain(Message, frozen=True):
    """I do not know you: introduce yourself again."""

    hub: int
    """Number of this hub, which no other of the run has. An answer to another hub's question was
    given before everything that one had said was heard."""


# Supervisor and hub


class Forget(Message, frozen=True):
    """No source from here on feeds the stream: forget it when what is on its way is settled."""

    stream: str
    session: int
    """Of its last source, at most."""


class Died(Message, frozen=True):
    """A child process is gone, whatever it held."""

    name: str


class StatusRequest(Message, frozen=True):
    """How are things?"""


class StreamStatus(msgspec.Struct, frozen=True):
    """A stream, as the hub sees it."""

    name: str
    counts: Counts
    source: str
    """Name of the process that feeds it."""
    in_flight: int
    frames: int | None
    """How many there will be, where that is known."""
    finished: bool
    """Ended, and every frame settled."""
    error: str | None
    """Why it ended early."""
    seconds: float
    """Spent in decoding."""
    policy: Policy = "every"
    health: str = ""
    """What is wrong with its source; empty where all is well."""
    reconnects: int = 0
    lag: tuple[float, float] = (0.0, 0.0)
    """Seconds that frames took lately from the source to the log: half of them, and 99 in 100."""


class WorkerStatus(msgspec.Struct, frozen=True):
    """A worker, as the hub sees it."""

    name: str
    stage: str
    frames: int
    busy: float
    """Seconds in its step."""
    model: float
    """Seconds of them in models."""
    cpu: float
    """CPU seconds of the process."""


class Status(Message, frozen=True):
    """All that the hub knows. Frames are counted since a worker last introduced itself."""

    streams: tuple[StreamStatus, ...] = ()
    workers: tuple[WorkerStatus, ...] = ()
    alive: tuple[str, ...] = ()
    """Names of the processes that were heard of lately."""
    error: str | None = None
    """Why the run cannot go on."""

    @property
    def done(self) -> int:
        """Frames of all streams that were looked at and recorded."""
        return sum(stream.counts.done for stream in self.streams)

    @property
    def failed(self) -> int:
        """Frames of all streams that were recorded as failed."""
        return sum(sum(stream.counts.failed.values()) for stream in self.streams)

    @property
    def settled(self) -> int:
        """Frames of all streams that nothing more will become of."""
        return sum(stream.counts.settled for stream in self.streams)


ToHub: TypeAlias = (
    Open
    | Offer
    | Health
    | End
    | Forget
    | Ready
    | Result
    | Register
    | Heartbeat
    | Broken
    | Died
    | StatusRequest
)
FromHub: TypeAlias = Start | Free | Job | RegisterAgain | Status
M = TypeVar("M")

_encoder = msgspec.msgpack.Encoder()
_to_hub: msgspec.msgpack.Decoder[ToHub] = msgspec.msgpack.Decoder(ToHub)
_from_hub: msgspec.msgpack.Decoder[FromHub] = msgspec.msgpack.Decoder(FromHub)
_frame = msgspec.msgpack.Decoder(Frame)


def pack(message: Message, frame: bytes = b"") -> list[bytes]:
    """The parts to send."""
    return [_encoder.encode(message), frame]


def unpack_to_hub(parts: Sequence[bytes]) -> tuple[ToHub, bytes]:
    """A message to the hub and its frame (empty where it has none). Raises MessageError."""
    return _unpack(parts, _to_hub)


def unpack_from_hub(parts: Sequence[bytes]) -> tuple[FromHub, bytes]:
    """A message from the hub and its frame (empty where it has none). Raises MessageError."""
    return _unpack(parts, _from_hub)


def pack_frame(frame: Frame) -> bytes:
    return _encoder.encode(frame)


def unpack_frame(data: bytes) -> Frame:
    """Raises MessageError."""
    try:
        return _frame.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise MessageError(f"not a frame: {error}") from error


def _unpack(parts: Sequence[bytes], decoder: msgspec.msgpack.Decoder[M]) -> tuple[M, bytes]:
    if len(parts) != 2:
        raise MessageError(f"a message has 2 parts, this one {len(parts)}")
    try:
        return decoder.decode(parts[0]), parts[1]
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise MessageError(f"not a message: {error}") from error
