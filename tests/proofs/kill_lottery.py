"""Kill random processes of a replay, many times, and count the records lost and repeated.

    python -m tests.proofs.kill_lottery --kills 200 --frames 90000 --seed 7

Light steps stand in for the models: the machinery is under test. Two videos are read at once, and a
stateful stage with two workers numbers their frames; with --tracks it is the real tracker, over
people and captions that come and go, and its events are compared too; with --people also those of
unknown people with their ids, in one video, since which of two sees somebody first decides the
number. Exits with 1 if a frame is
missing, repeated or out of order, if a state is wrong, or if anything differs from what one process
writes. The seed repeats a run, up to the timing of the operating system.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.support import steps
from tests.support.processes import children, directories

from onlooker.config.schema import Config, Pipeline
from onlooker.config.tracking import People, Tracks
from onlooker.record.log import reader
from onlooker.record.sinks import json_lines
from onlooker.record.subscribe import subscribe
from onlooker.rekognition.shapes import Appearance, Reading, StreamRecord
from onlooker.stream.inline import inline
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.supervisor import replay

KINDS = (
    "source",
    "detect",
    "associate",
    "recognise",
    "count",
    "track",
    "record",
    "publisher",
    "hub",
)


STILL = 3
"""With the real tracker, frames without news in a row: they are not searched, but followed."""


class Lottery:
    """A progress display that kills a random process now and then.

    stops: one in this many is stopped (SIGSTOP) instead, and must be detected by its silence.
    """

    def __init__(self, seed: int, kills: int, stops: int, frames: int) -> None:
        self.random = random.Random(seed)
        self.kills = kills
        self.stops = stops
        self.drawn: Counter[str] = Counter()
        # By frames and not by time, so that all are drawn, however fast the machine is.
        self.at = [frames * (n + self.random.random()) / (kills + 1) for n in range(kills)]

    def __call__(self, status: Status) -> None:
        drawn_so_far = self.drawn.total()
        if drawn_so_far >= self.kills or status.settled <= self.at[drawn_so_far]:
            return
        kind = self.random.choice(KINDS)
        drawn = [pid for name, pid in sorted(children().items()) if name.startswith(kind)]
        if drawn:
            stop = self.random.randrange(self.stops) == 0
            number = signal.SIGSTOP if stop else signal.SIGKILL
            os.kill(self.random.choice(drawn), number)
            self.drawn[f"{kind} {number.name}"] += 1
            print(f"\r{self.drawn.total()} of {self.kills}, frame {status.settled} ", end="")


def listen(endpoint: str, heard: list[StreamRecord]) -> None:
    """Collect the records that a subscriber gets that is there before the first one."""
    heard.extend(subscribe(endpoint, since=0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--frames", type=int, default=90_000)
    parser.add_argument("--stops", type=int, default=10, help="one in this many is a SIGSTOP")
    parser.add_argument("--tracks", action="store_true", help="with the real tracker")
    parser.add_argument("--people", action="store_true", help="with --tracks and unknown people")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    # Random kills are not the fault of the frame they hit.
    config = Config(
        pipeline=Pipeline(heartbeat=0.5, attempts=6),
        tracks=Tracks(absence=1.0),
        people=People(enabled=asked.people),
    )
    asked.tracks |= asked.people
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        half = 0 if asked.people else asked.frames // 2
        frames = {"first": asked.frames - half, "second": half}
        videos = [
            steps.video(folder / f"{stream}.mp4", frames[stream], STILL if asked.tracks else 1)
            for stream in frames
            if frames[stream]
        ]
        truth, written = folder / "truth.jsonl", folder / "written.jsonl"
        stages = steps.TRACKED if asked.tracks else steps.COUNTED
        stores = folder / "truth.faces", folder / "written.faces"
        for store in stores:
            store.mkdir()
        inline(
            videos, config, Outputs(records=truth), steps.quiet, stages, store=stores[0] / "f.db"
        )
        lottery = Lottery(asked.seed, asked.kills, asked.stops, asked.frames)
        endpoint = f"ipc://{folder}/records"
        heard: list[StreamRecord] = []
        listener = threading.Thread(target=listen, args=(endpoint, heard), daemon=True)
        listener.start()
        began = time.monotonic()
        outputs = Outputs(records=written, publish=endpoint)
        status = replay(videos, config, outputs, lottery, stages, store=stores[1] / "f.db")
        seconds = time.monotonic() - began
        listener.join(30)
        expected, records = by_stream(json_lines.read(truth)), by_stream(json_lines.read(written))
        with reader.Log(written.with_suffix(".db")) as opened:
            logged = by_stream(opened.read())
            wrong = opened.check()
            faces = best_faces(opened)
            named = {each.event.Person for each in opened.visits(Appearance)} - {None}
            visits = len(opened.visits(Appearance)), len(opened.visits(Reading))
        with reader.Log(truth.with_suffix(".db")) as opened:
            same_faces = faces == best_faces(opened)
    left = [*children(), *directories(os.getpid())]
    indexes = {
        stream: [record.FrameInformation.Index for record in found]
        for stream, found in records.items()
    }
    lost = sum(frames[stream] - len(set(found)) for stream, found in indexes.items())
    twice = sum(len(found) - len(set(found)) for found in indexes.values())
    ordered = all(found == sorted(found) for found in indexes.values())
    states = 0 if asked.tracks else sum(map(steps.wrong_counts, records.values()))
    same = expected == records
    all_heard = by_stream(heard) == logged  # in the order of each stream
    for what, number in sorted(lottery.drawn.items()):
        print(f"\r{what:22} {number:5}")
    print(f"{asked.frames} frames in {seconds:.0f} s, {lottery.drawn.total()} accidents")
    print(f"lost {lost}, twice {twice}, in order {ordered}, wrong states {states}")
    print(f"as one process writes {same}, left {left}")
    print(f"the log is whole {not wrong}, a subscriber has all in order {all_heard}")
    print(f"{visits[0]} appearances of {len(named)} with ids, {visits[1]} readings")
    print(f"{len(faces)} images of best faces, as one process keeps {same_faces}")
    for stream in status.streams:
        print(stream.name, stream.counts)
    fine = same and same_faces and not (lost or twice or states or left or wrong) and all_heard
    return 0 if fine and lottery.drawn.total() == asked.kills else 1


def best_faces(log: reader.Log) -> dict[str, bytes | None]:
    """Return the image of each appearance's best face."""
    visits = [each.event.AppearanceId for each in log.visits(Appearance)]
    return {visit: log.best_face(visit) for visit in visits}


def by_stream(records: Iterable[StreamRecord]) -> dict[str, list[StreamRecord]]:
    """Return the records of each stream, in order."""
    found: dict[str, list[StreamRecord]] = {}
    for record in records:
        found.setdefault(record.stream, []).append(record)
    return found


if __name__ == "__main__":
    sys.exit(main())
