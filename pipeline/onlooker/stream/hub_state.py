"""What the hub keeps of frames on their way, of the streams they are of, and of workers."""

from collections import deque
from dataclasses import dataclass, field

from onlooker.stream import messages
from onlooker.stream.messages import Counts, Slot

LAGS = 100
"""Frames of a stream whose time on the way is remembered."""


@dataclass(slots=True, eq=False)
class Flight:
    """A frame between its source and its record."""

    stream: "Stream"
    index: int
    slot: Slot | None
    frame: bytes
    failed: str | None
    why: messages.Failure | None
    """What kind of failure that is."""
    since: float
    """When it came."""
    stage: int = 0
    lease: int | None = None
    """Number of the loan that counts; None while it waits."""
    deaths: int = 0
    """Workers that died over it in this stage."""


@dataclass(slots=True, eq=False)
class Stream:
    """One stream of frames."""

    name: str
    policy: messages.Policy
    source: str
    session: int
    next: int
    """Index of the next frame to come."""
    counts: Counts
    frames: int | None
    waiting: list[list[int]]
    """For each stage a heap of the indexes that wait for a worker."""
    flights: dict[int, Flight] = field(default_factory=dict)
    """By index, ascending."""
    known: int = 0
    """What the source last said would be its next."""
    settled: set[int] = field(default_factory=set)
    """Frames from `next` on that need not come: settled by a hub before this one, or before an
    earlier frame whose pixels went with a source."""
    ended: bool = False
    leaving: bool = False
    """Whether it is to be forgotten once all its frames are settled."""
    error: str | None = None
    seconds: float = 0.0
    health: str = ""
    reconnects: int = 0
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=LAGS))
    """Seconds that the last frames took."""

    @property
    def oldest(self) -> int:
        """The first frame that is not settled."""
        return next(iter(self.flights), self.next)

    def hear(self, message: messages.Open) -> None:
        """Take what the source says of the frames that the hub has not seen yet."""
        self.known = message.next
        self.settled |= set(range(self.next, message.next)).difference(message.held)
        self.step(self.next)

    def step(self, index: int) -> None:
        """The next frame to come is `index`, or the first after it that is not settled."""
        while index in self.settled:
            self.settled.remove(index)
            index += 1
        self.next = index


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process."""

    name: str
    stage: int
    loans: dict[int, Flight] = field(default_factory=dict)
    """By the number of the loan. One that does not count any more is of a frame lent elsewhere."""
    frames: int = 0
    busy: float = 0.0
    model: float = 0.0
    cpu: float = 0.0
