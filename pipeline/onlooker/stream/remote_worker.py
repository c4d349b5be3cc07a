"""A machine that works for the run of another: its workers, started, watched and restarted."""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from msgspec.structs import replace

from onlooker.child_process import Child, ProcessStatus, signals, stop, supervise
from onlooker.config.schema import Config
from onlooker.errors import OnlookerError
from onlooker.record.curve_keys import KeyPair
from onlooker.stream import capacity, equal_results, run_directory
from onlooker.stream.errors import Stopped
from onlooker.stream.gateway_messages import Welcome
from onlooker.stream.messages import Status
from onlooker.stream.remote_hub import RefusedError, RemoteHub
from onlooker.stream.ring import Ring
from onlooker.stream.run_directory import Plan
from onlooker.stream.scheduler import AHEAD
from onlooker.stream.stage import Stage, row
from onlooker.stream.stages import STAGES

MAX_DEATHS = 7
"""Deaths of a worker in a row, without a frame in between, after which the machine gives up."""

logger = logging.getLogger(__name__)


class WorkerError(OnlookerError):
    """This machine cannot go on working; the text says why."""


def work(
    endpoint: str,
    keys: KeyPair,
    server: str,
    prepare: Callable[[Config], None],
    workers: int = 0,
    stages: Sequence[Stage] = STAGES,
    machine: str | None = None,
) -> None:
    """Work for the runs whose gateway listens at `endpoint`, until a signal.

    It waits for a run, and for the next one. server: public key of the gateway. prepare: called
    with the settings of a run before its workers start, to build models. workers: processes for
    each stage; 0 means one per core. stages: this machine's own table; a run can name its stages
    only. machine: name of this one; None means that of the system.

    Raises Stopped at a signal, RefusedError if results would differ from those of the run's
    machine, WorkerError, and what `prepare` does.
    """
    hub = RemoteHub(endpoint, keys, server, machine or socket.gethostname())
    with signals() as received, MachineWorkers(hub, prepare, workers, stages) as ours:
        number = supervise([ours], received, lambda: None)
        if number is not None:
            raise Stopped(number, Status())


class MachineWorkers:
    """The workers of this machine, as a group of processes, while the `with` statement lasts.

    They start when a run is joined, and start again if the next run has other settings; between
    two runs they wait, with their models loaded. The arguments are those of `work`.
    """

    finished = False

    def __init__(
        self,
        hub: RemoteHub,
        prepare: Callable[[Config], None],
        workers: int,
        stages: Sequence[Stage],
    ) -> None:
        self._hub = hub
        self._prepare = prepare
        self._count = workers
        self._stages = stages
        self._children: list[Child] = []
        self._begun: Welcome | None = None
        """The run that the workers were started for."""
        self._closing = ExitStack()
        """The run's directory."""
        self._run: Path | None = None
        self._written: list[ProcessStatus] = []
        self._start_seconds = 0.0
        self._frames: dict[Child, int] = {}
        """Frames of all workers when a child died last."""

    def wait(self, seconds: float) -> None:
        """Pass messages on for some time. Raises RefusedError, WorkerError."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self._hub.step(left)
            except OSError as error:
                raise WorkerError(f"no room for images in memory: {error.strerror}") from error

    def watch(self) -> None:
        """Start, restart and kill workers. Raises RefusedError, WorkerError."""
        if self._hub.broken is not None:
            raise WorkerError(self._hub.broken)
        if self._hub.welcome is not None and self._hub.welcome != self._begun:
            self._begin(self._hub.welcome)
        now = time.monotonic()
        for child in self._children:
            if (worker := self._hub.workers.get(child.name)) is not None:
                child.ready = True
                if now - worker.heard > self._hub.silence:
                    child.kill("it is silent")
            elif child.late(now, self._start_seconds):
                child.kill("it is silent")
            name = child.name
            how = child.check(now)
            if how is not None and child.stopping is None:
                self._hub.died(name)
                self._restart(child, how, now)
        self._write_processes()

    def stop(self) -> None:
        """Have the workers stop."""
        for child in self._children:
            child.stop(time.monotonic())

    def processes(self) -> list[ProcessStatus]:
        return [child.status for child in self._children]

    def close(self) -> None:
        """Leave the run, and stop the workers."""
        self._hub.close()
        stop(self._children)
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, welcome: Welcome) -> None:
        """Start the workers for a run, in place of those for the last one."""
        stop(self._children)
        self._children = []
        self._hub.unlisten()
        self._closing.close()
        self._check(welcome)
        self._prepare(welcome.config)
        config = replace(
            welcome.config, pipeline=replace(welcome.config.pipeline, workers=self._count)
        )
        self._start_seconds = capacity.start_seconds(config)
        own = {stage.name: stage for stage in self._stages if not stage.ordered}
        rows = tuple(
            replace(row(own[each.name], config), leases=each.leases, batch=each.batch)
            for each in welcome.stages
        )
        processes = capacity.workers(config)
        slots = 2 * processes * sum(each.leases + AHEAD for each in rows)
        room = slots * Ring.slot_bytes_for(1920, 1080)
        run = self._run = self._closing.enter_context(run_directory.directory(room))
        plan = Plan(parent=os.getpid(), hub=run_directory.endpoint(run), config=config, stages=rows)
        run_directory.write(run, plan)
        self._hub.listen(welcome, run, plan.hub, slots)
        for each in rows:
            for number in range(processes):
                arguments = (str(run), each.name)
                name = f"{each.name}-{number}"
                self._children.append(Child(name, "onlooker.stream.worker", *arguments))
        self._begun = welcome

    def _check(self, welcome: Welcome) -> None:
        """Raise RefusedError if results would differ from those of the run's machine."""
        differing = equal_results.difference(welcome.facts, equal_results.facts(welcome.config))
        if differing is not None:
            raise RefusedError(differing)
        known = {stage.name for stage in self._stages if not stage.ordered}
        if unknown := [each.name for each in welcome.stages if each.name not in known]:
            raise RefusedError(f"the run has stages that this machine has not: {unknown}")

    def _restart(self, child: Child, how: str, now: float) -> None:
        """Plan the next life of a worker that has died. Raises WorkerError if it dies too often."""
        frames = self._hub.frames
        wait = child.restart(now, child.ready and frames > self._frames.get(child, -1))
        self._frames[child] = frames
        logger.warning("child died name=%s how=%s restart_in=%.0f", child.name, how, wait)
        if child.deaths > MAX_DEATHS:
            raise WorkerError(f"{child.base} died {child.deaths} times in a row, last by {how}")

    def _write_processes(self) -> None:
        """Write the workers down, for `onlooker status` on this machine."""
        now = self.processes()
        if self._run is not None and now != self._written:
            self._written = now
            try:
                run_directory.write_processes(self._run, now)
            except OSError as error:  # a full disk does not stop what runs
                logger.warning("processes not written down cause=%s", error)
