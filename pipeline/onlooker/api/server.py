"""The processes of the API: started, watched, replaced if they die or hang, and stopped."""

import ipaddress
import logging
import os
import select
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from onlooker import piped_process, traces
from onlooker.api import access_keys, services
from onlooker.api.listener import ServeError, reserved
from onlooker.api.process_protocol import LOOP, THREADS, ProcessSettings
from onlooker.child_process import Child, ProcessStatus, signals, stop, supervise
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.jobs.job_store import JobStore
from onlooker.jobs.metrics import JobMetrics

MODULE = "onlooker.api.server_process"
MAX_START_SECONDS = 300.0
"""Time that a process may take to load its models."""
MAX_LOOP_SILENCE_SECONDS = 15.0
"""Time without a sign of a process's event loop after which it hangs."""
MAX_THREADS_SILENCE_SECONDS = 30.0
"""Time without an answer of a process's threads, beside twice the time that a request may take,
after which they hang."""
STEADY_SECONDS = 60.0
"""Time that a process must live for the next restart to be at once."""
STOP_SECONDS = 5.0
"""Time that a process may take to stop, beside that of a request."""

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)


def check(settings: Config) -> None:
    """Raise ConfigError if the server would not start, or would be open to other machines."""
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
    """Return whether only this machine reaches a host. Raises ConfigError if it is unknown."""
    return ipaddress.ip_address(resolved(host)).is_loopback


def resolved(host: str) -> str:
    """Return the address of a host. Raises ConfigError if there is none."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"[serve] host: {host}: {error}") from error
    return str(found[0][4][0])


def serve(config: Config, store: Path, on_ready: Callable[[str], None]) -> None:
    """Answer requests until a signal to stop.

    `on_ready` receives the URL once all processes listen. Raises ServeError and ConfigError.
    """
    with signals() as received, running(config, store, on_ready) as processes:
        supervise([processes], received, lambda: None)


@contextmanager
def running(
    config: Config, store: Path, on_ready: Callable[[str], None], jobs: bool = False
) -> "Iterator[Processes]":
    """Yield the processes of the server, which `watch` starts, and stop them at the end.

    store: file of the collections. `on_ready` receives the URL once all processes listen. jobs:
    whether jobs over stored videos are taken. Raises ServeError and ConfigError.
    """
    check(config)
    traces.check(config.telemetry.traces)
    with ExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="onlooker-metrics-"))
        address = (resolved(config.serve.host), config.serve.port)
        keeper = closing.enter_context(reserved(address, "with --port"))
        settings = ProcessSettings(
            config=config,
            store=store,
            address=keeper.getsockname()[:2],
            threads=threads(config),
            jobs=jobs,
        )
        if config.serve.metrics_port is not None:
            others = []
            if jobs:
                others.append(JobMetrics(closing.enter_context(JobStore(config.jobs))))
            port = config.serve.metrics_port
            closing.callback(_serve_metrics(address[0], port, folder, others))
        processes = Processes(settings, Path(folder), on_ready)
        closing.callback(processes.close)
        yield processes


def threads(config: Config) -> int:
    """Return how many images one process analyses at a time."""
    many = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if many else os.cpu_count() or 1
    return config.serve.threads or max(1, cores // config.serve.workers)


def _serve_metrics(
    host: str, port: int, folder: str, others: "Sequence[Collector]"
) -> Callable[[], None]:
    from prometheus_client import start_http_server

    from onlooker.api import metrics

    try:
        server, thread = start_http_server(port, host, metrics.registry(folder, others))
    except OSError as error:
        raise ServeError(f"cannot answer /metrics on port {port}: {error.strerror}") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


@dataclass(slots=True)
class Life:
    """Times of the last reports of a process, on `time.monotonic`'s clock."""

    loop: float
    threads: float


class Processes:
    """The processes of the server, as a group for `supervise`.

    metrics: folder that they count in. module, base: the program of each, None for the API's, and
    the beginning of its name. number: how many there are; None means as many as `[serve] workers`.
    patience: factor of the silence after which one hangs.
    """

    finished = False

    def __init__(
        self,
        settings: ProcessSettings,
        metrics: Path,
        on_ready: Callable[[str], None],
        module: str | None = None,
        base: str = "api",
        number: int | None = None,
        patience: float = 1.0,
    ) -> None:
        self.metrics = metrics
        self._settings = settings
        self._on_ready = on_ready
        self._announced = False
        timeout = settings.config.serve.request_timeout
        self._patience = patience
        self._threads_silence = patience * (2 * timeout + MAX_THREADS_SILENCE_SECONDS)
        self._stop_seconds = timeout + STOP_SECONDS
        self._children = [
            Child(
                f"{base}-{place}",
                module or MODULE,
                piped=True,
                environment={"PROMETHEUS_MULTIPROC_DIR": str(metrics)},
                stop_seconds=self._stop_seconds,
            )
            for place in range(number or settings.config.serve.workers)
        ]
        self._lives: dict[Child, Life] = {}
        self._watched = time.monotonic()

    @property
    def url(self) -> str:
        return self._settings.url

    def wait(self, seconds: float) -> None:
        """Wait for signs of life for some time."""
        running = [child.process for child in self._children if child.process is not None]
        pipes = [process.stdout for process in running if process.stdout is not None]
        if pipes:
            select.select(pipes, [], [], seconds)
        else:
            time.sleep(seconds)

    def watch(self) -> None:
        """See to the processes.

        Raises ServeError if one ends before all have listened for the first time.
        """
        now = time.monotonic()
        away, self._watched = now - self._watched, now
        for child in self._children:
            self._listen(child, now, away)
            pid, life = child.process.pid if child.process else 0, child.life
            how = child.check(now)
            if how is not None:
                self._restart(child, how, pid, now)
            elif child.life != life:
                self._lives.pop(child, None)
                settings = replace(self._settings, replacement=child.life > 1)
                child.send(piped_process.pack(settings))
        if not self._announced and all(child.ready for child in self._children):
            self._announced = True
            self._on_ready(self.url)

    def processes(self) -> list[ProcessStatus]:
        return [child.status for child in self._children]

    def register_metrics(self, registry: "CollectorRegistry") -> None:
        """Have `registry` report the sums of all processes' counters."""
        from prometheus_client.multiprocess import MultiProcessCollector

        MultiProcessCollector(registry, str(self.metrics))  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """Have the processes take no more requests, and end when they have answered all."""
        for child in self._children:
            child.stop(time.monotonic())

    def close(self) -> None:
        """Stop the processes, and wait until they have."""
        stop(self._children, self._stop_seconds)

    def _listen(self, child: Child, now: float, away: float) -> None:
        """Take a process's signs of life; kill it if it has given none for too long."""
        signs = child.read()
        if signs and not child.ready:
            child.ready = True
            self._lives[child] = Life(now, now)
        life = self._lives.get(child)
        if life is None:
            if child.running and now - child.started > MAX_START_SECONDS:
                child.kill(f"it did not get ready within {MAX_START_SECONDS:.0f} s")
            return
        if away > 1.0:  # it was this process that did not run
            life.loop, life.threads = life.loop + away, life.threads + away
        if LOOP in signs:
            life.loop = now
        if THREADS in signs:
            life.threads = now
        if child.stopping is not None:
            return
        if now - life.loop > self._patience * MAX_LOOP_SILENCE_SECONDS:
            child.kill(f"its event loop hangs since {now - life.loop:.0f} s")
        elif now - life.threads > self._threads_silence:
            child.kill(f"its threads hang since {now - life.threads:.0f} s")

    def _restart(self, child: Child, how: str, pid: int, now: float) -> None:
        from prometheus_client.multiprocess import mark_process_dead

        self._lives.pop(child, None)
        if pid:
            mark_process_dead(pid, str(self.metrics))  # type: ignore[no-untyped-call]
        if child.stopping is not None:
            return
        if not self._announced and not child.ready:
            raise ServeError(f"a process of the API ended before it listened ({how}); see above")
        wait = child.restart(now, child.ready and now - child.started > STEADY_SECONDS)
        logger.error("process died name=%s how=%s restart_in=%.0f", child.name, how, wait)
