"""Decides which worker gets which frame: fairness, order, ownership.

Pure, like `onlooker.stream.hub`, which asks it after every message.

In a stateful stage each stream belongs to one worker, its owner. Streams are spread evenly over the
workers. A new owner is given the last frame that came out of the stage, which carries the stream's
state; without one it takes the state from the log.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import count, takewhile
from typing import NamedTuple

from onlooker.stream.hub_state import Flight, Stream, Worker
from onlooker.stream.stage import StageRow

AHEAD = 2
"""Frames that a worker of another machine holds beyond those that one here may: they are on their
way while it works."""


class Lease(NamedTuple):
    """A frame lent to a worker."""

    number: int
    worker: Worker
    flight: Flight
    before: bytes | None
    """None if the worker has the stream's state, or the stage has none. Otherwise the last frame
    that came out of the stage; empty if there is none."""


class Scheduler:
    """The frames that wait, and the workers that wait for frames.

    first_lease: lower than any lease of a later hub, so that an answer fits one hub only.
    """

    def __init__(
        self, stages: Sequence[StageRow], streams: Mapping[str, Stream], first_lease: int
    ) -> None:
        self.stages = stages
        self.workers: dict[str, Worker] = {}
        self.released: list[tuple[Worker, str]] = []
        """Workers, each with a stream whose state it should drop; the hub tells them."""
        self._streams = streams
        self._leases = count(first_lease)
        self._idle: list[dict[str, Worker]] = [{} for _ in stages]
        self._turns: list[dict[str, Stream]] = [{} for _ in stages]
        """For each stage the streams with a frame for it, in the order of their turns."""

    def next_ordered(self, stage: int) -> int:
        """Return the first ordered stage from `stage` on."""
        return next(n for n in range(stage, len(self.stages)) if self.stages[n].ordered)

    # Workers

    def join(self, name: str, stage: int, remote: bool = False) -> None:
        """Add a worker that holds no frame and no state; see messages.Ready."""
        worker = self.workers[name] = Worker(name, stage, remote)
        self._idle[stage][name] = worker

    def is_remote(self, name: str) -> bool:
        """Return whether a worker of this name is on another machine."""
        return name in self.workers and self.workers[name].remote

    def leave(self, name: str) -> list[Flight]:
        """Remove a worker; return the frames that it held, in the order in which it got them."""
        worker = self.workers.pop(name, None)
        if worker is None:
            return []
        self._idle[worker.stage].pop(name, None)
        for stream in worker.streams:
            del self._streams[stream].owners[worker.stage]
        flights = [flight for lease, flight in worker.leases.items() if flight.lease == lease]
        for flight in flights:  # all, before any is queued: an ordered stage depends on it
            flight.lease = None
        return flights

    def idle(self, worker: Worker) -> None:
        """Take note that the worker has room for another frame."""
        self._idle[worker.stage][worker.name] = worker

    def has_skipped(self, flight: Flight) -> bool:
        """Return whether its ordered stage still has an earlier frame of the stream."""
        if not self.stages[flight.stage].ordered:
            return False
        return any(other.stage == flight.stage for other in _earlier(flight))

    # Streams

    def queue(self, flight: Flight) -> None:
        """Let a frame wait for its stage."""
        heapq.heappush(flight.stream.waiting[flight.stage], flight.index)
        self.take_turns(flight.stream)

    def oldest_of_several(self, stream: Stream) -> Flight | None:
        """Return the oldest frame that waits for the first stage, if a newer one does, too."""
        waiting = stream.waiting[0]
        return stream.flights[waiting[0]] if len(waiting) > 1 else None

    def withdraw_oldest(self, stream: Stream) -> None:
        """Let the oldest frame of a stream wait for the first stage no longer."""
        heapq.heappop(stream.waiting[0])

    @property
    def staffed(self) -> bool:
        """Whether each stage has a worker."""
        return len({worker.stage for worker in self.workers.values()}) == len(self.stages)

    def take_turns(self, stream: Stream) -> None:
        """Give the stream a turn at every stage that could take a frame of it now."""
        for stage in range(len(self.stages)):
            if self._next_for(stream, stage) is not None:
                self._turns[stage].setdefault(stream.name, stream)

    def reset(self, stream: Stream) -> None:
        """Have the stream's states taken from the log: its frames begin again where that ends."""
        self.release(stream)
        stream.outputs.clear()

    def release(self, stream: Stream) -> None:
        """Have the owners of the stream's states drop them."""
        for stage in list(stream.owners):
            self._disown(stream, stage)

    def remove(self, stream: Stream) -> None:
        """Forget the stream."""
        self.release(stream)
        for turns in self._turns:
            turns.pop(stream.name, None)

    # Leases

    def lend(self) -> Iterator[Lease]:
        """Give idle workers frames, the streams of each stage taking turns."""
        for stage, idle in enumerate(self._idle):
            if idle and self._turns[stage]:
                yield from self._lend(stage)

    def _lend(self, stage: int) -> Iterator[Lease]:
        idle, turns = self._idle[stage], self._turns[stage]
        blocked: dict[str, Stream] = {}
        """Streams whose next frame must wait for a certain worker."""
        reserved: set[str] = set()
        while idle and turns:
            stream = self._whose_turn(stage)
            if stream is None:
                break
            del turns[stream.name]
            index = self._next_for(stream, stage)
            if index is None:
                continue
            flight = stream.flights[index]
            worker = self._worker(flight, reserved)
            if worker is None:
                blocked[stream.name] = stream
                continue
            heapq.heappop(stream.waiting[stage])
            before = self._own(stream, stage, worker)
            flight.lease = next(self._leases)
            worker.leases[flight.lease] = flight
            room = self.stages[stage].leases + (AHEAD if worker.remote else 0)
            if flight.deaths or len(worker.leases) >= room:
                del idle[worker.name]
            else:
                idle[worker.name] = idle.pop(worker.name)  # behind the others
            if self._next_for(stream, stage) is not None:
                turns[stream.name] = stream
            yield Lease(flight.lease, worker, flight, before)
        if blocked:
            self._turns[stage] = blocked | turns

    def _next_for(self, stream: Stream, stage: int) -> int | None:
        """Return the frame of `stream` that `stage` may have now: if ordered, only the next."""
        heap = stream.waiting[stage]
        if not heap:
            return None
        if self.stages[stage].ordered:
            for index, flight in stream.flights.items():
                if index == heap[0]:
                    break
                # A frame that its worker holds already is before this one in that worker's queue.
                held = flight.lease is not None and self.stages[stage].leases > 1
                if flight.stage < stage or (flight.stage == stage and not held):
                    return None
        return heap[0]

    def _worker(self, flight: Flight, reserved: set[str]) -> Worker | None:
        """Return the idle worker with the fewest frames that may have this one, if there is any.

        A frame over which a worker died must be alone in the next. If that has others, it joins the
        `reserved` ones, which get no more frames until it has the frame.
        """
        stage = self.stages[flight.stage]
        idle = self._idle[flight.stage]
        workers: Iterable[Worker] = idle.values()
        if stage.stateful:
            owner = self._owner(flight.stream, flight.stage)
            workers = [owner] if owner.name in idle else []
        ahead = self._ahead(flight) if stage.ordered else frozenset()
        occupied: Worker | None = None
        for worker in sorted(workers, key=lambda worker: len(worker.leases)):
            if worker.name in reserved or not worker.leases.keys() >= ahead:
                continue
            if not (flight.deaths and worker.leases):
                return worker
            occupied = occupied or worker
        if occupied is not None:
            reserved.add(occupied.name)
        return None

    def _ahead(self, flight: Flight) -> Set[int]:
        """Return the leases that the frame's worker must hold: those before it in an ordered stage.

        If a dead worker and its successor are both thought to be alive, only the one that holds
        the earlier frames may have the next.
        """
        return {
            other.lease
            for other in _earlier(flight)
            if other.lease is not None and other.stage == flight.stage
        }

    def _owner(self, stream: Stream, stage: int) -> Worker:
        """Return the worker that has, or should have, the state of the stream.

        A stream moves if its owner has two streams more than another worker and no frame of it.
        """
        workers = (worker for worker in self.workers.values() if worker.stage == stage)
        least = min(workers, key=lambda worker: len(worker.streams))
        owner = stream.owners.get(stage)
        if owner is None:
            return least
        if len(owner.streams) <= len(least.streams) + 1:
            return owner
        if any(flight.stream is stream for flight in owner.leases.values()):
            return owner
        return least

    def _own(self, stream: Stream, stage: int, worker: Worker) -> bytes | None:
        """Make `worker` the stream's owner; return what it needs to get the state (see Lease)."""
        if not self.stages[stage].stateful or stream.owners.get(stage) is worker:
            return None
        self._disown(stream, stage)
        stream.owners[stage] = worker
        worker.streams.add(stream.name)
        return stream.outputs.get(stage, b"")

    def _disown(self, stream: Stream, stage: int) -> None:
        owner = stream.owners.pop(stage, None)
        if owner is not None:
            owner.streams.discard(stream.name)
            self.released.append((owner, stream.name))

    def _whose_turn(self, stage: int) -> Stream | None:
        """Return the stream to be served next.

        No live one while enough of their frames are being processed: a frame begun now would only
        grow old, and a newer one may arrive meanwhile.
        """
        turns = self._turns[stage].values()
        first = next(iter(turns))
        if stage > 0 or first.policy == "every" or self._begun() < self._side_by_side():
            return first
        return next((stream for stream in turns if stream.policy == "every"), None)

    def _begun(self) -> int:
        """Return the number of frames of live streams between their source and the last stage that
        is not ordered."""
        last = max((n for n, s in enumerate(self.stages) if not s.ordered), default=-1)
        return sum(
            flight.stage <= last
            and not flight.ordered_only
            and (flight.stage > 0 or flight.lease is not None)
            for stream in self._streams.values()
            if stream.policy == "live"
            for flight in stream.flights.values()
        )

    def _side_by_side(self) -> int:
        """Return how many frames can be processed at once without slowing each other down: a batch
        for each worker of a stage."""
        workers = Counter(worker.stage for worker in self.workers.values())
        return max(self.stages[stage].batch * number for stage, number in workers.items())


def _earlier(flight: Flight) -> Iterator[Flight]:
    """Return the frames of the stream that are in flight before this one."""
    return takewhile(lambda other: other is not flight, flight.stream.flights.values())
