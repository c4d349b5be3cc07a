"""Amazon's Kinesis Client Library reads a stream while its daemon is killed again and again.

    python -m tests.proofs.kinesis_library [--records 10000] [--kills 3]

Between two checkpoints each record must come exactly once and in order; after a kill the library
continues from its last checkpoint, so that what came after it comes again, and nothing is missing.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.support.client_library import client_library, leases, written
from tests.support.kinesis import kinesis_port, streams, write_log

SECONDS = 240.0
"""Time that one life of the daemon may take."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--records", type=int, default=10_000)
    options.add_argument("--kills", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="onlooker-proof-") as place:
        folder = Path(place)
        write_log(folder / "r.db", streams(chosen.records, "door"))
        with kinesis_port(folder) as port, leases() as dynamo:
            for life in range(chosen.kills + 1):
                target = chosen.records * (life + 1) // (chosen.kills + 1)
                with client_library(folder, port.url, dynamo, 500) as out:
                    last = life == chosen.kills
                    lines = written(out, target, SECONDS) if last else reached(out, target)
                print(f"life {life + 1}: {len(lines)} lines", flush=True)
    faults = check(lines, chosen.records)
    print("\n".join(faults) or f"{chosen.records} records, each once per checkpoint")
    return 1 if faults else 0


def reached(out: Path, target: int) -> list[str]:
    """Return the processor's lines once there is one of Sequence `target` or a later one."""
    end, lines = time.monotonic() + SECONDS, list[str]()
    while time.monotonic() < end:
        lines = out.read_text().splitlines() if out.exists() else []
        if any(line.isdigit() and int(line) >= target for line in lines):
            break
        time.sleep(0.2)
    return lines


def check(lines: list[str], number: int) -> list[str]:
    """Return what is wrong with the lines of all lives."""
    faults, done, at = list[str](), 0, 0
    for line in lines:
        if line == "checkpoint":
            done = at
        elif int(line) == at + 1:
            at += 1
        elif int(line) == done + 1:  # a new life, from the last checkpoint
            at = done + 1
        else:
            faults.append(f"Sequence {line} after {at}, the last checkpoint at {done}")
            at = int(line)
    if done != number:
        faults.append(f"the last checkpoint is at {done}, not at {number}")
    return faults[:10]


if __name__ == "__main__":
    sys.exit(main())
