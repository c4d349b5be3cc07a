"""The messages between the processes of a run, and their encoding.

A message has two parts: a small struct of this module as msgpack, and the frame that it concerns,
if there is one, as an opaque second part. The hub reads the first and passes on the second without
decoding it; pixels are in neither (see `onlooker.stream.ring`).

    source      -> hub      Open  Offer  Health  End
    worker      -> hub      Ready  Result
    publisher   -> hub      Register
    any         -> hub      Heartbeat  Broken
    hub         -> source   Start  Free
    hub         -> worker   Job  Release
    hub         -> any      RegisterAgain
    supervisor <-> hub      Died  Forget  Health  StatusRequest  Status
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar, get_args

import msgspec

from onlooker.types import UNREADABLE, Frame

Policy: TypeAlias = Literal["every", "live"]
"""every: each frame is analysed, and the source waits. live: it does not, newer frames win."""


Failure: TypeAlias = Literal["undecodable", "lost", "poisoned", "error"]
"""Why a frame is recorded as failed: it could not be decoded; the camera has sent no image for a
while; workers died over it; a step raised an exception over it."""
LOST = "lost: "
"""Beginning of the error of a frame that says that the camera has sent no image for a while."""
FAILURES: tuple[str, ...] = get_args(Failure)

POISONED = "workers died over this frame"
"""End of the error of a poisoned frame."""

Drop: TypeAlias = Literal["superseded", "stale", "shed", "restarted"]
"""Why a frame of a live stream is neither analysed nor recorded: a newer one arrived while it
waited; it was old when it arrived; the ring had no room for its pixels; its pixels were lost with
the process that had decoded them."""


class MessageError(ValueError):
    """The bytes are not a message of this program."""


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The base of all messages."""


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """The place of a frame's pixels."""

    ring: str
    """Path of the ring's file."""
    slot: int
    generation: int


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """Frames of a stream by their fate: received = done + failed + dropped + in flight."""

    received: int = 0
    done: int = 0
    """Through all stages."""
    failed: dict[Failure, int] = {}
    """Recorded, but not analysed: see the record's error."""
    dropped: dict[Drop, int] = {}
    """Neither analysed nor recorded."""
    appearances: int = 0
    """Visits of people that have begun, without those within the cooldown."""
    readings: int = 0
    """Lines of text that have come."""

    @property
    def settled(self) -> int:
        """All that are no longer in flight."""
        return self.done + sum(self.failed.values()) + sum(self.dropped.values())

    def plus(
        self, what: "Failure | Drop | None" = None, begun: tuple[int, int] = (0, 0)
    ) -> "Counts":
        """Return the counts with one more settled frame: done (None), failed or dropped.

        begun: see Frame.begun.
        """
        done, failed, dropped = self.done, self.failed, self.dropped
        match what:
            case None:
                done += 1
            case "undecodable" | "lost" | "poisoned" | "error":
                failed = {**failed, what: failed.get(what, 0) + 1}
            case _:
                dropped = {**dropped, what: dropped.get(what, 0) + 1}
        appearances, readings = self.appearances + begun[0], self.readings + begun[1]
        return Counts(self.received, done, failed, dropped, appearances, readings)


# Source to hub


class Open(Message, frozen=True):
    """Registers a source; also its answer to `RegisterAgain`."""

    stream: str
    session: int
    """Number of the source's process; a later process of the stream has a higher one."""
    policy: Policy
    next: int
    """The next frame that the source will offer for the first time."""
    held: tuple[int, ...]
    """Frames before `next` that are not settled, as far as the source knows; ascending."""
    frames: int | None
    """Expected number of frames; None if unknown."""
    counts: Counts
    """The last ones from a hub, for a hub that was started since."""
    hub: int | None
    """Number of the hub that asked; None if none did."""
    carried: int = 0
    """Frames in a row that need not be searched if there is no time."""


class Offer(Message, frozen=True):
    """A frame to analyse. Second part: the frame."""

    stream: str
    session: int
    index: int
    slot: Slot | None
    """None for a frame without pixels."""
    failed: str | None
    """Why it could not be decoded; None if it was."""
    dropped: Drop | None
    """Why the source has not kept it; None if it has."""
    same: bool
    """Whether earlier results are used again: only the ordered stages get the frame."""
    seconds: float
    """CPU seconds that the source has spent decoding so far."""
    captured: float
    """When the camera's frame arrived, or the decoding of the video's frame began:
    `time.monotonic()`, which all processes of a machine share."""


class Health(Message, frozen=True):
    """The health of a stream's source, sent when it changes."""

    stream: str
    session: int
    text: str
    """What is wrong; empty if nothing is."""
    reconnects: int
    """Of this session."""


class End(Message, frozen=True):
    """The end of a stream: no frame will follow."""

    stream: str
    session: int
    frames: int
    """Index of the last frame + 1."""
    error: str | None
    """Why the stream ended early; None if it did not."""


# Hub to source


class Start(Message, frozen=True):
    """Tells a source to continue with frame `next`, and to offer again what it holds from there."""

    session: int
    next: int
    in_flight: tuple[int, ...]
    """Frames before `next` that the hub has; the slots of all others are free."""
    counts: Counts


class Free(Message, frozen=True):
    """A frame is settled; its slot may be written again."""

    session: int
    index: int
    counts: Counts
    done: bool
    """Whether it was analysed and recorded."""


# Worker to hub


class Ready(Message, frozen=True):
    """Registers a worker, which holds no frame and no stream's state."""

    stage: str
    remote: bool = False
    """Whether it is on another machine. Its silence then says nothing about its frames, which may
    have been cut off with it: only its reported death counts as one."""


class Result(Message, frozen=True):
    """The answer to a `Job`. Second part: the frame as it is now."""

    lease: int
    failed: str | None
    """The error, if the step raised one. An ordered stage has then taken the frame as a failed one;
    from another stage it comes back unchanged."""
    busy: float
    """Seconds that this worker has spent in its step so far."""
    model: float
    """Seconds of them spent in models."""
    cpu: float
    """CPU seconds of its whole process."""
    known: bool = False
    """Whether only the ordered stages are to get the frame from now on."""
    begun: tuple[int, int] = (0, 0)
    """Number of appearances and of readings that the frame begins, as far as is known."""


class Heartbeat(Message, frozen=True):
    """Process `name` is alive. Comes from a thread with a socket of its own."""

    name: str


class Register(Message, frozen=True):
    """Registers a process that handles no frames; only its heartbeats count."""


class Broken(Message, frozen=True):
    """The process cannot do its work, and a restart will not help."""

    error: str


# Hub to worker


class Job(Message, frozen=True):
    """A frame, leased to one worker. Second part: the frame."""

    lease: int
    slot: Slot | None
    failed: str | None
    """The error of a frame that failed before; only ordered stages get it."""
    before: bytes | None
    """For a stateful stage: None if the worker has the stream's state. Otherwise it must restore it
    first, from this frame, the last one that came out of the stage; if empty, from the log."""
    carried: bool = False
    """Whether there was no time to search the frame."""
    captured: float = 0.0
    """As in Offer."""


class Release(Message, frozen=True):
    """The stream's state is no longer this worker's; it should drop it."""

    stream: str


class RegisterAgain(Message, frozen=True):
    """The hub does not know the receiver, which must register again."""

    hub: int
    """Number of this hub; no other hub of the run has it. A source's answer to an earlier hub may
    have been sent before the source had read everything from that one."""


# Supervisor and hub


class Forget(Message, frozen=True):
    """No source feeds the stream any more: forget it when its frames in flight are settled."""

    stream: str
    session: int
    """The highest session that its sources had."""


class Died(Message, frozen=True):
    """A child process has ended; the leases of a worker end with it."""

    name: str
    counted: bool = True
    """Whether one of its frames may have killed it; not if its machine has left."""


class StatusRequest(Message, frozen=True):
    """Asks for `Status`."""


class StreamStatus(msgspec.Struct, frozen=True):
    """A stream in the hub."""

    name: str
    counts: Counts
    source: str
    """Name of the process that feeds it."""
    in_flight: int
    frames: int | None
    """Expected number of frames; None if unknown."""
    finished: bool
    """Ended, and every frame settled."""
    error: str | None
    """Why it ended early; None if it did not."""
    seconds: float
    """CPU seconds spent in decoding."""
    policy: Policy = "every"
    health: str = ""
    """What is wrong with its source; empty if nothing is."""
    reconnects: int = 0
    """Of all sources that it has had."""
    lag: tuple[float, float] = (0.0, 0.0)
    """Seconds from the source to the log, of the last frames: median and 99th percentile."""


class WorkerStatus(msgspec.Struct, frozen=True):
    """A worker in the hub."""

    name: str
    stage: str
    frames: int
    busy: float
    """Seconds in its step."""
    model: float
    """Seconds of them in models."""
    cpu: float
    """CPU seconds of the process."""

    @property
    def machine(self) -> str:
        """Name of the other machine on which it runs; empty if it runs on the hub's."""
        return self.name.rpartition("/")[0]

    @property
    def process(self) -> str:
        """Name of the process on its machine."""
        machine, _, process = self.name.rpartition("/")
        return process.rpartition(".")[0] if machine else process  # the gateway adds an end


class Status(Message, frozen=True):
    """Everything that the hub knows. A worker's frames are counted since it last registered."""

    streams: tuple[StreamStatus, ...] = ()
    workers: tuple[WorkerStatus, ...] = ()
    alive: tuple[str, ...] = ()
    """Names of the processes that are not silent."""
    error: str | None = None
    """Why the run cannot continue; None if it can."""

    @property
    def done(self) -> int:
        """Frames of all streams that were analysed and recorded."""
        return sum(stream.counts.done for stream in self.streams)

    @property
    def failed(self) -> int:
        """Frames of all streams that were recorded as failed."""
        return sum(sum(stream.counts.failed.values()) for stream in self.streams)

    @property
    def settled(self) -> int:
        """Frames of all streams that are done, failed or dropped."""
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
FromHub: TypeAlias = Start | Free | Job | Release | RegisterAgain | Status
M = TypeVar("M")

_encoder = msgspec.msgpack.Encoder()
_to_hub: msgspec.msgpack.Decoder[ToHub] = msgspec.msgpack.Decoder(ToHub)
_from_hub: msgspec.msgpack.Decoder[FromHub] = msgspec.msgpack.Decoder(FromHub)
_frame = msgspec.msgpack.Decoder(Frame)


def pack(message: Message, frame: bytes = b"") -> list[bytes]:
    """Return the parts to send."""
    return [_encoder.encode(message), frame]


def unpack_to_hub(parts: Sequence[bytes]) -> tuple[ToHub, bytes]:
    """Return a message to the hub, and its frame or no bytes. Raises MessageError."""
    return _unpack(parts, _to_hub)


def unpack_from_hub(parts: Sequence[bytes]) -> tuple[FromHub, bytes]:
    """Return a message from the hub, and its frame or no bytes. Raises MessageError."""
    return _unpack(parts, _from_hub)


def pack_frame(frame: Frame) -> bytes:
    """Return the frame's bytes."""
    return _encoder.encode(frame)


def unpack_frame(data: bytes) -> Frame:
    """Return the frame. Raises MessageError if the bytes are not one."""
    try:
        return _frame.decode(data)
    except UNREADABLE as error:
        raise MessageError(f"not a frame: {error}") from error


def _unpack(parts: Sequence[bytes], decoder: msgspec.msgpack.Decoder[M]) -> tuple[M, bytes]:
    if len(parts) != 2:
        raise MessageError(f"a message has 2 parts, this one {len(parts)}")
    try:
        return decoder.decode(parts[0]), parts[1]
    except UNREADABLE as error:
        raise MessageError(f"not a message: {error}") from error
