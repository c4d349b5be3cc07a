"""Replay one video many times: fast and slow, with few and many workers, with and without kills.

    python -m tests.proofs.determinism [--frames 240] [--times 10]

Exits with 1 unless the SHA-256 of the records is the same each time. Some runs are stopped in the
middle and resumed. Light steps, one of them stateful, stand in for the models, unless --models is
given.
"""

import argparse
import hashlib
import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.support import steps
from tests.support.processes import called

from onlooker.config.schema import Config, Pipeline, SourceConfig
from onlooker.record.log import reader
from onlooker.rekognition.shapes import encode
from onlooker.stream.cameras import serve
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.stages import STAGES

SPEEDS = ("max", "8x", "1x")
KILLS = ("record", "source", "hub", "count", "detect")
LIGHT = (*steps.SLOW[:2], steps.COUNT, steps.RECORD)


def run(video: Path, folder: Path, number: int, models: bool) -> tuple[str, str]:
    """Replay once; return how, and the digest of the records."""
    speed, workers, kills = SPEEDS[number % 3], 1 + number % 2, 2 * (number % 2)
    outputs = Outputs(log=folder / f"{number}.db")
    config = Config(
        pipeline=Pipeline(workers=workers, heartbeat=0.5, attempts=6),
        streams={"video": SourceConfig(url=str(video), speed=speed)},
    )
    killed: list[int] = []
    stopped: list[int] = []

    def disturb(status: Status) -> None:
        if len(killed) < kills and status.settled > 40 * (len(killed) + 1):
            pid = called(KILLS[(number + len(killed)) % len(KILLS)])
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        if number % 3 == 1 and not stopped and status.settled > 60:
            stopped.append(status.settled)
            os.kill(os.getpid(), signal.SIGTERM)

    stages = STAGES if models else LIGHT
    serve(lambda: config, outputs, disturb, None, stages)
    if stopped:
        serve(lambda: config, outputs, disturb, None, stages)
    whole = hashlib.sha256()
    for record in reader.read_log(outputs.log_path):
        whole.update(encode(record) + b"\n")
    disturbed = f"{len(killed)} killed{', resumed' * len(stopped)}"
    return f"{speed:4} {workers} workers, {disturbed:18}", whole.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--models", action="store_true", help="the real steps")
    asked = parser.parse_args()
    digests = set()
    with tempfile.TemporaryDirectory() as name:
        video = steps.video(Path(name) / "video.mp4", asked.frames)
        for number in range(asked.times):
            how, digest = run(video, Path(name), number, asked.models)
            digests.add(digest)
            print(f"{number + 1:3} {how}  {digest}", flush=True)
    print(f"digests: {len(digests)}")
    return int(len(digests) != 1)


if __name__ == "__main__":
    sys.exit(main())
