"""Send many small frames through the whole pipeline, and watch the memory of every process.

    python -m tests.proofs.soak [--frames 300000]

Exits with 1 if a process grows by more than 1 MB per 100,000 frames (least squares over the last
80 % of the run), or has more descriptors at the end than after the first fifth.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from tests.support import steps
from tests.support.processes import children

from onlooker.config.schema import Config, Pipeline, Retention, SourceConfig
from onlooker.stream.cameras import serve
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs

MAX_GROWTH_MB = 1.0
"""Megabytes that a process may grow by in 100,000 frames."""


class Observer:
    """Samples the memory and the descriptors of each process."""

    def __init__(self) -> None:
        self.next = 0.0
        self.seen: dict[str, list[tuple[int, float, int]]] = defaultdict(list)
        """By process: frames so far, megabytes of its own, descriptors."""

    def __call__(self, status: Status) -> None:
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + 0.5
        for name, pid in {"supervisor": os.getpid(), **children()}.items():
            try:
                self.seen[name].append((status.settled, own(pid), descriptors(pid)))
            except (FileNotFoundError, ProcessLookupError):
                continue
        print(f"\r{status.settled}", end="", flush=True)


def own(pid: int) -> float:
    """Return the megabytes of the process alone; rings are shared."""
    fields = dict(line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return float(fields["RssAnon"].split()[0]) / 1000


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=300_000)
    asked = parser.parse_args()
    half = asked.frames // 2
    url = f"test://moving?size=96x64&frames={half}"
    config = Config(
        pipeline=Pipeline(workers=1),
        streams={"one": SourceConfig(url=url), "two": SourceConfig(url=url)},
    )
    observer, began = Observer(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        outputs = Outputs(
            log=Path(name) / "r.db",
            records=Path(name) / "r.jsonl",
            publish=f"ipc://{name}/records",
            limits=Retention(max_megabytes=40, json_lines_max_megabytes=10),
        )
        status = serve(lambda: config, outputs, observer, None, steps.COUNTED)
        kept = sum(path.stat().st_size for path in Path(name).iterdir()) / 1e6
    seconds = time.monotonic() - began
    print(f"\r{status.settled} frames in {seconds:.0f} s; {kept:.0f} MB of records were kept")
    bad = status.done != asked.frames
    for name, seen in sorted(observer.seen.items()):
        later = seen[len(seen) // 5 :]
        frames, megabytes, files = (np.array(column, float) for column in zip(*later, strict=True))
        slope = np.polyfit(frames, megabytes, 1)[0] * 1e5 if np.ptp(frames) else 0.0
        worse = bool(slope > MAX_GROWTH_MB or files[-1] > files[0])
        bad |= worse
        print(
            f"{name:14} {megabytes[0]:6.1f} to {megabytes[-1]:6.1f} MB, "
            f"{slope:+.2f} MB per 100,000 frames, descriptors {files[0]:.0f} to {files[-1]:.0f}"
            f"{'  GROWS' * worse}"
        )
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
