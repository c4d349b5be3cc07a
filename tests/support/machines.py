"""Other machines that work for a run, and the network between them and it.

    python -m tests.support.machines ENDPOINT KEY SERVER NAME WORKERS STAGES

is a machine whose workers have the light steps of `tests.support.steps`.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.namespaces import Cable
from tests.support.processes import called, children

from onlooker import program_log
from onlooker.child_process import environment
from onlooker.config.serving import Workers
from onlooker.errors import OnlookerError
from onlooker.record import curve_keys
from onlooker.stream import equal_results
from onlooker.stream.messages import Status
from onlooker.stream.remote_worker import work
from onlooker.stream.stages import STAGES

PIECE = 1 << 16


class Network:
    """Two hops of TCP on this machine: from a free port to `port`, until `close`.

    `cut` ends all connections, and takes none; `freeze` keeps them and carries nothing, as a cable
    that was pulled or a firewall that forgot; `mend` ends both.
    """

    host = "127.0.0.1"
    """Address at which the hub listens."""
    prefix: tuple[str, ...] = ()
    """Begins the commands of the other machine."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.carried = 0
        """Bytes in both directions."""
        self._ends: dict[socket.socket, socket.socket] = {}
        self._frozen = self._cut = self._closing = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            self._drop()

    def freeze(self) -> None:
        self._frozen = True

    def mend(self) -> None:
        with self._lock:
            if self._frozen:
                self._drop()  # what was sent meanwhile is lost
            self._frozen = self._cut = False

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        self._drop()
        self._listener.close()

    def _drop(self) -> None:
        for end in list(self._ends):
            end.close()
        self._ends.clear()

    def _carry(self) -> None:
        while not self._closing:
            with self._lock:
                ends = list(self._ends)
                with selectors.DefaultSelector() as selector:
                    for each in [self._listener, *ends]:
                        selector.register(each, selectors.EVENT_READ)
                    ready = selector.select(0.005)
                    if self._frozen:
                        ready = []
                    for key, _ in ready:
                        self._serve(key.fileobj)  # type: ignore[arg-type]
            if self._frozen or not ready:
                threading.Event().wait(0.002)

    def _serve(self, end: socket.socket) -> None:
        if end is self._listener:
            near, _ = self._listener.accept()
            try:
                if self._cut:
                    raise ConnectionRefusedError
                far = socket.create_connection(("127.0.0.1", self.target), 1)
            except OSError:
                near.close()
                return
            self._ends[near], self._ends[far] = far, near
            return
        other = self._ends.get(end)
        if other is None:
            return
        try:
            piece = end.recv(PIECE)
            other.settimeout(2)
            other.sendall(piece)
        except OSError:
            piece = b""
        self.carried += len(piece)
        if not piece:
            for each in (end, other):
                self._ends.pop(each, None)
                each.close()


def settings(folder: Path, port: int, machines: int = 1, host: str = "127.0.0.1") -> Workers:
    """Return the settings of a hub for machines with the keys in `folder`, which are made."""
    hub = curve_keys.generate(folder / "hub.key")
    (folder / "hub.public").write_text(hub.public)
    clients = [curve_keys.generate(folder / f"machine-{n}.key").public for n in range(machines)]
    return Workers(
        listen=f"tcp://{host}:{port}", key=str(folder / "hub.key"), clients=tuple(clients)
    )


def start(
    folder: Path,
    endpoint: str,
    number: int = 0,
    workers: int = 1,
    stages: str = "PACED",
    prefix: tuple[str, ...] = (),
    more: tuple[str, ...] = (),
) -> "subprocess.Popen[str]":
    """Start a machine with the key of this number."""
    command = [*prefix, sys.executable, "-m", "tests.support.machines", endpoint]
    command += [str(folder / f"machine-{number}.key"), (folder / "hub.public").read_text()]
    command += [f"machine-{number}", str(workers), stages, *more]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)


@contextmanager
def machine(
    folder: Path, endpoint: str, number: int = 0, *, other_models: bool = False
) -> "Iterator[subprocess.Popen[str]]":
    """Start a machine; end it and all its workers with the `with` statement."""
    more = ("other models",) if other_models else ()
    process = start(folder, endpoint, number, more=more)
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[str]") -> str:
    """End a machine, whatever its state; return what it has logged."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.communicate()[1]


class Accidents:
    """A progress display of a replay that has a machine's accidents happen, one after the other.

    An accident happens when the machine works, lasts for some seconds, and is over when a machine
    works again. pace: the file that steps.PACED waits for; it is removed after the last accident.
    """

    def __init__(
        self,
        kinds: list[str],
        seconds: list[float],
        folder: Path,
        network: "Network | Cable",
        pace: Path,
    ) -> None:
        self.survived: list[str] = []
        self.frames: dict[str, int] = {}
        """Frames of workers of other machines, as long as the hub knows them."""
        self.total = 0
        self._plan = list(zip(kinds, seconds, strict=True))
        self._folder = folder
        self._network = network
        self._pace = pace
        self._since: float | None = None
        """Time of the present accident."""
        self._mended = True
        self._before = 0
        pace.touch()
        self.machine = self._start()

    def __call__(self, status: Status) -> None:
        for worker in status.workers:
            if "/" in worker.name:
                before = self.frames.get(worker.name, 0)
                self.total += max(0, worker.frames - before)
                self.frames[worker.name] = worker.frames
        if not self._plan:
            return
        kind, seconds = self._plan[0]
        now = time.monotonic()
        if self._since is None:
            if self.total > self._before + 3:
                self._since, self._mended = now, False
                self._begin(kind)
        elif not self._mended:
            if now - self._since > seconds:
                self._end(kind)
                self._mended, self._before = True, self.total
        elif self.total > self._before + 3:
            self.survived.append(kind)
            self._plan.pop(0)
            self._since, self._before = None, self.total
            if not self._plan:
                self._pace.unlink()

    def _start(self) -> "subprocess.Popen[str]":
        return start(self._folder, self._network.endpoint, prefix=self._network.prefix)

    def close(self) -> str:
        """End the machine; return what it has logged."""
        return end(self.machine)

    def _begin(self, kind: str) -> None:
        match kind:
            case "cut":
                self._network.cut()
            case "freeze":
                self._network.freeze()
            case "kill machine":
                self.machine.kill()
            case "stop machine":
                os.kill(self.machine.pid, signal.SIGSTOP)
            case "kill worker":
                ours = children(self.machine.pid)
                if ours:
                    os.kill(next(iter(ours.values())), signal.SIGKILL)
            case "kill hub" | "kill gateway":
                if (pid := called(kind.removeprefix("kill "))) is not None:
                    os.kill(pid, signal.SIGKILL)

    def _end(self, kind: str) -> None:
        match kind:
            case "cut" | "freeze":
                self._network.mend()
            case "kill machine":
                self.machine.communicate()
                self.machine = self._start()
            case "stop machine":
                os.kill(self.machine.pid, signal.SIGCONT)


KINDS = (
    "cut",
    "freeze",
    "kill machine",
    "stop machine",
    "kill worker",
    "kill hub",
    "kill gateway",
)


def main(
    endpoint: str, key: str, server: str, name: str, workers: str, stages: str, *more: str
) -> None:
    from tests.support import steps

    program_log.begin()
    if more:
        ours = equal_results.facts
        equal_results.facts = lambda config: {**ours(config), "model yunet": "another"}
    table = STAGES if stages == "STAGES" else getattr(steps, stages)
    keys = curve_keys.read(Path(key))
    try:
        work(endpoint, keys, server, lambda _: None, int(workers), table, machine=name)
    except OnlookerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
