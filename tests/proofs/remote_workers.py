"""Have accidents happen to a machine that works for a replay, and count lost and repeated records.

    python -m tests.proofs.remote_workers --accidents 100 --seed 7
    python -m tests.proofs.remote_workers --speed-up 3
    python -m tests.proofs.remote_workers --accidents 100 --namespaces

The machine is another process group on this one; a hop of TCP between it and the hub stands for the
network, which is cut, or frozen with its connections open. With --namespaces both machines have a
network of their own, and a cable between them that is pulled, or loses what one end sends; that
needs root. The machine and its workers are killed
and stopped, and so are the hub and its gateway. Light steps stand in for the models. Exits with 1
if a record is missing, repeated or differs from what one process writes, or if the machine does not
work again after an accident.

With --speed-up, the models analyse the video of `onlooker demo`, first with the hub's machine
alone on one core, then with a second machine on another core, in turn. Prints the frames per second
of each, without the start, and where the processors' time goes; exits with 1 if the records differ.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from msgspec.structs import replace
from tests.support import machines, namespaces, steps
from tests.support.machines import Network
from tests.support.namespaces import Cable
from tests.support.ports import free_port
from tests.support.processes import children, directories

from onlooker.cli.demo_video import make_video
from onlooker.config.schema import Config, Pipeline
from onlooker.stream.inline import inline
from onlooker.stream.messages import Counts, Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.supervisor import replay

FRAMES = 500
"""Frames of the video for each accident: an accident and its mending take up to five seconds."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accidents", type=int, default=100)
    parser.add_argument("--speed-up", type=int, default=0, metavar="TIMES")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--namespaces", action="store_true")
    asked = parser.parse_args()
    if asked.namespaces:
        namespaces.enter()
    network = Cable if asked.namespaces else Network
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PACE"] = str(folder / "pace")
        if asked.speed_up:
            return speed_up(folder, asked.speed_up, network)
        return accidents(folder, asked.accidents, asked.seed, network)


def accidents(folder: Path, number: int, seed: int, kind: type[Network] | type[Cable]) -> int:
    print(f"seed {seed}, by {kind.__name__}")
    drawn = random.Random(seed)
    kinds = [drawn.choice(machines.KINDS) for _ in range(number)]
    seconds = [drawn.uniform(0.1, 2.5) for _ in range(number)]
    frames = number * FRAMES
    video = steps.video(folder / "video.mp4", frames)
    truth, written = folder / "truth.jsonl", folder / "written.jsonl"
    network = kind(free_port())
    # Random kills are not the fault of the frame they hit.
    config = Config(
        pipeline=Pipeline(workers=1, heartbeat=0.4, attempts=6),
        workers=machines.settings(folder, network.target, host=network.host),
    )
    inline([video], config, Outputs(records=truth), steps.quiet, steps.LIGHT)
    display = machines.Accidents(kinds, seconds, folder, network, folder / "pace")
    began = time.monotonic()
    try:
        status = replay([video], config, Outputs(records=written), display, steps.PACED)
    finally:
        said = display.close()
        network.close()
    took = time.monotonic() - began
    [stream] = status.streams
    same = truth.read_bytes() == written.read_bytes()
    left = [*children(), *directories(os.getpid())]
    expected, found = truth.read_bytes().splitlines(), written.read_bytes().splitlines()
    lost, twice = len(set(expected) - set(found)), len(found) - len(set(found))
    print(
        f"{len(display.survived)} accidents in {took:.0f} s: {dict(Counter(display.survived))}\n"
        f"{frames} frames, {display.total} analysed by the machine at least once per stage\n"
        f"records lost {lost}, twice {twice}; equal to one process's: {same}; left behind: {left}"
    )
    counts = stream.counts == Counts(received=frames, done=frames)
    well = same and counts and not left and display.survived == kinds
    if not well:
        print(stream.counts, said[-2000:])
    return 0 if well else 1


class Speed:
    """A progress display that measures frames per second between two shares of the video.

    machine: one that must have joined before it begins to measure.
    """

    def __init__(self, machine: "subprocess.Popen[str] | None" = None) -> None:
        self._machine = machine
        self._first: tuple[float, int, dict[str, float]] | None = None
        self._last: tuple[float, int, dict[str, float]] | None = None
        self._processes: dict[str, int] = {}
        """Their ids, by name."""

    def __call__(self, status: Status) -> None:
        if self._first is None:
            busy = {worker.machine for worker in status.workers if worker.frames > 3}
            if len(busy) == 1 + (self._machine is not None):
                self._first = self._measured(status)
        elif status.workers and status.streams and not status.streams[0].finished:
            self._last = self._measured(status)

    def _measured(self, status: Status) -> "tuple[float, int, dict[str, float]]":
        """Return the time, the frames that are done, and the CPU seconds of each process."""
        if not self._processes:
            self._processes = {"replay": os.getpid(), **children()}
            if self._machine is not None:
                theirs = {"": self._machine.pid, **children(self._machine.pid)}
                self._processes |= {f"machine/{name}": pid for name, pid in theirs.items()}
        spent = {name: cpu_seconds(pid) for name, pid in self._processes.items()}
        return time.monotonic(), status.done, spent

    @property
    def frames_per_second(self) -> float:
        (began, before, _), (ended, after, _) = self._ends
        return (after - before) / (ended - began)

    @property
    def cpu(self) -> str:
        """Milliseconds of processors per frame, by process."""
        (_, before, spent), (_, after, spent_then) = self._ends
        each = {
            name: 1000 * (seconds - spent.get(name, 0.0)) / (after - before)
            for name, seconds in sorted(spent_then.items())
        }
        named = (f"{name.rpartition('.')[0] or name} {ms:.1f}" for name, ms in each.items())
        return f"{sum(each.values()):.1f} ms per frame: {', '.join(named)}"

    @property
    def _ends(self) -> "list[tuple[float, int, dict[str, float]]]":
        assert self._first is not None, "the video was too short"
        assert self._last is not None, "the video was too short"
        return [self._first, self._last]


def cpu_seconds(pid: int) -> float:
    """Return the seconds of processors that a process has used; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def speed_up(folder: Path, times: int, kind: type[Network] | type[Cable]) -> int:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("there is one core only")
        return 1
    video, _ = make_video(folder)
    # Without a cable the machine connects to the hub directly.
    cable = Cable(free_port()) if kind is Cable else None
    port, host = (cable.target, cable.host) if cable else (free_port(), "127.0.0.1")
    workers = machines.settings(folder, port, host=host)
    config = Config(pipeline=Pipeline(workers=1), workers=workers)
    os.sched_setaffinity(0, cores[:1])
    ratios, records = [], set()
    for number in range(times):
        speeds = []
        for second in (False, True):
            outputs = Outputs(records=folder / f"{number}-{second}.jsonl")
            used = replace(config, workers=config.workers if second else Config().workers)
            process = None
            if second:
                pinned: tuple[str, ...] = (
                    shutil.which("taskset") or "taskset",
                    "-c",
                    str(cores[1]),
                )
                pinned += cable.prefix if cable else ()
                endpoint = f"tcp://{host}:{port}"
                process = machines.start(folder, endpoint, stages="STAGES", prefix=pinned)
            speed = Speed(process)
            try:
                replay([video], used, outputs, speed)
            finally:
                if process is not None:
                    machines.end(process)
            speeds.append(speed.frames_per_second)
            print(speed.cpu)
            assert outputs.records is not None
            records.add(outputs.records.read_bytes())
        ratios.append(speeds[1] / speeds[0])
        print(f"one core {speeds[0]:.1f} fps, two machines {speeds[1]:.1f}: x{ratios[-1]:.2f}")
    if cable is not None:
        cable.close()
    print(f"median x{statistics.median(ratios):.2f}; records equal: {len(records) == 1}")
    return 0 if len(records) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
