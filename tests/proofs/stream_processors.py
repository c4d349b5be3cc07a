"""Many stream processors at once: started, stopped, and run again after restarts of everything.

    python -m tests.proofs.stream_processors [--processors 50] [--restarts 2]

Each has a camera of its own, whose frames light steps analyse. All must get to RUNNING, have
records in their own topic after every restart, and be STOPPED at the end; the records of each topic
must have Sequences without a gap.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support import steps
from tests.support.idle_group import Idle
from tests.support.processors import processor

from onlooker.config.schema import Config, Pipeline
from onlooker.record.log.topics import TopicLog
from onlooker.rekognition.shapes import decode
from onlooker.stream import processors
from onlooker.stream.cameras import serve
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.stream_table import StreamTable
from onlooker.stream.wanted_streams import WantedStreams

SECONDS = 240.0
"""Time that the processors may take to get to a state."""
URL = "test://moving?fps=1&size=64x36"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--processors", type=int, default=50)
    options.add_argument("--restarts", type=int, default=2)
    chosen = options.parse_args()
    number = chosen.processors
    with tempfile.TemporaryDirectory(prefix="onlooker-proof-") as place:
        folder = Path(place)
        log = folder / "r.db"
        with StreamTable(folder / "streams.db") as table:
            names = [f"p{each:03}" for each in range(number)]
            for name in names:
                made = processor(name, name, f"topic-{name}", url=URL, policy="live")
                processors.create(table, made)
                processors.start(table, name)
            for life in range(chosen.restarts + 1):
                began, before = time.monotonic(), lengths(log)

                def more(before: dict[str, int] = before) -> bool:
                    now = lengths(log)
                    return all(
                        now.get(f"topic-{name}", 0) > before.get(f"topic-{name}", 0)
                        for name in names
                    )

                if not run(table, log, lambda: states(table) == {"RUNNING"} and more()):
                    print(f"life {life + 1}: not all run: {states(table)}")
                    return 1
                print(
                    f"life {life + 1}: {number} run, {time.monotonic() - began:.0f} s", flush=True
                )

            def stopped() -> bool:
                for each in processors.stored(table):
                    if each.status == "RUNNING":
                        processors.stop(table, each.name)
                return states(table) == {"STOPPED"}

            if not run(table, log, stopped):
                print(f"not all have stopped: {states(table)}")
                return 1
        found = {name: sequences(log, f"topic-{name}") for name in names}
    wrong = [name for name, each in found.items() if each != list(range(1, len(each) + 1))]
    print(f"{sum(map(len, found.values()))} records, topics with a gap: {wrong or 'none'}")
    return 1 if wrong else 0


def run(table: StreamTable, log: Path, until: Callable[[], bool]) -> bool:
    """Run the streams until it is true; return whether it became so in time."""
    end, true = time.monotonic() + SECONDS, False
    due = 0.0

    def show(status: Status) -> None:
        nonlocal true, due
        if time.monotonic() < due:
            return
        due = time.monotonic() + 1
        true = until()
        if true or time.monotonic() > end:
            os.kill(os.getpid(), signal.SIGTERM)

    load = WantedStreams(lambda: Config(pipeline=Pipeline(workers=1)), table, lambda *_: None)
    with table.runner() as ours:
        assert ours
        serve(load, Outputs(log=log, patient=True), show, None, steps.LIGHT, [Idle()])
    return true


def states(table: StreamTable) -> set[str]:
    return {each.status for each in processors.stored(table)}


def lengths(log: Path) -> dict[str, int]:
    """Return the number of records of each topic."""
    if not log.exists():
        return {}
    with TopicLog(log) as opened:
        numbers = ((name, opened.number_of(name)) for name in opened.topics())
        return {
            name: sum(1 for _ in opened.records_of(number, 0, 10**6)) for name, number in numbers
        }


def sequences(log: Path, topic: str) -> list[int]:
    with TopicLog(log) as opened:
        found = opened.records_of(opened.number_of(topic), 0, 10**6)
        return [decode(record.body).Sequence for record in found]


if __name__ == "__main__":
    sys.exit(main())
