"""The hub of another machine, as the workers of this one see it.

Workers are the same processes everywhere: they have a hub on their own machine, and find pixels in
a ring. `RemoteHub` is that hub. It passes their messages on to the gateway of the run, writes the
pixels that come from there into a ring, and joins again if the connection is lost.
"""

import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import zmq
from msgspec.structs import replace

from onlooker.errors import OnlookerError
from onlooker.media.picture import Planes
from onlooker.record import curve_keys
from onlooker.record.curve_keys import KeyPair
from onlooker.record.sinks.publish_messages import keep_alive
from onlooker.stream import gateway_messages, messages, run_directory
from onlooker.stream.equal_results import program_version
from onlooker.stream.feeds import Feed
from onlooker.stream.gateway_messages import (
    ArrivingImage,
    Join,
    JoinAgain,
    Leave,
    MachineMessage,
    Ping,
    Refused,
    Settings,
    Took,
    Welcome,
)
from onlooker.stream.messages import MessageError, Slot, Status, WorkerStatus
from onlooker.stream.ring_slots import RingSlots

JOIN_SECONDS = 1.0
"""Time between two attempts to join."""
MAX_IN_A_ROW = 100
"""Messages that are passed on in one direction before the other has its turn."""
LEAVE_MS = 1000
"""Longest time that the last message may take."""

logger = logging.getLogger(__name__)


class RefusedError(OnlookerError):
    """This machine cannot work for the run; the text says why and what to do."""


@dataclass(slots=True)
class LocalWorker:
    """A worker of this machine."""

    heard: float
    stage: str = ""
    registered: bool = False
    """Whether the run's hub knows it: it need not be told again."""
    held: dict[int, Slot | None] = field(default_factory=dict)
    """The slot of each frame that it has, by lease; None if that has been taken from it."""
    status: WorkerStatus | None = None


class Arriving(NamedTuple):
    """A job whose pixels are on their way."""

    worker: str
    job: messages.Job
    frame: bytes
    image: ArrivingImage


class RemoteHub:
    """A connection to a run's gateway, and the socket for this machine's workers.

    endpoint: the gateway's, `tcp://HOST:PORT`. server: its public key. machine: this one's name.
    """

    def __init__(self, endpoint: str, keys: KeyPair, server: str, machine: str) -> None:
        self.workers: dict[str, LocalWorker] = {}
        """Those that have been heard of."""
        self.welcome: Welcome | None = None
        """The run that was joined last."""
        self.frames = 0
        """Frames that this machine's workers have answered."""
        self.broken: str | None = None
        """Why a worker cannot work, if one has said so."""
        self._endpoint = endpoint
        self._keys = keys
        self._server = server
        self._machine = machine
        self._session = secrets.token_hex(16)
        self._context = zmq.Context()
        self._heard = self._asked = self._pinged = time.monotonic() - JOIN_SECONDS
        """Times of the gateway's last message, of the last Join, of the last Ping."""
        self.joined = False
        self._served: Welcome | None = None
        """The run that the workers were started for: another one has other settings."""
        self._run: Path | None = None
        self._slots: RingSlots | None = None
        self._local: zmq.Socket[bytes] | None = None
        self._arriving: Arriving | None = None
        self._upstream = self._connect()

    @property
    def heartbeat(self) -> float:
        """Seconds between two Pings."""
        return self.welcome.config.pipeline.heartbeat if self.welcome else JOIN_SECONDS

    @property
    def silence(self) -> float:
        """Seconds after which a silent peer counts as dead."""
        return self.heartbeat * (self.welcome.config.pipeline.liveness if self.welcome else 3)

    @property
    def serves(self) -> bool:
        """Whether this machine's workers work for the run that was joined last."""
        return self.joined and self._served is not None and self._served == self.welcome

    def listen(self, welcome: Welcome, run: Path, endpoint: str, slots: int) -> None:
        """Be the hub of workers for the run of `welcome` that connect to `endpoint`.

        Up to `slots` images are kept in the directory `run`.
        """
        assert self._local is None, "it has workers already"
        self._served = welcome
        self._run, self._slots = run, RingSlots(f"{run}/images", slots)
        self._local = self._context.socket(zmq.ROUTER)
        self._local.linger = 0
        self._local.router_mandatory = 1
        self._local.bind(endpoint)

    def unlisten(self) -> None:
        """Have no workers any more."""
        if self._local is not None:
            self._local.close()
        self._local = self._slots = self._run = None
        self.workers.clear()

    def step(self, seconds: float) -> None:
        """Pass messages on in both directions, after a wait of up to `seconds` for the first.

        Raises RefusedError if the gateway refuses this machine; OSError if a ring has no room.
        """
        poller = zmq.Poller()
        poller.register(self._upstream, zmq.POLLIN)
        if self._local is not None:
            poller.register(self._local, zmq.POLLIN)
        poller.poll(round(seconds * 1000))
        now = time.monotonic()
        for _ in range(MAX_IN_A_ROW):
            if not self._read_upstream(now):
                break
        for _ in range(MAX_IN_A_ROW):
            if not self._read_local(now):
                break
        self._keep_up(now)

    def died(self, name: str) -> None:
        """Say that a worker has died."""
        worker = self.workers.pop(name, None)
        if worker is not None:
            self._release_all(worker)
        self._pass_up(name, messages.pack(messages.Died(name)))

    def close(self) -> None:
        """Leave the run and disconnect."""
        if self.joined:
            self._upstream.linger = LEAVE_MS
            self._say(Leave())
        self.unlisten()
        self._upstream.close()
        self._context.term()

    # The gateway

    def _connect(self) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.maxmsgsize = gateway_messages.MAX_ANSWER_BYTES
        socket.handshake_ivl = gateway_messages.HANDSHAKE_MS
        socket.reconnect_ivl, socket.reconnect_ivl_max = 100, 2000  # ms
        socket.ipv6 = self._endpoint.startswith("tcp://[")
        keep_alive(socket)
        curve_keys.present(socket, self._keys, self._server)
        socket.connect(self._endpoint)
        return socket

    def _keep_up(self, now: float) -> None:
        """Join, or ping; connect again if the gateway is silent, however the connection looks."""
        if now - self._heard > self.silence:
            if self.joined:
                logger.warning("hub lost endpoint=%s", self._endpoint)
            self.joined = False
            self._upstream.close()
            self._arriving = None
            self._upstream = self._connect()
            self._heard = self._asked = now
            self._say(self._join)
        elif not self.joined and now - self._asked > JOIN_SECONDS:
            self._asked = now
            self._say(self._join)
        elif self.joined and now - self._pinged > self.heartbeat:
            self._pinged = now
            self._say(Ping())

    @property
    def _join(self) -> Join:
        return Join(program_version(), self._machine, self._session)

    def _read_upstream(self, now: float) -> bool:
        """Handle a message of the gateway; return whether there was one."""
        try:
            first, *parts = self._upstream.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        self._heard = now
        try:
            match parts:
                case []:
                    self._take(gateway_messages.unpack_from_gateway(first.bytes), now)
                case [piece]:
                    self._add(piece.buffer)
                case [message, frame]:
                    self._pass_down(first.bytes, [message.bytes, frame.bytes])
                case [message, frame, size]:
                    job, data = messages.unpack_from_hub([message.bytes, frame.bytes])
                    if isinstance(job, messages.Job):
                        name, image = _name(first.bytes), ArrivingImage(size.bytes)
                        self._arriving = Arriving(name, job, data, image)
        except MessageError as error:
            logger.error("message of the hub dropped error=%s", error)
        return True

    def _take(self, message: gateway_messages.FromGateway, now: float) -> None:
        match message:
            case Welcome():
                if not self.joined:
                    logger.info("hub joined endpoint=%s", self._endpoint)
                self.welcome, self.joined = message, True
                for worker in self.workers.values():
                    worker.registered = False
                    self._release_all(worker)
            case Refused():
                raise RefusedError(f"{self._endpoint}: {message.error}")
            case JoinAgain():
                self.joined = False
                if now - self._asked > self.heartbeat / 2:
                    self._asked = now
                    self._say(self._join)
            case Settings() if self.serves and self._run is not None:
                source, number = message.source, message.feed
                feed = Feed(stream=message.stream, source=source, number=number)
                run_directory.write_feed(self._run, feed)

    def _add(self, piece: memoryview) -> None:
        """Take a piece of an image; pass its job on when it is whole."""
        if (arriving := self._arriving) is None:
            raise MessageError("a piece of no image")
        try:
            arriving.image.add(piece)
        except MessageError:
            self._arriving = None
            raise
        if arriving.image.whole:
            self._arriving = None
            self._say(Took())
            self._lend(arriving.worker, arriving.job, arriving.frame, arriving.image.planes)

    def _pass_down(self, name: bytes, parts: Sequence[bytes]) -> None:
        """Pass a message of the hub on to a worker."""
        message, frame = messages.unpack_from_hub(parts)
        if isinstance(message, messages.Job):
            self._lend(_name(name), message, frame, None)
            return
        if isinstance(message, messages.RegisterAgain) and _name(name) in self.workers:
            self.workers[_name(name)].registered = False
        self._tell(_name(name), message, frame)

    def _lend(self, name: str, job: messages.Job, frame: bytes, planes: Planes | None) -> None:
        """Give a worker a job, its pixels by a ring."""
        worker = self.workers.get(name)
        if not self.serves or worker is None:
            return  # one that has died; the hub has heard, or will hear
        slot = None if planes is None else self._write(planes)
        worker.held[job.lease] = slot
        self._tell(name, replace(job, slot=slot), frame)

    def _tell(self, name: str, message: messages.Message, frame: bytes) -> None:
        if self._local is None or not self.serves:
            return
        try:
            parts = [name.encode(), *messages.pack(message, frame)]
            self._local.send_multipart(parts, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            logger.debug("not sent name=%s", name)  # it has died, or registers again

    def _write(self, planes: Planes) -> Slot:
        """Write an image into a slot. If none is free, a frame has one that was lent elsewhere."""
        assert self._slots is not None
        while (slot := self._slots.write(planes)) is None:
            held = (
                (worker.held, lease) for worker in self.workers.values() for lease in worker.held
            )
            leases, lease = next(each for each in held if each[0][each[1]] is not None)
            self._release(leases[lease])
            leases[lease] = None
        return slot

    # This machine's workers

    def _read_local(self, now: float) -> bool:
        """Handle a message of a worker; return whether there was one."""
        if self._local is None:
            return False
        try:
            sender, *parts = self._local.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        message, _ = messages.unpack_to_hub(parts)
        name = sender.decode(errors="replace")
        match message:
            case messages.Heartbeat():
                name = message.name
                self._worker(name, now)
            case messages.Ready():
                worker = self._worker(name, now)
                if worker.registered and not worker.held:
                    return True  # it has waited for long: its next frames may be on their way
                worker.stage = message.stage
                self._release_all(worker)
                worker.registered = self._pass_up(name, parts)
                return True
            case messages.Result():
                worker = self._worker(name, now)
                if message.lease not in worker.held:
                    return True  # it was lent by another run, or before the worker registered
                slot = worker.held.pop(message.lease)
                self._release(slot)
                if slot is None and message.failed is not None:
                    # Its pixels were overwritten here, which says nothing about the frame.
                    self._release_all(worker)
                    self._pass_up(name, messages.pack(messages.Ready(worker.stage)))
                    return True
                self.frames += 1
                frames = worker.status.frames if worker.status else 0
                worker.status = WorkerStatus(
                    name, worker.stage, frames + 1, message.busy, message.model, message.cpu
                )
            case messages.Broken():
                self.broken = message.error
                return True
            case messages.StatusRequest():
                statuses = tuple(each.status for each in self.workers.values() if each.status)
                status = Status(workers=statuses, alive=tuple(self.workers))
                with suppress(zmq.ZMQError):  # who asked does not wait for it any more
                    self._local.send_multipart([sender, *messages.pack(status)], zmq.NOBLOCK)
                return True
        self._pass_up(name, parts)
        return True

    def _worker(self, name: str, now: float) -> LocalWorker:
        worker = self.workers.setdefault(name, LocalWorker(now))
        worker.heard = now
        return worker

    def _release_all(self, worker: LocalWorker) -> None:
        """Forget the worker's leases, which are void."""
        for slot in worker.held.values():
            self._release(slot)
        worker.held.clear()

    def _release(self, slot: Slot | None) -> None:
        if self._slots is not None and slot is not None:
            self._slots.release(slot)

    def _pass_up(self, name: str, parts: Sequence[bytes]) -> bool:
        """Pass a worker's message on; return whether the run's hub will have it."""
        if not self.serves:
            return False  # what was lent to this machine is lent elsewhere by now
        try:
            self._upstream.send_multipart([name.encode(), *parts], zmq.NOBLOCK)
        except zmq.Again:
            logger.debug("not sent to the hub name=%s", name)
            return False
        return True

    def _say(self, message: MachineMessage) -> None:
        try:
            self._upstream.send(gateway_messages.pack(message), zmq.NOBLOCK)
        except zmq.Again:
            logger.debug("not sent to the hub message=%s", type(message).__name__)


def _name(part: bytes) -> str:
    return part.decode(errors="replace")
