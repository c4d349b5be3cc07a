"""Starts the processes of the server, replaces those that die, and stops them in good order."""

import ipaddress
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from onlooker.api import access_keys, services
from onlooker.api.listener import Orders, ServeError, bound
from onlooker.config.schema import Config, ConfigError

PATROL = 0.2
"""Seconds between looks at the processes."""
START = 300.0
"""Seconds that a process may take to load its models."""
LONGEST_WAIT = 32.0
"""Seconds before one that dies again and again is started once more; from 1, doubling."""
STEADY = 60.0
"""Seconds after which a process is trusted again."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Worker:
    """A process that is to be there, over all its lives."""

    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    started: float = 0.0
    wait: float = 1.0
    due: float = 0.0
    """When it is to be started again."""

    def put_off(self) -> None:
        """Start it later, and the next time later still."""
        self.due = time.monotonic() + self.wait
        self.wait = min(LONGEST_WAIT, 2 * self.wait)


def check(settings: Config) -> None:
    """Raise ConfigError where the server would not start, or would be open to strangers."""
    serve = settings.serve
    if serve.keys is not None:
        access_keys.load(Path(serve.keys), services.actions())
    elif not is_loopback(serve.host):
        raise ConfigError(
            f"[serve] host: {serve.host} can be reached from other machines, and without keys "
            "anybody there could do everything; set [serve] keys, or listen on 127.0.0.1"
        )
    if serve.certificate is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                serve.certificate, serve.private_key
            )
        except OSError as error:  # ssl's own errors are of its kind
            raise ConfigError(f"[serve] certificate: {serve.certificate}: {error}") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host; ConfigError for one that is none."""
    return ipaddress.ip_address(resolved(host)).is_loopback


def resolved(host: str) -> str:
    """The address of a host."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"[serve] host: {host}: {error}") from error
    return str(found[0][4][0])


def serve(settings: Config, store: Path, on_ready: Callable[[str], None]) -> None:
    """Answer requests until SIGTERM or SIGINT.

    `on_ready` is told the URL once all processes listen. Raises ServeError and ConfigError.
    """
    check(settings)
    with ExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="onlooker-metrics-"))
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        address = (resolved(settings.serve.host), settings.serve.port)
        keeper = closing.enter_context(_reserved(address))
        orders = Orders(
            settings=settings,
            store=store,
            address=keeper.getsockname()[:2],
            threads=threads(settings),
        )
        if settings.serve.metrics_port is not None:
            closing.callback(_serve_metrics(address[0], settings.serve.metrics_port))
        stopping = closing.enter_context(_signals())
        Workers(orders, settings.serve.workers).run(stopping, on_ready)


def threads(settings: Config) -> int:
    """Pictures that one process looks at side by side."""
    many = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if many else os.cpu_count() or 1
    return settings.serve.threads or max(1, cores // settings.serve.workers)


def _reserved(address: tuple[str, int]) -> socket.socket:
    """A socket that keeps the port while processes come and go."""
    try:
        # Another server would share the port with ours, silently, if it wants to share it too.
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
        return bound(address)
    except OSError as error:
        raise ServeError(
            f"cannot listen on {address[0]} port {address[1]}: {error.strerror}; stop what uses "
            "it, or name another with --port"
        ) from error


def _serve_metrics(host: str, port: int) -> Callable[[], None]:
    from prometheus_client import start_http_server

    from onlooker.api import metrics

    try:
        server, thread = start_http_server(port, host, metrics.registry())
    except OSError as error:
        raise ServeError(f"cannot answer /metrics on port {port}: {error.strerror}") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Signals that tell to stop, as they come."""
    received: list[int] = []

    def receive(number: int, _: Any) -> None:
        received.append(number)

    before = {one: signal.signal(one, receive) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class Workers:
    """The processes, and what is to be done about them."""

    def __init__(self, orders: Orders, number: int) -> None:
        self._orders = orders
        self._workers = [Worker() for _ in range(number)]
        self._said = False

    def run(self, stopping: Sequence[int], on_ready: Callable[[str], None]) -> None:
        """Keep them all running until a signal is in `stopping`."""
        try:
            while not stopping:
                for worker in self._workers:
                    self._watch(worker)
                if not self._said and all(worker.ready for worker in self._workers):
                    self._said = True
                    on_ready(self.url)
                time.sleep(PATROL)
        finally:
            self._stop()

    @property
    def url(self) -> str:
        host, port = self._orders.address
        scheme = "https" if self._orders.settings.serve.certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def _watch(self, worker: Worker) -> None:
        now = time.monotonic()
        if worker.process is None:
            if now >= worker.due:
                self._start(worker)
            return
        assert worker.process.stdout is not None, "it was started with a pipe"
        if not worker.ready and worker.process.stdout.read(1):
            worker.ready = True
        status = worker.process.poll()
        if status is None:
            if not worker.ready and now - worker.started > START:
                logger.error("process %d did not get ready", worker.process.pid)
                worker.process.kill()
            elif worker.ready and now - worker.started > STEADY:
                worker.wait = 1.0
            return
        if not self._said and not worker.ready:
            raise ServeError(f"a process ended before it listened, with status {status}; see above")
        logger.error("process %d died with status %d", worker.process.pid, status)
        self._bury(worker)
        worker.put_off()

    def _start(self, worker: Worker) -> None:
        # In a group of its own: an interrupt at the terminal is for us.
        try:
            worker.process = subprocess.Popen(
                [sys.executable, "-m", "onlooker.api.server_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            if not self._said:
                raise ServeError(f"a process cannot be started: {error}") from error
            logger.error("a process cannot be started: %s", error)
            worker.put_off()
            return
        worker.ready, worker.started = False, time.monotonic()
        assert worker.process.stdin is not None, "it was started with pipes"
        assert worker.process.stdout is not None, "it was started with pipes"
        os.set_blocking(worker.process.stdout.fileno(), False)
        with suppress(BrokenPipeError):  # It has died already, which the next look finds.
            worker.process.stdin.write(msgspec.json.encode(self._orders, enc_hook=str) + b"\n")
            worker.process.stdin.flush()

    def _bury(self, worker: Worker) -> None:
        from prometheus_client.multiprocess import mark_process_dead

        from onlooker.api import metrics

        assert worker.process is not None, "it lived"
        _close(worker.process)
        mark_process_dead(worker.process.pid)  # type: ignore[no-untyped-call]
        metrics.RESTARTS.inc()
        worker.process, worker.ready = None, False

    def _stop(self) -> None:
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            process.terminate()
        end = time.monotonic() + self._orders.settings.serve.request_timeout + 5
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.error("process %d did not stop", process.pid)
                process.kill()
                process.wait()
            _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # of what it was not told
                pipe.close()
