"""The hub holds what is in flight: every frame, who has it, and what became of it.

`Hub` is the whole of its logic, without a socket or a clock: a message and the time go in,
messages come out, so that a test can play every sender and every accident.
`onlooker.stream.hub_process` puts it on a socket.

A frame is lent to one worker of its stage at a time. The loan ends with the worker's answer, with
its death (the supervisor says so) or with its silence; then the frame is lent again, now as the
worker's only one, and after `attempts` workers it has failed. A failed frame goes to the ordered
stages only, which get every frame of a stream, one after the other by index. Who may have what is
looked at once, after each message, when all that it changes is known. Patterns: the ZeroMQ
guide's Paranoid Pirate and Majordomo, with the difference that peers speak first and the hub asks
strangers who they are.
"""

import heapq
import logging
from collections import Counter
from collections.abc import Sequence
from itertools import count, takewhile
from typing import TypeAlias

from msgspec.structs import replace

from onlooker.config import schema
from onlooker.stream import messages
from onlooker.stream.hub_state import Flight, Stream, Worker
from onlooker.stream.messages import Counts
from onlooker.stream.stage import StageRow

Send: TypeAlias = tuple[str, messages.Message, bytes]
"""Receiver, message, frame."""

LIVE_QUEUE = 1
"""Frames of a live stream that may wait to be begun with."""

UNSEEN = -1
"""Session of a stream of which no source has been heard."""

logger = logging.getLogger(__name__)


class Hub:
    """What the hub knows and decides. `now` is in seconds of any clock that does not jump back."""

    def __init__(self, stages: Sequence[StageRow], settings: schema.Pipeline, seed: int) -> None:
        if not stages or not stages[-1].ordered:
            raise ValueError("the last stage must be ordered: there a stream's frames come out")
        self.stages = stages
        self.attempts = settings.attempts
        self.patience = settings.heartbeat * settings.liveness
        self.streams: dict[str, Stream] = {}
        self.workers: dict[str, Worker] = {}
        self.error: str | None = None
        self.number = seed
        # Answers to the hub before this one must not fit a loan of this one.
        self._leases = count(seed << 32)
        self._idle: list[dict[str, Worker]] = [{} for _ in stages]
        self._turns: list[dict[str, Stream]] = [{} for _ in stages]
        """For each stage the streams with a frame for it, the one to be served next first."""
        self._heard: dict[str, float] = {}
        """When each process was last heard of."""
        self._feeding: dict[str, Stream] = {}
        """Streams by their source's name."""
        self._others: set[str] = set()
        """Processes that have nothing to do with frames."""
        self._ticked: float | None = None
        self._now = 0.0
        self._out: list[Send] = []

    # What comes in

    def handle(self, sender: str, message: messages.ToHub, frame: bytes, now: float) -> list[Send]:
        """Take a message from `sender`; return what is to be sent."""
        self._now = now
        match message:
            case messages.Result():
                self._result(sender, message, frame, now)
            case messages.Offer():
                self._offer(sender, message, frame, now)
            case messages.Ready():
                self._ready(sender, message, now)
            case messages.Open():
                self._open(sender, message, now)
            case messages.End():
                self._end(sender, message, now)
            case messages.Health():
                known = self.streams.get(message.stream) or self._unseen(message.stream)
                known.health = message.text
                known.reconnects = max(known.reconnects, message.reconnects)
            case messages.Forget():
                self._forget(message)
            case messages.Register():
                self._heard[sender] = now
                self._others.add(sender)
            case messages.Heartbeat():
                self._beat(message.name, now)
            case messages.Broken():
                self.error = self.error or message.error
            case messages.Died():
                self._gone(message.name, counted=True)
                self._heard.pop(message.name, None)
            case messages.StatusRequest():
                self._send(sender, self.status())
        return self._flush()

    def unreachable(self, name: str) -> list[Send]:
        """A message to `name` could not be delivered: what it was lent goes to somebody else."""
        self._gone(name, counted=False)
        return self._flush()

    def tick(self, now: float) -> list[Send]:
        """Look who has been silent for too long. Call it about once a heartbeat."""
        slept = self._ticked is not None and now - self._ticked > self.patience
        self._ticked = now
        if slept:
            # It was the hub that was away: what its peers said meanwhile still waits to be read.
            self._heard = dict.fromkeys(self._heard, now)
        for name, heard in list(self._heard.items()):
            if now - heard > self.patience:
                logger.info("silent name=%s seconds=%.1f", name, now - heard)
                del self._heard[name]
                self._gone(name, counted=True)
        return self._flush()

    def status(self) -> messages.Status:
        return messages.Status(
            streams=tuple(
                messages.StreamStatus(
                    name=stream.name,
                    counts=stream.counts,
                    source=stream.source,
                    in_flight=len(stream.flights),
                    frames=stream.frames,
                    finished=self._finished(stream),
                    error=stream.error,
                    seconds=stream.seconds,
                    policy=stream.policy,
                    health=stream.health,
                    reconnects=stream.reconnects,
                    lag=_percentiles(stream.lags),
                )
                for stream in self.streams.values()
            ),
            workers=tuple(
                messages.WorkerStatus(
                    name=worker.name,
                    stage=self.stages[worker.stage].name,
                    frames=worker.frames,
                    busy=worker.busy,
                    model=worker.model,
                    cpu=worker.cpu,
                )
                for worker in self.workers.values()
            ),
            alive=tuple(self._heard),
            error=self.error,
        )

    # Sources

    def _open(self, sender: str, message: messages.Open, now: float) -> None:
        if message.hub not in (None, self.number):
            # What the hub before this one settled is on its way to the source.
            self._send(sender, messages.RegisterAgain(self.number))
            return
        self._heard[sender] = now
        stream = self.streams.get(message.stream)
        if stream is None or stream.session == UNSEEN:
            health, reconnects = (stream.health, stream.reconnects) if stream else ("", 0)
            settled = message.counts.settled
            stream = self.streams[message.stream] = Stream(
                name=message.stream,
                policy=message.policy,
                source=sender,
                session=message.session,
                next=min(message.held, default=message.next),
                # What was in flight in the hub before this one is offered again.
                counts=replace(message.counts, received=settled),
                frames=message.frames,
                waiting=[[] for _ in self.stages],
                health=health,
                reconnects=reconnects,
            )
            stream.hear(message)
        elif message.session < stream.session:
            return  # this source has been replaced
        elif message.session > stream.session:
            self._restart(stream)
            self._feeding.pop(stream.source, None)
            stream.source, stream.session = sender, message.session
            stream.policy, stream.frames = message.policy, message.frames
        else:
            stream.hear(message)
        self._feeding[sender] = stream
        in_flight = tuple(stream.flights)
        self._send(sender, messages.Start(stream.session, stream.next, in_flight, stream.counts))

    def _unseen(self, name: str) -> Stream:
        """A stream of which no source has been heard: there is something to say about it."""
        waiting: list[list[int]] = [[] for _ in self.stages]
        stream = Stream(name, "live", "", UNSEEN, 0, Counts(), None, waiting)
        self.streams[name] = stream
        return stream

    def _restart(self, stream: Stream) -> None:
        """Forget what is in flight: its pixels are gone, or soon will be."""
        lost = len(stream.flights)
        if stream.policy == "every":  # they will come again
            stream.settled |= set(range(stream.oldest, stream.next)).difference(stream.flights)
            stream.next = stream.oldest
            stream.counts = replace(stream.counts, received=stream.counts.received - lost)
        else:
            stream.next = max(stream.next, stream.known)
            stream.settled.clear()
        for _ in range(lost if stream.policy == "live" else 0):
            stream.counts = stream.counts.plus("restarted")
        for flight in stream.flights.values():
            flight.lease = None
        stream.flights.clear()
        for heap in stream.waiting:
            heap.clear()
        stream.ended, stream.leaving, stream.error = False, False, None

    def _offer(self, sender: str, message: messages.Offer, frame: bytes, now: float) -> None:
        stream = self._stream(sender, message.stream, message.session, now)
        if stream is None:
            return
        if message.index > stream.next:
            self._send(sender, messages.RegisterAgain(self.number))  # something was lost on the way
            return
        if message.index < stream.next:
            if message.index not in stream.flights:
                self._send(
                    sender, messages.Free(stream.session, message.index, stream.counts, False)
                )
            return
        stream.step(message.index + 1)
        stream.counts = replace(stream.counts, received=stream.counts.received + 1)
        stream.seconds = message.seconds
        why: messages.Failure | None = "undecodable" if message.failed is not None else None
        flight = Flight(stream, message.index, message.slot, frame, message.failed, why, now)
        stream.flights[flight.index] = flight
        if message.dropped is not None:
            self._settle(flight, message.dropped)
            return
        if flight.failed is not None or message.same:
            flight.stage = self._next_ordered(0)
        self._queue(flight)

    def _forget(self, message: messages.Forget) -> None:
        stream = self.streams.get(message.stream)
        if stream is not None and stream.session <= message.session:
            stream.leaving = True
            self._leave(stream)

    def _leave(self, stream: Stream) -> None:
        if stream.leaving and not stream.flights:
            del self.streams[stream.name]
            self._feeding.pop(stream.source, None)
            self._heard.pop(stream.source, None)
            for turns in self._turns:
                turns.pop(stream.name, None)

    def _end(self, sender: str, message: messages.End, now: float) -> None:
        stream = self._stream(sender, message.stream, message.session, now)
        if stream is None:
            return
        if message.frames > stream.next:
            self._send(sender, messages.RegisterAgain(self.number))
            return
        stream.ended, stream.frames, stream.error = True, message.frames, message.error

    def _stream(self, sender: str, name: str, session: int, now: float) -> Stream | None:
        """The stream that `sender` feeds; None where it does not, or no longer."""
        stream = self.streams.get(name)
        if stream is None:
            self._send(sender, messages.RegisterAgain(self.number))
            return None
        if stream.session != session:
            return None
        self._heard[sender] = now
        return stream

    def _finished(self, stream: Stream) -> bool:
        return stream.ended and not stream.flights

    # Workers

    def _ready(self, sender: str, message: messages.Ready, now: float) -> None:
        numbers = [n for n, stage in enumerate(self.stages) if stage.name == message.stage]
        if not numbers:
            self.error = f"{sender} works for stage {message.stage!r}, which this run has not"
            return
        self._gone(sender, counted=False)  # whatever it was lent did not reach it
        self._heard[sender] = now
        worker = self.workers[sender] = Worker(sender, numbers[0])
        self._idle[worker.stage][sender] = worker

    def _result(self, sender: str, message: messages.Result, frame: bytes, now: float) -> None:
        worker = self.workers.get(sender)
        if worker is None:
            self._send(sender, messages.RegisterAgain(self.number))
            return
        self._heard[sender] = now
        flight = worker.loans.pop(message.lease, None)
        if flight is None:
            return  # of a loan that was taken from it
        worker.busy, worker.model, worker.cpu = message.busy, message.model, message.cpu
        worker.frames += 1
        self._idle[worker.stage][sender] = worker
        if flight.lease == message.lease:
            flight.lease = None
            flight.frame = frame
            if message.failed is None:
                self._advance(flight)
            else:
                self._fail(flight, message.failed, "error")

    def _beat(self, name: str, now: float) -> None:
        self._heard[name] = now
        if name not in self._others and name not in self.workers and name not in self._feeding:
            self._send(name, messages.RegisterAgain(self.number))

    def _gone(self, name: str, counted: bool) -> None:
        """Take back what worker `name` was lent; `counted` where the frame may have killed it."""
        self._others.discard(name)
        worker = self.workers.pop(name, None)
        if worker is None:
            return
        self._idle[worker.stage].pop(name, None)
        flights = [flight for lease, flight in worker.loans.items() if flight.lease == lease]
        for flight in flights:  # all, before any is queued: an ordered stage goes by it
            flight.lease = None
            flight.deaths += counted
        for flight in flights:
            if flight.deaths < self.attempts:
                self._queue(flight)
            else:
                stage = self.stages[flight.stage].name
                cause = f"{stage}: {flight.deaths} {messages.POISONED}"
                self._fail(flight, cause, "poisoned")

    # Frames

    def _fail(self, flight: Flight, cause: str, why: messages.Failure) -> None:
        if flight.failed is not None:
            stream, index = flight.stream.name, flight.index
            self.error = self.error or f"frame {index} of {stream} cannot be recorded: {cause}"
            return
        flight.failed, flight.why = cause, why
        flight.deaths = 0
        if why == "error" and self.stages[flight.stage].ordered:
            self._advance(flight)  # it has been taken, as a failed one
            return
        # This stage too, if it is ordered: it may well take the frame as a failed one.
        flight.stage = self._next_ordered(flight.stage)
        self._queue(flight)

    def _next_ordered(self, stage: int) -> int:
        return next(n for n in range(stage, len(self.stages)) if self.stages[n].ordered)

    def _advance(self, flight: Flight) -> None:
        flight.deaths = 0
        stage = flight.stage + 1
        if flight.failed is not None and stage < len(self.stages):
            stage = self._next_ordered(stage)
        flight.stage = stage
        if stage < len(self.stages):
            self._queue(flight)
            return
        self._settle(flight, flight.why)

    def _settle(self, flight: Flight, what: messages.Failure | messages.Drop | None) -> None:
        """Nothing more will become of the frame: it is done, or what else happened to it."""
        stream = flight.stream
        stream.counts = stream.counts.plus(what)
        del stream.flights[flight.index]
        done = what is None
        if done:
            stream.lags.append(self._now - flight.since)
        self._send(stream.source, messages.Free(stream.session, flight.index, stream.counts, done))
        self._take_turns(stream)
        self._leave(stream)

    def _queue(self, flight: Flight) -> None:
        heapq.heappush(flight.stream.waiting[flight.stage], flight.index)
        self._take_turns(flight.stream)
        if flight.stream.policy == "live" and not self.stages[0].ordered:
            self._conflate(flight.stream)

    def _conflate(self, stream: Stream) -> None:
        """Newest wins: drop the oldest that nobody has begun with until few enough wait."""
        while len(stream.waiting[0]) > LIVE_QUEUE:
            index = heapq.heappop(stream.waiting[0])
            self._settle(stream.flights[index], "superseded")

    def _take_turns(self, stream: Stream) -> None:
        """Queue up the stream at every stage that could take a frame of it now."""
        for stage in range(len(self.stages)):
            if self._next_for(stream, stage) is not None:
                self._turns[stage].setdefault(stream.name, stream)

    def _next_for(self, stream: Stream, stage: int) -> int | None:
        """The frame of `stream` that `stage` may have now: in an ordered one only the next."""
        heap = stream.waiting[stage]
        if not heap:
            return None
        if self.stages[stage].ordered:
            for index, flight in stream.flights.items():
                if index == heap[0]:
                    break
                # What its one worker holds is before this one in its queue.
                held = flight.lease is not None and self.stages[stage].leases > 1
                if flight.stage < stage or (flight.stage == stage and not held):
                    return None
        return heap[0]

    def _ahead(self, flight: Flight) -> set[int]:
        """Loans that only the frame's own worker may have: of those before it in an ordered stage.

        While a dead worker and the one after it are both thought to live, there are two.
        """
        if not self.stages[flight.stage].ordered:
            return set()
        before = takewhile(lambda other: other is not flight, flight.stream.flights.values())
        return {other.lease for other in before if other.lease is not None}

    def _lend(self, stage: int) -> None:
        """Give the stage's idle workers frames, the streams taking turns."""
        idle, turns = self._idle[stage], self._turns[stage]
        while idle and turns:
            stream = self._whose_turn(stage)
            if stream is None:
                return
            del turns[stream.name]
            index = self._next_for(stream, stage)
            if index is None:
                continue
            flight = stream.flights[index]
            ahead = self._ahead(flight)
            # Over a frame that was with a worker that died, this one may die too: no others then.
            fit = (
                worker
                for worker in idle.values()
                if not (worker.loans and flight.deaths) and worker.loans.keys() >= ahead
            )
            worker = next(fit, None)
            if worker is None:
                self._turns[stage] = {stream.name: stream, **turns}
                return
            heapq.heappop(stream.waiting[stage])
            flight.lease = next(self._leases)
            worker.loans[flight.lease] = flight
            if flight.deaths or len(worker.loans) >= self.stages[stage].leases:
                del idle[worker.name]
            else:
                idle[worker.name] = idle.pop(worker.name)  # the others' turn
            if self._next_for(stream, stage) is not None:
                turns[stream.name] = stream
            self._send(
                worker.name, messages.Job(flight.lease, flight.slot, flight.failed), flight.frame
            )

    def _whose_turn(self, stage: int) -> Stream | None:
        """The stream to be served next; none of the live ones while enough of their frames are
        looked at: what is begun then would grow old, and a newer one may come meanwhile."""
        live = stage > 0 or self._begun() < self._side_by_side()
        turns = self._turns[stage].values()
        return next((stream for stream in turns if live or stream.policy == "every"), None)

    def _begun(self) -> int:
        """Frames of live streams on their way to the first ordered stage."""
        ordered = self._next_ordered(0)
        return sum(
            flight.stage < ordered and (flight.stage > 0 or flight.lease is not None)
            for stream in self.streams.values()
            if stream.policy == "live"
            for flight in stream.flights.values()
        )

    def _side_by_side(self) -> int:
        """Frames that can be looked at without getting into each other's way: one for each worker
        of a stage, which has as many as there are cores."""
        return max(Counter(worker.stage for worker in self.workers.values()).values())

    def _send(self, receiver: str, message: messages.Message, frame: bytes = b"") -> None:
        self._out.append((receiver, message, frame))

    def _flush(self) -> list[Send]:
        for stage in range(len(self.stages)):
            self._lend(stage)
        out, self._out = self._out, []
        return out


def _percentiles(lags: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile; 0 where there are none."""
    if not lags:
        return 0.0, 0.0
    ordered = sorted(lags)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
