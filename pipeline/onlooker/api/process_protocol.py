"""The messages between the server and its processes.

The server writes the process's settings to its standard input, one line of JSON. The process
writes single bytes to its standard output: LOOP from its event loop every second, the first as
soon as it listens, and THREADS whenever its threads have answered a probe. It stops when its
standard input ends: no process outlives the server.
"""

import asyncio
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import msgspec

from onlooker import program_log
from onlooker.config.schema import Config

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


def pack(settings: ProcessSettings) -> bytes:
    """Return the line for a process."""
    return msgspec.json.encode(settings, enc_hook=str) + b"\n"


def unpack(line: bytes) -> ProcessSettings:
    """Return the settings that `pack` was given."""
    return msgspec.json.decode(line, type=ProcessSettings, dec_hook=lambda kind, text: kind(text))


def begin() -> tuple[ProcessSettings, "Signs"]:
    """Begin a process: take its settings and its standard output, and leave at SIGTERM.

    So it does when its standard input ends. An interrupt from the terminal is ignored: it reaches
    this process too, but the server says when to stop.
    """
    program_log.begin(form="json", level="INFO")
    signs = Signs()
    settings = unpack(sys.stdin.buffer.readline())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return settings, signs


def _stop_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


class Signs:
    """The process's end of its standard output."""

    def __init__(self) -> None:
        """Take standard output over: other output to it goes to standard error."""
        self._file = os.dup(sys.stdout.fileno())
        os.set_blocking(self._file, False)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def give(self, sign: bytes) -> None:
        """Write LOOP or THREADS; nothing if the server does not read."""
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._file, sign)

    async def beat(self, probe: Callable[[], Sequence["Future[None]"]]) -> None:
        """Give signs of life until cancelled. `probe` has every pool of threads run nothing."""
        loop = asyncio.get_running_loop()
        probes: Sequence[Future[None]] = ()
        due = loop.time()
        while True:
            self.give(LOOP)
            if probes and all(each.done() for each in probes):
                self.give(THREADS)
                probes = ()
            if not probes and loop.time() >= due:
                due = loop.time() + PROBE_SECONDS
                probes = probe()
            await asyncio.sleep(HEARTBEAT_SECONDS)
