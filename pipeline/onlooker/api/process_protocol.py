"""The messages between the server and its processes.

The server writes the process's settings to its standard input. The process writes single bytes to
its standard output: LOOP from its event loop every second, the first as
soon as it listens, and THREADS whenever its threads have answered a probe. It stops when its
standard input ends: no process outlives the server.
"""

import asyncio
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import msgspec

from onlooker import piped_process, program_log
from onlooker.config.schema import Config
from onlooker.piped_process import Signs

MAX_OPEN_FILES = 4096
LOOP, THREADS = b"l", b"t"
HEARTBEAT_SECONDS = 1.0
"""Time between two signs of life of the event loop."""
PROBE_SECONDS = 5.0
"""Time between two probes of the threads, each of which begins after the one before was answered.
"""


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a process of the server must know."""

    config: Config
    store: Path
    """File of the collections, or the log of records that data streams are read from."""
    address: tuple[str, int]
    """Host and port to listen on, which the server has reserved."""
    threads: int
    """Images that it analyses at a time."""
    jobs: bool = False
    """Whether it takes jobs over stored videos."""
    replacement: bool = False
    """Whether a process before it has died."""

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        host, port = self.address
        scheme = "https" if self.config.serve.certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def begin() -> tuple[ProcessSettings, Signs]:
    """Begin a process: take its settings and its standard output, and leave at SIGTERM.

    So it does when its standard input ends. An interrupt from the terminal is ignored: it reaches
    this process too, but the server says when to stop.
    """
    program_log.begin(form="json", level="INFO")
    settings, signs = piped_process.begin(ProcessSettings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return settings, signs


async def beat(signs: Signs, probe: Callable[[], Sequence["Future[None]"]]) -> None:
    """Give signs of life until cancelled. `probe` has every pool of threads run nothing."""
    loop = asyncio.get_running_loop()
    probes: Sequence[Future[None]] = ()
    due = loop.time()
    while True:
        signs.give(LOOP)
        if probes and all(each.done() for each in probes):
            signs.give(THREADS)
            probes = ()
        if not probes and loop.time() >= due:
            due = loop.time() + PROBE_SECONDS
            probes = probe()
        await asyncio.sleep(HEARTBEAT_SECONDS)
