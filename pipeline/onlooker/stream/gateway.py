"""The workers of other machines, as a run's hub sees them.

The gateway stands between them and the hub: to the hub each is a worker like those of its own
machine, with a socket and a name of its own. The gateway adds the pixels to a job, which lie in
this machine's memory. A machine that is silent is given up: its workers leave, and what they answer
later is not theirs to answer any more.

Machines are admitted by their keys, and they are not trusted beyond that: of their messages only
those pass that a worker of a stage without state and order may send, and of their results those
that answer what was lent to that worker.
"""

import hashlib
import logging
import random
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.errors import OnlookerError
from onlooker.models.card import space
from onlooker.stream import gateway_messages, messages, remote_result, run_directory
from onlooker.stream.equal_results import facts, program_version
from onlooker.stream.gateway_messages import (
    Join,
    Leave,
    MachineMessage,
    StageSettings,
    Took,
    Welcome,
)
from onlooker.stream.messages import MessageError, Slot
from onlooker.stream.ring import FrameGone
from onlooker.stream.ring_reader import RingReader
from onlooker.stream.run_directory import Plan

MAX_MACHINES = 256
WORKER_NAME = rb"[0-9A-Za-z.-]+"
"""Form of the names of workers on their machine."""
MAX_WORKERS = 1500
"""Workers of all machines. Each takes two open files of this process, and one of the hub."""
MAX_UNTAKEN_BYTES = 8 * 2**20
"""Pixels on their way to a machine, and the rest of an image; more wait in their rings."""
MAX_VOID = 1000
"""Leases of a worker that are remembered when they are void."""
MAX_IN_A_ROW = 100
"""Messages of machines that are handled before the workers' sockets are read again."""
NO_URL = "test://moving"
"""Takes the place of a source's URL, which may have a password, on its way to other machines."""

logger = logging.getLogger(__name__)


class MachineRefused(OnlookerError):
    """The machine cannot work for the run; the text is for its user."""


@dataclass(slots=True, eq=False)
class Worker:
    """A worker of another machine."""

    name: str
    """Its name in the hub."""
    socket: "zmq.Socket[bytes]"
    """Its connection to the hub."""
    lent: dict[int, bytes] = field(default_factory=dict)
    """Frames that it has not answered, by lease. No two hubs of any run have a lease in common."""
    void: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_VOID))
    """Leases that it had when it registered again. It may answer those that were on their way."""
    spent: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Seconds of its last result: busy, model, cpu."""


@dataclass(slots=True, eq=False)
class Machine:
    """A machine that works for the run."""

    name: str
    session: str
    heard: float
    suffix: str
    """Ends the names of its workers. No two machines that ever joined share one."""
    workers: dict[str, Worker] = field(default_factory=dict)
    """By the name that the machine has for each."""
    feeds: set[int] = field(default_factory=set)
    """Feeds whose settings it has."""
    waiting: deque[tuple[str, messages.Job, bytes]] = field(default_factory=deque)
    """Jobs to be sent to it, each with its worker and its frame."""
    untaken: deque[int] = field(default_factory=deque)
    """Bytes of the images that it was sent and has not taken."""


class Gateway:
    """The machines that work for the run in directory `run`.

    router: a bound ROUTER socket with ZMQ_ROUTER_MANDATORY; its peers are machines. `step` and
    `tick` must be called again and again; `now` is in seconds of a clock that does not jump back.
    """

    def __init__(
        self,
        run: Path,
        plan: Plan,
        router: "zmq.Socket[bytes]",
        max_workers: int = MAX_WORKERS,
    ) -> None:
        self.machines: dict[bytes, Machine] = {}
        """By the router's name for each."""
        self._run = run
        self._plan = plan
        self._silence = plan.config.pipeline.heartbeat * plan.config.pipeline.liveness
        self._max_workers = max_workers
        self._vector_bytes = 4 * space(plan.config.faces.embedder).dim
        self._refused: set[str] = set()
        """Names of machines whose results were refused, which is said once."""
        self._context = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, max_workers + 1)
        self._router = router
        self._rings = RingReader()
        self._poller = zmq.Poller()
        self._poller.register(router, zmq.POLLIN)
        self._owners: dict[zmq.Socket[bytes], tuple[bytes, str]] = {}
        """Machine and worker of each connection to the hub."""
        self._stages = {row.name for row in plan.stages if not row.ordered}
        self._welcome = Welcome(
            run=hashlib.sha256(plan.hub.encode()).hexdigest(),
            config=shared(plan.config),
            stages=tuple(
                StageSettings(row.name, row.leases, row.batch)
                for row in plan.stages
                if not row.ordered
            ),
            facts=facts(plan.config),
        )

    def step(self, seconds: float, now: float) -> None:
        """Pass on all messages that have arrived, after a wait of up to `seconds` for the first."""
        ready = dict(self._poller.poll(round(seconds * 1000)))
        if self._router in ready:
            self._read_machines(now)
        for socket in ready:
            if socket in self._owners:
                self._read_hub(socket)

    def tick(self, now: float) -> None:
        """Give up machines that have been silent for too long. Call it once a heartbeat."""
        for peer, machine in list(self.machines.items()):
            if now - machine.heard > self._silence:
                self._give_up(peer, f"silent for {now - machine.heard:.1f} s")

    def close(self) -> None:
        """Have all machines' workers leave."""
        for peer in list(self.machines):
            self._give_up(peer, "the gateway closes")
        self._context.term()

    # From machines

    def _read_machines(self, now: float) -> None:
        for _ in range(MAX_IN_A_ROW):
            try:
                peer, *parts = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._take(peer, parts, now)
            except MachineRefused as error:
                self._refuse(peer, str(error))
            except MessageError as error:
                logger.error("message of a machine dropped error=%s", error)

    def _take(self, peer: bytes, parts: Sequence[bytes], now: float) -> None:
        machine = self.machines.get(peer)
        if len(parts) == 1:
            message = gateway_messages.unpack_to_gateway(parts[0])
            if isinstance(message, Join):
                self._join(peer, message, now)
                return
            if machine is not None:
                machine.heard = now
                if isinstance(message, Leave):
                    self._give_up(peer, "it leaves")
                elif isinstance(message, Took):
                    if machine.untaken:  # else an image of before it joined again
                        machine.untaken.popleft()
                    self._send_waiting(peer, machine)
                else:
                    self._answer(peer, message)
                return
        if machine is None:
            self._answer(peer, gateway_messages.JoinAgain())
            return
        machine.heard = now
        if len(parts) != 3 or not 1 <= len(parts[0]) <= gateway_messages.MAX_NAME_BYTES:
            raise MessageError(f"a worker's message has 3 parts, this one {len(parts)}")
        if not re.fullmatch(WORKER_NAME, parts[0]):
            raise MessageError(f"{parts[0]!r} is no worker's name")
        self._pass_on(peer, machine, parts[0].decode(), parts[1:])

    def _join(self, peer: bytes, join: Join, now: float) -> None:
        for other, machine in list(self.machines.items()):
            # It has connected again, or asks again.
            if machine.session == join.session or other == peer:
                self._give_up(other, "it joins again")
        ours = program_version()
        if join.version != ours:
            raise MachineRefused(
                f"the hub's machine has onlooker {ours}, this one {join.version}; install "
                f"onlooker {ours} here"
            )
        if len(self.machines) >= MAX_MACHINES:
            raise MachineRefused(
                f"the hub has {MAX_MACHINES} machines already, the most that it takes"
            )
        name = re.sub(r"[^0-9A-Za-z.-]", "-", join.machine)
        suffix = f"{random.SystemRandom().getrandbits(32):08x}"
        name = name[: gateway_messages.MAX_NAME_BYTES] or "machine"
        self.machines[peer] = Machine(name, join.session, now, suffix)
        logger.info("machine joined name=%s", name)
        self._answer(peer, self._welcome)

    def _pass_on(self, peer: bytes, machine: Machine, name: str, parts: Sequence[bytes]) -> None:
        """Pass a worker's message on to the hub, if it is one that such a worker may send."""
        message, frame = messages.unpack_to_hub(parts)
        match message:
            case messages.Ready() if message.stage in self._stages:
                worker = self._worker(peer, machine, name)
                worker.void.extend(worker.lent)
                worker.lent.clear()
                self._tell_hub(worker, replace(message, remote=True))
            case messages.Heartbeat():
                worker = self._worker(peer, machine, name)
                self._tell_hub(worker, messages.Heartbeat(worker.name))
            case messages.Result() if name in machine.workers:
                self._answer_hub(machine, machine.workers[name], message, frame)
            case messages.Died() if name in machine.workers:
                self._dismiss(machine, name, counted=True)
            case messages.Result() | messages.Died():
                pass  # of a worker that has left
            case _:
                raise MessageError(f"{machine.name} sent {type(message).__name__}")

    def _answer_hub(
        self, machine: Machine, worker: Worker, result: messages.Result, frame: bytes
    ) -> None:
        """Pass a result on. Raises MachineRefused unless it answers a frame that the worker has."""
        lent = worker.lent.pop(result.lease, None)
        if lent is None and result.lease in worker.void:
            return
        try:
            if lent is None:
                raise MessageError("an answer with a lease that it does not have")
            frame = remote_result.checked(result, lent, frame, self._vector_bytes)
        except MessageError as error:
            if machine.name not in self._refused:
                self._refused.add(machine.name)
                logger.error("result refused machine=%s cause=%s", machine.name, error)
            raise MachineRefused(
                f"the hub has had {error}; this machine's onlooker does not work as it should"
            ) from error
        worker.spent = result.busy, result.model, result.cpu
        failed = result.failed and result.failed[: remote_result.MAX_CAUSE]
        result = replace(result, known=False, begun=(0, 0), failed=failed)
        self._tell_hub(worker, result, frame)

    def _worker(self, peer: bytes, machine: Machine, name: str) -> Worker:
        worker = machine.workers.get(name)
        if worker is None:
            full = f"{machine.name}/{name}.{machine.suffix}"
            try:
                if len(self._owners) >= self._max_workers:
                    raise MachineRefused(
                        f"the hub takes {self._max_workers} workers of other machines, and has "
                        f"them; begin fewer with `onlooker worker --workers`"
                    )
                socket = self._context.socket(zmq.DEALER)
            except zmq.ZMQError as error:
                raise MachineRefused(f"the hub has no room for {full}: {error.strerror}") from error
            socket.routing_id = full.encode()
            socket.linger = 1000  # ms; its last message says that it leaves
            socket.reconnect_ivl = 20  # ms
            socket.connect(self._plan.hub)
            worker = machine.workers[name] = Worker(full, socket)
            self._owners[socket] = peer, name
            self._poller.register(socket, zmq.POLLIN)
        return worker

    def _tell_hub(self, worker: Worker, message: messages.Message, frame: bytes = b"") -> None:
        try:
            worker.socket.send_multipart(messages.pack(message, frame), zmq.NOBLOCK)
        except zmq.Again:  # so much waits for a hub that does not run; the next asks its workers
            logger.debug("not sent to the hub message=%s", type(message).__name__)

    # From the hub

    def _read_hub(self, socket: "zmq.Socket[bytes]") -> None:
        while socket in self._owners:
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            peer, name = self._owners[socket]
            message, frame = messages.unpack_from_hub(parts)
            if isinstance(message, messages.Job):
                self._lend(peer, name, message, frame)
            else:
                self._send(peer, [name.encode(), *messages.pack(message, frame)])

    def _lend(self, peer: bytes, name: str, job: messages.Job, frame: bytes) -> None:
        """Send a job with its pixels; if they are gone, answer it."""
        if (machine := self.machines.get(peer)) is None:
            return
        found = messages.unpack_frame(frame)
        if found.feed not in machine.feeds:
            self._send_settings(peer, machine, found.feed)
        worker = machine.workers.get(name)
        if worker is None:
            return  # the machine has just been given up
        worker.lent[job.lease] = frame
        machine.waiting.append((name, job, frame))
        self._send_waiting(peer, machine)

    def _send_waiting(self, peer: bytes, machine: Machine) -> None:
        """Send jobs for which a machine has room, until it is given up."""
        while machine.waiting and sum(machine.untaken) < MAX_UNTAKEN_BYTES:
            name, job, frame = machine.waiting.popleft()
            worker = machine.workers.get(name)
            if worker is None or job.lease not in worker.lent:
                continue  # it has died, or registered again
            header, pieces = [name.encode(), *messages.pack(job, frame)], list[memoryview]()
            if job.slot is not None:
                try:
                    size, pieces = self._image(job.slot)
                except (FrameGone, FileNotFoundError) as error:
                    found = messages.unpack_frame(frame)
                    cause = f"FrameGone: frame {found.index} of {found.stream}: {error}"
                    del worker.lent[job.lease]
                    self._tell_hub(worker, messages.Result(job.lease, cause, *worker.spent), frame)
                    continue
                header.append(size)
                machine.untaken.append(sum(map(len, pieces)))
            self._send(peer, header)
            for piece in pieces:
                self._send(peer, [gateway_messages.PIECE, piece])

    def _image(self, slot: Slot) -> tuple[bytes, list[memoryview]]:
        planes, intact = self._rings.planes(slot)
        packed = gateway_messages.pack_image(planes)
        if not intact():
            raise FrameGone("it was overwritten while it was copied")
        return packed

    def _send_settings(self, peer: bytes, machine: Machine, number: int) -> None:
        try:
            feed = run_directory.read_feed(self._run, number)
        except FileNotFoundError:  # its stream has just been removed
            return
        source = replace(feed.source, url=NO_URL)
        self._answer(peer, gateway_messages.Settings(number, feed.stream, source))
        machine.feeds.add(number)

    # Ends

    def _refuse(self, peer: bytes, error: str) -> None:
        self._answer(peer, gateway_messages.Refused(error))
        self._give_up(peer, f"refused: {error}")

    def _dismiss(self, machine: Machine, name: str, counted: bool) -> None:
        """Have a worker leave the hub. counted: see messages.Died."""
        worker = machine.workers.pop(name)
        del self._owners[worker.socket]
        self._poller.unregister(worker.socket)
        self._tell_hub(worker, messages.Died(worker.name, counted))
        worker.socket.close()

    def _give_up(self, peer: bytes, cause: str) -> None:
        machine = self.machines.pop(peer, None)
        if machine is not None:
            logger.info("machine left name=%s cause=%s", machine.name, cause)
            machine.waiting.clear()
            for name in list(machine.workers):
                self._dismiss(machine, name, counted=False)

    def _answer(self, peer: bytes, message: MachineMessage) -> None:
        self._send(peer, [gateway_messages.pack(message)])

    def _send(self, peer: bytes, parts: "Sequence[bytes | memoryview]") -> None:
        try:
            self._router.send_multipart([peer, *parts], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            self._give_up(peer, "it cannot be reached")


def shared(config: Config) -> Config:
    """Return what other machines need of the configuration: the settings that affect results."""
    return Config(
        faces=config.faces,
        text=config.text,
        match=config.match,
        tracks=config.tracks,
        pipeline=config.pipeline,
        runtime=config.runtime,
    )
