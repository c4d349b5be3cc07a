"""`onlooker status`: the streams and processes that run on this machine."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import typer
import zmq
from rich.live import Live
from rich.table import Table

from onlooker.child_process import ProcessStatus
from onlooker.cli.terminal import console
from onlooker.escape import STREAMS
from onlooker.stream import run_directory
from onlooker.stream.errors import RunError
from onlooker.stream.messages import Status, StreamStatus
from onlooker.stream.program import Program
from onlooker.stream.sink_status import SinkStatus

REFRESH_SECONDS = 1.0
"""Time between two questions."""


def status(
    once: Annotated[
        bool, typer.Option("--once", help="Print it once, and end, as into a pipe or a file.")
    ] = False,
) -> None:
    """Show what this machine runs: streams with frames, drops and lag, sinks, and processes.

    In a terminal it is shown until Ctrl-C, or until nothing runs any more. Example: `onlooker
    status --once`
    """
    once = once or not console.is_terminal
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
                tables = [sinks_table(program.sinks()), processes_table(program.processes())]
                if new is not None:
                    tables[:0] = streams_table(new, old, seconds), workers_table(new, old, seconds)
                for table in tables:
                    if table.row_count:  # a run that begins has no workers
                        shown.add_row(table)
            before = now
            if live is None:
                console.print(shown)
                return
            live.update(shown, refresh=True)


def streams_table(now: Status, before: Status | None, seconds: float) -> Table:
    """Return the streams of a run as a table; rates are of the `seconds` since `before`."""
    made = Table(title_justify="left")
    for heading in ("stream", "fps", "received", "analysed", "failed", "dropped", "lag", "source"):
        left = heading in ("stream", "source")
        made.add_column(heading, justify="left" if left else "right", overflow="fold")
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
    """Return the workers by machine, and for how much of the time each was busy."""
    made = Table(title_justify="left")
    others = any(worker.machine for worker in now.workers)
    for heading in ("machine", "worker", "frames", "busy")[not others :]:
        made.add_column(heading, justify="left" if heading in ("machine", "worker") else "right")
    known = {worker.name: worker.busy for worker in before.workers} if before else {}
    for worker in sorted(now.workers, key=lambda worker: worker.machine):
        busy = (worker.busy - known.get(worker.name, worker.busy)) / seconds if seconds else 0.0
        alive = "" if worker.name in now.alive else ", silent"
        row = (worker.machine or "this", worker.process, str(worker.frames), f"{busy:.0%}{alive}")
        made.add_row(*row[not others :])
    return made


def sinks_table(sinks: Sequence[SinkStatus]) -> Table:
    """Return the sinks of a program, and what each has still to send."""
    made = Table(title_justify="left")
    for heading in ("sink", "kind", "sent", "backlog", "lost", "state"):
        made.add_column(
            heading, justify="right" if heading in ("sent", "backlog", "lost") else "left"
        )
    for sink in sinks:
        state = f"failing, {sink.attempts} times: {sink.error}" if sink.error else sink.state
        lost = str(sink.lost) + (f", {sink.too_large} too large" if sink.too_large else "")
        made.add_row(sink.name, sink.kind, str(sink.sent), str(sink.backlog), lost, state)
    return made


def processes_table(processes: tuple[ProcessStatus, ...]) -> Table:
    """Return the processes of the API and of jobs, and others that do not run."""
    made = Table(title_justify="left")
    for heading in ("process", "id", "state", "restarts"):
        made.add_column(heading, justify="right" if heading in ("id", "restarts") else "left")
    for process in processes:
        if process.name.startswith(("api-", "jobs-")) or process.state != "running":
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
