"""The hub's state: frames in flight, the streams that they belong to, and workers."""

from collections import deque
from dataclasses import dataclass, field

from onlooker.stream import messages
from onlooker.stream.messages import Counts, Slot

MAX_CARRIED_SECONDS = 0.5
"""Time after a frame that was searched in which later ones need not be."""
MAX_WAIT_SECONDS = 0.3
"""Age up to which a live stream's frame waits for the first stage though a newer one does, too: a
short burst of work costs no frame, and few frames are recorded half a second late."""
START_SECONDS = 2.0
"""The same for frames that came before all stages had workers, counted from then on."""
MAX_WAITING = 12
"""Frames of a live stream that wait for the first stage: fewer than the slots of its ring."""
MAX_LAGS = 100
"""Frames of a stream whose lag is kept, for the percentiles."""


@dataclass(slots=True, eq=False)
class Flight:
    """A frame between its source and its record."""

    stream: "Stream"
    index: int
    slot: Slot | None
    frame: bytes
    failed: str | None
    why: messages.Failure | None
    """The kind of failure."""
    captured: float
    """When the source captured it, by the clock of the hub."""
    same: bool = False
    """Whether it repeats the result of an earlier frame."""
    known: bool = False
    """Whether a stage has found that only the ordered ones are left."""
    begun: tuple[int, int] = (0, 0)
    """See messages.Result."""
    carried: bool = False
    """Whether only the ordered stages get it because the first one has no time for it."""
    stage: int = 0
    lease: int | None = None
    """Number of the valid lease; None while the frame waits."""
    deaths: int = 0
    """Workers that died over it in this stage."""

    @property
    def ordered_only(self) -> bool:
        """Whether only the ordered stages get it."""
        return self.same or self.known or self.carried or self.failed is not None


@dataclass(slots=True, eq=False)
class Stream:
    """One stream of frames."""

    name: str
    policy: messages.Policy
    source: str
    session: int
    next: int
    """Index of the next frame to arrive."""
    counts: Counts
    frames: int | None
    waiting: list[list[int]]
    """For each stage a heap of the indexes that wait for a worker."""
    flights: dict[int, Flight] = field(default_factory=dict)
    """By index, ascending."""
    may_carry: int = 0
    """Frames in a row that need not be searched."""
    carried: int = 0
    """Frames since the last one that was searched."""
    searched: float = 0.0
    """When that one was captured."""
    announced: int = 0
    """The source's next index, as it last said."""
    settled: set[int] = field(default_factory=set)
    """Frames from `next` on that will not arrive: an earlier hub has settled them."""
    ended: bool = False
    leaving: bool = False
    """Forget the stream as soon as all its frames are settled."""
    error: str | None = None
    seconds: float = 0.0
    health: str = ""
    reconnects: dict[int, int] = field(default_factory=dict)
    """By the session of each source that the stream has had."""
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_LAGS))
    """Seconds from capture to record of the last frames."""
    owners: dict[int, "Worker"] = field(default_factory=dict)
    """For each stateful stage the worker that has the stream's state."""
    outputs: dict[int, bytes] = field(default_factory=dict)
    """For each stateful stage the last frame that came out of it, with the state after it."""

    @property
    def oldest(self) -> int:
        """The first frame that is not settled."""
        return next(iter(self.flights), self.next)

    @property
    def lag(self) -> tuple[float, float]:
        """The median and the 99th percentile of the lags; 0 if there are none."""
        if not self.lags:
            return 0.0, 0.0
        ordered = sorted(self.lags)
        return ordered[len(ordered) // 2], ordered[-(-99 * len(ordered) // 100) - 1]

    @property
    def status(self) -> messages.StreamStatus:
        """The stream, for the user."""
        return messages.StreamStatus(
            name=self.name,
            counts=self.counts,
            source=self.source,
            in_flight=len(self.flights),
            frames=self.frames,
            finished=self.finished,
            error=self.error,
            seconds=self.seconds,
            policy=self.policy,
            health=self.health,
            reconnects=sum(self.reconnects.values()),
            lag=self.lag,
        )

    def may_be_carried(self, flight: Flight) -> bool:
        """Return whether the frame need not be searched."""
        recent = flight.captured - self.searched <= MAX_CARRIED_SECONDS
        return recent and self.carried < self.may_carry

    def waits_in_vain(self, flight: Flight, now: float, staffed: float | None) -> bool:
        """Return whether the frame has waited for the first stage for too long, or too many have.

        staffed: when each stage had a worker for the first time; None while models are loaded.
        """
        if len(self.waiting[0]) > MAX_WAITING:
            return True
        if staffed is None:
            return False
        if flight.captured <= staffed:
            return now - staffed > START_SECONDS
        return now - flight.captured > MAX_WAIT_SECONDS

    @property
    def finished(self) -> bool:
        """Whether it has ended and every frame is settled."""
        return self.ended and not self.flights

    def register(self, message: messages.Open) -> None:
        """Take over what the source says about frames that this hub has not received."""
        self.may_carry = message.carried
        self.announced = message.next
        self.settled |= set(range(self.next, message.next)).difference(message.held)
        self.step(self.next)

    def step(self, index: int) -> None:
        """Expect frame `index` next, or the first after it that is not settled."""
        while index in self.settled:
            self.settled.remove(index)
            index += 1
        self.next = index


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process."""

    name: str
    stage: int
    remote: bool = False
    """Whether it is on another machine."""
    leases: dict[int, Flight] = field(default_factory=dict)
    """By number. A lease that is not its frame's any more is void: the frame is lent elsewhere."""
    streams: set[str] = field(default_factory=set)
    """Streams whose state it has, in a stateful stage."""
    frames: int = 0
    busy: float = 0.0
    model: float = 0.0
    cpu: float = 0.0

    def status(self, stage: str) -> messages.WorkerStatus:
        """Return the worker, for the user; stage: the name of its stage."""
        return messages.WorkerStatus(
            name=self.name,
            stage=stage,
            frames=self.frames,
            busy=self.busy,
            model=self.model,
            cpu=self.cpu,
        )
