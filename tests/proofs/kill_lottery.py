"""Kill random processes of a replay, many times, and count what was lost and what came twice.

    python -m tests.proofs.kill_lottery --kills 200 --frames 90000 --seed 7

Light steps stand in for the models: it is the machinery that is tested. Exits with 1 if a frame
is missing, is there twice or is out of order, or if anything differs from what one process writes.
A run can be had again, up to the operating system's timing, by its seed.
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
from pathlib import Path

from tests.support import steps
from tests.support.processes import children, directories

from onlooker.config.schema import Config, Pipeline
from onlooker.record.log import reader
from onlooker.record.sinks import json_lines
from onlooker.record.subscribe import subscribe
from onlooker.stream.inline import inline
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.supervisor import replay


class Lottery:
    """A progress display that draws a process every now and then, and kills it.

    `stops`: one in so many is stopped (SIGSTOP) instead, and has to be found out by its silence.
    """

    def __init__(self, seed: int, kills: int, stops: int, frames: int) -> None:
        self.random = random.Random(seed)
        self.kills = kills
        self.stops = stops
        self.drawn: Counter[str] = Counter()
        # By frames and not by time: however fast the machine is, all are drawn.
        self.at = [frames * (n + self.random.random()) / (kills + 1) for n in range(kills)]

    def __call__(self, status: Status) -> None:
        drawn_so_far = self.drawn.total()
        if drawn_so_far >= self.kills or status.settled <= self.at[drawn_so_far]:
            return
        kind = self.random.choice(["source", "detect", "recognise", "record", "publisher", "hub"])
        drawn = [pid for name, pid in sorted(children().items()) if name.startswith(kind)]
        if drawn:
            stop = self.random.randrange(self.stops) == 0
            number = signal.SIGSTOP if stop else signal.SIGKILL
            os.kill(self.random.choice(drawn), number)
            self.drawn[f"{kind} {number.name}"] += 1
            print(f"\r{self.drawn.total()} of {self.kills}, frame {status.settled} ", end="")


def listen(endpoint: str, heard: list[str]) -> None:
    """What a subscriber gets that came before the first record, and asked for all."""
    heard.extend(record.RecordId for record in subscribe(endpoint, since=0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--frames", type=int, default=90_000)
    parser.add_argument("--stops", type=int, default=10, help="one in so many is a SIGSTOP")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    # Random kills are not the fault of the frame they hit.
    config = Config(pipeline=Pipeline(heartbeat=0.5, attempts=6))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = steps.video(folder / "lottery.mp4", asked.frames)
        truth, written = folder / "truth.jsonl", folder / "written.jsonl"
        inline([video], config, Outputs(records=truth), lambda status: None, steps.LIGHT)
        lottery = Lottery(asked.seed, asked.kills, asked.stops, asked.frames)
        endpoint = f"ipc://{folder}/records"
        heard: list[str] = []
        listener = threading.Thread(target=listen, args=(endpoint, heard), daemon=True)
        listener.start()
        began = time.monotonic()
        status = replay(
            [video], config, Outputs(records=written, publish=endpoint), lottery, steps.LIGHT
        )
        seconds = time.monotonic() - began
        listener.join(30)
        indexes = [record.FrameInformation.Index for record in json_lines.read(written)]
        with reader.Log(written.with_suffix(".db")) as opened:
            logged = [record.RecordId for record in opened.read()]
            wrong = opened.check()
        same = truth.read_bytes() == written.read_bytes()
    left = [*children(), *directories(os.getpid())]
    for what, number in sorted(lottery.drawn.items()):
        print(f"\r{what:22} {number:5}")
    print(f"{asked.frames} frames in {seconds:.0f} s, {lottery.drawn.total()} accidents")
    print(f"lost {asked.frames - len(set(indexes))}, twice {len(indexes) - len(set(indexes))}, ")
    print(f"in order {indexes == sorted(indexes)}, as one process writes {same}, left {left}")
    print(f"the log is whole {not wrong}, a subscriber has all in order {heard == logged}")
    print(status.streams[0].counts)
    fine = same and not left and not wrong and heard == logged
    return 0 if fine and lottery.drawn.total() == asked.kills else 1


if __name__ == "__main__":
    sys.exit(main())
