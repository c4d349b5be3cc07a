"""`onlooker status`: the streams and processes that run on this machine."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
import zmq
from msgspec.structs import replace
from rich.live import Live
from rich.table import Table

from onlooker.child_process import ProcessStatus
from onlooker.cli.terminal import console
from onlooker.escape import STREAMS
from onlooker.stream import messages, run_directory
from onlooker.stream.messages import Status, StreamStatus
from onlooker.stream.supervisor import RunError

ANSWER_SECONDS = 2.0
"""Time that a run's hub may take to answer."""
REFRESH_SECONDS = 1.0
"""Time between two questions."""


def status(
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
) -> None:
    """Show what this machine runs: frames, drops, lag and sources of streams, and processes.

    Example: `onlooker status --once`
    """
    found = run_directory.runs()
    if not found:
        raise RunError("nothing runs here; start `onlooker run`, `stream`, `serve` or a replay")
    with ExitStack() as closing:
        context = closing.enter_context(zmq.Context())
        programs = [closing.enter_context(Program(context, run)) for run in found]
        before = [program.ask() for program in programs]
        began = time.monotonic()
        if not any(before) and not any(program.processes() for program in programs):
            places = ", ".join(str(run) for run in found)
            raise RunError(f"no process in {places} answers; ask again in a few seconds")
        if once:
            time.sleep(REFRESH_SECONDS)
        live = None if once else closing.enter_context(Live(console=console, auto_refresh=False))
        while any(before) or any(program.processes() for program in programs):
            if live is not None:
                time.sleep(REFRESH_SECONDS)
            now = [program.ask() for program in programs]
            seconds, began = time.monotonic() - began, time.monotonic()
            shown = Table.grid()
            for program, new, old in zip(programs, now, before, strict=True):
                if len(programs) > 1:
                    shown.add_row(program.title)
                if new is not None:
                    shown.add_row(streams_table(new, old, seconds))
                    shown.add_row(workers_table(new, old, seconds))
                shown.add_row(processes_table(program.processes()))
            before = now
            if live is None:
                console.print(shown)
                return
            live.update(shown, refresh=True)


class Program:
    """An Onlooker that runs: the hub of its streams, to ask, and its processes."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", run: Path) -> None:
        self._run = run
        self._socket = context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(run_directory.endpoint(run))

    @property
    def title(self) -> str:
        """The process id, and where the records go."""
        try:
            parent = run_directory.read(self._run).parent
        except FileNotFoundError:  # it starts, or has ended
            return self._run.name
        logs = sorted({str(f.outputs.log_path) for f in run_directory.read_feeds(self._run)})
        return ", ".join([f"process {parent}", *(f"log {path}" for path in logs)])

    def ask(self) -> Status | None:
        """Return the status of the streams; None if there is no hub, or if it does not answer."""
        while self._socket.poll(0):
            self._socket.recv_multipart()  # late answers
        if not run_directory.read_feeds(self._run):
            return None  # without streams there is no hub
        self._socket.send_multipart(messages.pack(messages.StatusRequest()))
        if not self._socket.poll(round(ANSWER_SECONDS * 1000)):
            return None
        message, _ = messages.unpack_from_hub(self._socket.recv_multipart())
        if not isinstance(message, Status):
            return None
        known = {stream.name for stream in message.streams}
        finished = run_directory.read_finished(self._run)
        rest = (stream for stream in finished if stream.name not in known)
        return replace(message, streams=(*message.streams, *rest))

    def processes(self) -> tuple[ProcessStatus, ...]:
        """Return the processes that are supervised; none if the program has ended."""
        return run_directory.read_processes(self._run)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def streams_table(now: Status, before: Status | None, seconds: float) -> Table:
    """Return the streams of a run as a table; rates are of the `seconds` since `before`."""
    made = Table(title_justify="left")
    for heading in ("stream", "fps", "received", "analysed", "failed", "dropped", "lag", "source"):
        made.add_column(heading, justify="left" if heading in ("stream", "source") else "right")
    known = {stream.name: stream for stream in before.streams} if before else {}
    for stream in now.streams:
        counts, old = stream.counts, known.get(stream.name)
        rate = (counts.done - old.counts.done) / seconds if old and seconds else 0.0
        made.add_row(
            STREAMS.shown(stream.name),
            f"{rate:.1f}",
            str(counts.received),
            str(counts.done),
            _causes(counts.failed),
            _causes(counts.dropped),
            f"{stream.lag[0]:.2f} < {stream.lag[1]:.2f} s",
            _source(stream),
        )
    return made


def workers_table(now: Status, before: Status | None, seconds: float) -> Table:
    """Return the workers, and for how much of the time each was busy."""
    made = Table(title_justify="left")
    for heading in ("worker", "frames", "busy"):
        made.add_column(heading, justify="left" if heading == "worker" else "right")
    known = {worker.name: worker.busy for worker in before.workers} if before else {}
    for worker in now.workers:
        busy = (worker.busy - known.get(worker.name, worker.busy)) / seconds if seconds else 0.0
        alive = "" if worker.name in now.alive else ", silent"
        made.add_row(worker.name, str(worker.frames), f"{busy:.0%}{alive}")
    return made


def processes_table(processes: tuple[ProcessStatus, ...]) -> Table:
    """Return the processes of the API, and others that do not run."""
    made = Table(title_justify="left")
    for heading in ("process", "id", "state", "restarts"):
        made.add_column(heading, justify="right" if heading in ("id", "restarts") else "left")
    for process in processes:
        if process.name.startswith("api-") or process.state != "running":
            id = str(process.id) if process.id else ""
            made.add_row(process.name, id, process.state, str(process.restarts))
    return made


def _causes(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{number} {cause}" for cause, number in counts.items()) or "0"


def _source(stream: StreamStatus) -> str:
    parts = [stream.health or ("ended" if stream.finished else "well")]
    if stream.error:
        parts.append(stream.error)
    if stream.reconnects:
        parts.append(f"{stream.reconnects} reconnects")
    return ", ".join(parts)
