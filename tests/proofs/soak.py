"""Send many small frames through the whole pipeline, and watch the memory of every process.

    python -m tests.proofs.soak [--frames 300000] [--people]

With --people the real tracker follows visitors and recognises each of them. They are a hundred
regulars among the 10,000 unknown people that the store has from the start, each with as many faces
as are kept of one person, because what a new person or face takes is no leak: it is told beside.

Exits with 1 if a process grows by more than 1 MB per 100,000 frames (least squares), or ends with
more descriptors than it began with. Each process is judged by its own life, after a fifth of the
run's frames in which it warms up. One that has replaced another is told, with its age; if it came
too late to be judged, the one before it must have been.
"""

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from tests.support import steps
from tests.support.processes import children

from onlooker.config.schema import Config, Pipeline, Retention, SourceConfig
from onlooker.config.tracking import People, Tracks
from onlooker.identity.people.people import MAX_VECTORS, open_people
from onlooker.identity.people.person_changes import Visitor
from onlooker.models.card import space
from onlooker.record.log.reader import Log
from onlooker.rekognition.shapes import Appearance
from onlooker.stream.cameras import serve
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs

MAX_GROWTH_MB = 1.0
"""Megabytes that a process may grow by in 100,000 frames."""
WARM_UP, MIN_JUDGED = 0.2, 0.2
"""Shares of the run's frames: in which a process warms up, and which it must live for after that to
be judged."""

Sample: TypeAlias = tuple[int, float, int]
"""Frames so far, megabytes of the process alone, descriptors."""


class Verdict(NamedTuple):
    """The judgement of one process's life; `grows` is None if it was too short to be judged."""

    name: str
    text: str
    grows: bool | None


def verdict(name: str, seen: Sequence[Sample], frames: int) -> Verdict:
    """Judge a process by its samples. frames: of the whole run."""
    begun, warm = seen[0][0], seen[0][0] + WARM_UP * frames
    later = [sample for sample in seen if sample[0] >= warm]
    replaced = name.rpartition(".")[2] not in ("1", name)
    life = f"  replaced another after {begun} frames" * replaced
    if not later or later[-1][0] - warm < MIN_JUDGED * frames:
        return Verdict(name, f"lived for {seen[-1][0] - begun} frames, not judged{life}", None)
    counts, megabytes, files = (np.array(column, float) for column in zip(*later, strict=True))
    slope = np.polyfit(counts, megabytes, 1)[0] * 1e5
    # The lowest of each part: some are open for a moment only.
    part = max(1, len(files) // 5)
    first, last = files[:part].min(), files[-part:].min()
    grows = bool(slope > MAX_GROWTH_MB or last > first)
    return Verdict(
        name,
        f"{megabytes[0]:6.1f} to {megabytes[-1]:6.1f} MB, {slope:+.2f} MB per 100,000 frames, "
        f"descriptors {first:.0f} to {last:.0f}{life}{'  GROWS' * grows}",
        grows,
    )


def unjudged(verdicts: Iterable[Verdict]) -> set[str]:
    """Return the names, without their lives' numbers, of which no process was judged."""
    lives: dict[str, bool] = defaultdict(bool)
    for each in verdicts:
        lives[each.name.partition(".")[0]] |= each.grows is not None
    return {name for name, judged in lives.items() if not judged}


class Observer:
    """Samples the memory and the descriptors of each process."""

    def __init__(self) -> None:
        self.next = 0.0
        self.seen: dict[str, list[Sample]] = defaultdict(list)
        """By process."""

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


def fill(store: Path, config: Config) -> None:
    """Make all strangers known as unknown people, the regulars by many appearances."""
    regulars = [*range(steps.REGULARS)] * (MAX_VECTORS - 1)
    with open_people(space(config.faces.embedder), store) as people:
        for visit, number in enumerate([*range(steps.STRANGERS), *regulars]):
            if visit in (steps.STRANGERS // 2, steps.STRANGERS):
                print(f"{visit} people: {own(os.getpid()):.1f} MB to find them by")
            people.join(
                Visitor(
                    appearance=str(uuid.UUID(int=visit)),
                    stream="earlier",
                    start=2.0 * visit,
                    end=2.0 * visit + 1,
                    frames=25,
                    clarity=90.0,
                    vector=steps.stranger(number),
                )
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=300_000)
    parser.add_argument("--people", action="store_true", help="with visits of unknown people")
    asked = parser.parse_args()
    half = asked.frames // 2
    url = f"test://moving?size=96x64&frames={half}"
    config = Config(
        pipeline=Pipeline(workers=1),
        streams={"one": SourceConfig(url=url), "two": SourceConfig(url=url)},
        tracks=Tracks(absence=0.5),
        people=People(enabled=asked.people),
    )
    stages = steps.RETURNING if asked.people else steps.COUNTED
    observer, began = Observer(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        outputs = Outputs(
            log=Path(name) / "r.db",
            records=Path(name) / "r.jsonl",
            publish=f"ipc://{name}/records",
            limits=Retention(max_megabytes=40, json_lines_max_megabytes=10),
        )
        store = Path(name) / "faces.db"
        if asked.people:
            fill(store, config)
        status = serve(lambda: config, outputs, observer, None, stages, store=store)
        with Log(outputs.log_path) as log:
            visits = log.visits(Appearance)
            named = sum(visit.event.Person is not None for visit in visits)
        kept = sum(path.stat().st_size for path in Path(name).iterdir()) / 1e6
    seconds = time.monotonic() - began
    print(f"\r{status.settled} frames in {seconds:.0f} s; {kept:.0f} MB of records were kept")
    bad = status.done != asked.frames
    if asked.people:
        print(f"{len(visits)} appearances in the log, {named} of people with an id")
        bad |= named < len(visits) or not visits
    verdicts = [verdict(*each, asked.frames) for each in sorted(observer.seen.items())]
    for each in verdicts:
        print(f"{each.name:14} {each.text}")
        bad |= bool(each.grows)
    for name in sorted(unjudged(verdicts)):
        print(f"{name}: no process of it lived for long enough to be judged")
        bad = True
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
