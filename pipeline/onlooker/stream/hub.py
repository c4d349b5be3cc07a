"""The hub holds the frames in flight: which worker has each, and what became of it.

`Hub` is pure logic, without a socket or a clock: a message and the time go in, messages come out,
so that a test can play every process and every accident. `onlooker.stream.hub_process` puts it on a
socket; `onlooker.stream.scheduler` decides which worker gets which frame.

A frame is leased to one worker of its stage at a time. The lease ends with the worker's result, its
death (reported by the supervisor) or its silence. After a death or a silence the frame is leased
again, as the worker's only one; after `attempts` workers it has failed. A failed frame goes to the
ordered stages only, which get every frame of a stream, in the order of the index. Patterns: the
ZeroMQ guide's Paranoid Pirate and Majordomo. The difference: peers speak first, and the hub asks
unknown ones to register again.
"""

import logging
from collections.abc import Sequence
from typing import TypeAlias

from msgspec.structs import replace

from onlooker.config import schema
from onlooker.stream import messages
from onlooker.stream.hub_state import Flight, Stream
from onlooker.stream.messages import Counts
from onlooker.stream.scheduler import Scheduler
from onlooker.stream.stage import StageRow

Send: TypeAlias = tuple[str, messages.Message, bytes]
"""Receiver, message, frame."""

NO_SESSION = -1
"""Session of a stream without a source: the supervisor has reported its health."""
MAX_FORGOTTEN = 10_000
"""Forgotten streams whose last session is kept."""

logger = logging.getLogger(__name__)


class Hub:
    """The state of a run, and the answer to each message.

    `now` is in seconds of a clock that the sources share and that does not jump back. seed: differs
    from that of every other hub of the run.
    """

    def __init__(self, stages: Sequence[StageRow], settings: schema.Pipeline, seed: int) -> None:
        if not stages or not stages[-1].ordered:
            raise ValueError("the last stage must be ordered: there a stream's frames come out")
        self.stages = stages
        self.attempts = settings.attempts
        self.silence = settings.heartbeat * settings.liveness
        """Seconds after which a silent process counts as dead."""
        self.streams: dict[str, Stream] = {}
        self.error: str | None = None
        self.number = seed
        self._scheduler = Scheduler(stages, self.streams, first_lease=seed << 32)
        self.workers = self._scheduler.workers
        self._heard: dict[str, float] = {}
        """Time of the last message from each process."""
        self._feeding: dict[str, Stream] = {}
        """Streams by the name of their source."""
        self._frameless: set[str] = set()
        """Processes that handle no frames."""
        self._forgotten: dict[str, int] = {}
        """The last session of streams that were forgotten."""
        self._ticked: float | None = None
        self._staffed: float | None = None
        """When each stage had a worker for the first time."""
        self._now = 0.0
        self._out: list[Send] = []

    def handle(self, sender: str, message: messages.ToHub, frame: bytes, now: float) -> list[Send]:
        """Process a message from `sender`; return the messages to send."""
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
                self._health(message)
            case messages.Forget():
                self._forget(message)
            case messages.Register():
                self._heard[sender] = now
                self._frameless.add(sender)
            case messages.Heartbeat():
                self._heartbeat(message.name, now)
            case messages.Broken():
                self.error = self.error or message.error
            case messages.Died():
                self._gone(message.name, counted=message.counted)
                self._heard.pop(message.name, None)
            case messages.StatusRequest():
                self._send(sender, self.status())
        return self._flush()

    def unreachable(self, name: str) -> list[Send]:
        """Lease the frames of `name` elsewhere: a message to it could not be delivered."""
        self._gone(name, counted=False)
        return self._flush()

    def tick(self, now: float) -> list[Send]:
        """Treat processes that have been silent for too long as dead. Call it once a heartbeat."""
        slept = self._ticked is not None and now - self._ticked > self.silence
        self._ticked = now
        if slept:
            # It was the hub that slept: messages of its peers still wait to be read.
            self._heard = dict.fromkeys(self._heard, now)
        for name, heard in list(self._heard.items()):
            if now - heard > self.silence:
                logger.info("silent name=%s seconds=%.1f", name, now - heard)
                del self._heard[name]
                self._gone(name, counted=not self._scheduler.is_remote(name))
        return self._flush()

    def status(self) -> messages.Status:
        """Return everything that is known."""
        return messages.Status(
            streams=tuple(stream.status for stream in self.streams.values()),
            workers=tuple(
                worker.status(self.stages[worker.stage].name) for worker in self.workers.values()
            ),
            alive=tuple(self._heard),
            error=self.error,
        )

    # Sources

    def _open(self, sender: str, message: messages.Open, now: float) -> None:
        if message.hub not in (None, self.number):
            # The answer to an earlier hub; what that one settled is still on its way to the source.
            self._send(sender, messages.RegisterAgain(self.number))
            return
        if message.session <= self._forgotten.get(message.stream, NO_SESSION):
            return
        self._heard[sender] = now
        stream = self.streams.get(message.stream)
        if stream is None or stream.session == NO_SESSION:
            health, reconnects = (stream.health, stream.reconnects) if stream else ("", {})
            settled = message.counts.settled
            stream = self.streams[message.stream] = Stream(
                name=message.stream,
                policy=message.policy,
                source=sender,
                session=message.session,
                next=min(message.held, default=message.next),
                # The frames in flight in an earlier hub are offered again.
                counts=replace(message.counts, received=settled),
                frames=message.frames,
                waiting=[[] for _ in self.stages],
                health=health,
                reconnects=reconnects,
            )
            stream.register(message)
        elif message.session < stream.session:
            return  # this source has been replaced
        elif message.session > stream.session:
            self._restart(stream)
            self._feeding.pop(stream.source, None)
            stream.source, stream.session = sender, message.session
            stream.policy, stream.frames = message.policy, message.frames
        else:
            stream.register(message)
        self._feeding[sender] = stream
        in_flight = tuple(stream.flights)
        self._send(sender, messages.Start(stream.session, stream.next, in_flight, stream.counts))

    def _health(self, message: messages.Health) -> None:
        if message.session <= self._forgotten.get(message.stream, NO_SESSION):
            return
        stream = self.streams.get(message.stream)
        if stream is None:
            waiting: list[list[int]] = [[] for _ in self.stages]
            stream = Stream(message.stream, "live", "", NO_SESSION, 0, Counts(), None, waiting)
            self.streams[message.stream] = stream
        stream.reconnects[message.session] = message.reconnects
        if message.session >= stream.session:
            stream.health = message.text

    def _restart(self, stream: Stream) -> None:
        """Drop the frames in flight: their pixels are lost with the source, or soon will be."""
        lost = len(stream.flights)
        if stream.policy == "every":  # they will be offered again
            stream.next = stream.oldest
            stream.counts = replace(stream.counts, received=stream.counts.received - lost)
            self._scheduler.reset(stream)
        else:
            stream.next = max(stream.next, stream.announced)
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
            self._send(sender, messages.RegisterAgain(self.number))  # a message was lost
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
        why: messages.Failure | None = None
        if message.failed is not None:
            why = "lost" if message.failed.startswith(messages.LOST) else "undecodable"
        flight = Flight(
            stream,
            message.index,
            message.slot,
            frame,
            message.failed,
            why,
            message.captured,
            message.same,
        )
        stream.flights[flight.index] = flight
        if message.dropped is not None:
            self._settle(flight, message.dropped)
            return
        if flight.ordered_only:
            flight.stage = self._scheduler.next_ordered(0)
        self._queue(flight)

    def _forget(self, message: messages.Forget) -> None:
        self._forgotten.pop(message.stream, None)
        self._forgotten[message.stream] = message.session
        if len(self._forgotten) > MAX_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]
        stream = self.streams.get(message.stream)
        if stream is not None and stream.session <= message.session:
            stream.leaving = True
            self._leave(stream)

    def _leave(self, stream: Stream) -> None:
        if stream.leaving and not stream.flights:
            self._scheduler.remove(stream)
            del self.streams[stream.name]
            self._feeding.pop(stream.source, None)
            self._heard.pop(stream.source, None)

    def _end(self, sender: str, message: messages.End, now: float) -> None:
        stream = self._stream(sender, message.stream, message.session, now)
        if stream is None:
            return
        if message.frames > stream.next:
            self._send(sender, messages.RegisterAgain(self.number))
            return
        stream.ended, stream.frames, stream.error = True, message.frames, message.error
        if stream.finished:
            self._scheduler.reset(stream)

    def _stream(self, sender: str, name: str, session: int, now: float) -> Stream | None:
        """Return the stream that `sender` feeds; None if it feeds none, or no longer."""
        stream = self.streams.get(name)
        if stream is None:
            self._send(sender, messages.RegisterAgain(self.number))
            return None
        if stream.session != session:
            return None
        self._heard[sender] = now
        return stream

    # Workers

    def _ready(self, sender: str, message: messages.Ready, now: float) -> None:
        numbers = [n for n, stage in enumerate(self.stages) if stage.name == message.stage]
        if not numbers:
            self.error = f"{sender} works for stage {message.stage!r}, which this run does not have"
            return
        self._gone(sender, counted=False)  # its leases did not reach it
        self._heard[sender] = now
        self._scheduler.join(sender, numbers[0], message.remote)
        if self._staffed is None and self._scheduler.staffed:
            self._staffed = now

    def _result(self, sender: str, message: messages.Result, frame: bytes, now: float) -> None:
        worker = self.workers.get(sender)
        if worker is None:
            self._send(sender, messages.RegisterAgain(self.number))
            return
        self._heard[sender] = now
        flight = worker.leases.get(message.lease)
        if flight is None:
            return  # a lease that was taken from it
        if flight.lease == message.lease and self._scheduler.has_skipped(flight):
            # The job or the result of an earlier frame was lost.
            self._gone(sender, counted=False)
            self._send(sender, messages.RegisterAgain(self.number))
            return
        del worker.leases[message.lease]
        worker.busy, worker.model, worker.cpu = message.busy, message.model, message.cpu
        worker.frames += 1
        self._scheduler.idle(worker)
        if flight.lease == message.lease:
            flight.lease = None
            flight.frame, flight.begun = frame, message.begun
            if self.stages[flight.stage].stateful:
                flight.stream.outputs[flight.stage] = frame
            if message.failed is None:
                flight.known = message.known
                self._advance(flight)
            else:
                self._fail(flight, message.failed, "error")

    def _heartbeat(self, name: str, now: float) -> None:
        self._heard[name] = now
        if name not in self._frameless and name not in self.workers and name not in self._feeding:
            self._send(name, messages.RegisterAgain(self.number))

    def _gone(self, name: str, counted: bool) -> None:
        """Take back the frames of worker `name`; `counted` if one may have killed it."""
        self._frameless.discard(name)
        flights = self._scheduler.leave(name)
        for flight in flights:
            flight.deaths += counted
        for flight in flights:
            if flight.deaths < self.attempts:
                self._queue(flight)
            else:
                stage = self.stages[flight.stage].name
                cause = f"{stage}: {flight.deaths} {messages.POISONED}"
                self._fail(flight, cause, "poisoned")

    # Frames

    def _queue(self, flight: Flight) -> None:
        self._scheduler.queue(flight)
        live = flight.stream.policy == "live"
        if live and flight.stage == 0 and not self.stages[0].ordered:
            self._thin(flight.stream)

    def _thin(self, stream: Stream) -> None:
        """Take the oldest frames for which the first stage has no time: newer ones wait as well.

        They are followed instead of searched if a frame shortly before was. Otherwise they wait
        until they are too old or too many.
        """
        follows = self.stages[self._scheduler.next_ordered(0)].follows
        while (old := self._scheduler.oldest_of_several(stream)) is not None:
            carried = follows and stream.may_be_carried(old)
            if not carried and not stream.waits_in_vain(old, self._now, self._staffed):
                return
            self._scheduler.withdraw_oldest(stream)
            if carried:
                self._carry(old)
            else:
                self._settle(old, "superseded")

    def _carry(self, flight: Flight) -> None:
        """Have the frame's faces and text followed instead of searched."""
        flight.carried = True
        flight.stream.carried += 1
        flight.stage = self._scheduler.next_ordered(0)
        self._scheduler.queue(flight)

    def _fail(self, flight: Flight, cause: str, why: messages.Failure) -> None:
        if flight.failed is not None:
            stream, index = flight.stream.name, flight.index
            self.error = self.error or f"frame {index} of {stream} cannot be recorded: {cause}"
            return
        flight.failed, flight.why = cause, why
        flight.deaths = 0
        if why == "error" and self.stages[flight.stage].ordered:
            self._advance(flight)  # this stage has taken it, as a failed one
            return
        # This stage too, if it is ordered: it may be able to take the frame as a failed one.
        flight.stage = self._scheduler.next_ordered(flight.stage)
        self._queue(flight)

    def _advance(self, flight: Flight) -> None:
        flight.deaths = 0
        stage = flight.stage + 1
        if flight.ordered_only and stage < len(self.stages):
            stage = self._scheduler.next_ordered(stage)
        flight.stage = stage
        if stage < len(self.stages):
            self._queue(flight)
            return
        self._settle(flight, flight.why)

    def _settle(self, flight: Flight, what: messages.Failure | messages.Drop | None) -> None:
        """Count the frame as done (None), failed or dropped, and free its slot."""
        stream = flight.stream
        stream.counts = stream.counts.plus(what, flight.begun)
        del stream.flights[flight.index]
        done = what is None
        if done:
            stream.lags.append(self._now - flight.captured)
        self._send(stream.source, messages.Free(stream.session, flight.index, stream.counts, done))
        self._scheduler.take_turns(stream)
        if stream.finished:
            self._scheduler.reset(stream)
        self._leave(stream)

    # Messages

    def _send(self, receiver: str, message: messages.Message, frame: bytes = b"") -> None:
        self._out.append((receiver, message, frame))

    def _flush(self) -> list[Send]:
        for lease in self._scheduler.lend():
            if self._scheduler.released:  # first: a worker may get its stream back with the lease
                self._send_releases()
            flight = lease.flight
            if flight.stage == 0:
                flight.stream.carried, flight.stream.searched = 0, flight.captured
            job = messages.Job(
                lease.number,
                flight.slot,
                flight.failed,
                lease.before,
                flight.carried,
                flight.captured,
            )
            self._send(lease.worker.name, job, flight.frame)
        if self._scheduler.released:
            self._send_releases()
        out, self._out = self._out, []
        return out

    def _send_releases(self) -> None:
        for worker, stream in self._scheduler.released:
            self._send(worker.name, messages.Release(stream))
        self._scheduler.released.clear()
