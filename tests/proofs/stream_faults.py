"""Cameras that fail in every way, hundreds of times, and streams that come and go.

    python -m tests.proofs.stream_faults [--faults 300] [--changes 500]

RTSP servers on loopback end, reset, stall, send garbage, change their size and time stamps, and
refuse. After each fault the camera must be connected to again within twice the back-off (and twice
the time-out, where it fell silent), and no source may be left with more descriptors or threads.
Then streams are added and removed, and supervisor and hub may grow by 1 MB in 500 changes.
"""

import argparse
import itertools
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.proofs.soak import descriptors, own
from tests.support import cameras, steps
from tests.support.processes import children

from onlooker.config.schema import Config, Pipeline, SourceConfig
from onlooker.stream.camera_reader import (
    MAX_RECONNECT_SECONDS,
    MIN_RECONNECT_SECONDS,
    STEADY_SECONDS,
)
from onlooker.stream.cameras import serve
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs

FAULTS = ("brief", "reset", "stall", "garbage", "larger", "jumpy", "damaged", "refused", "missing")
TIMEOUT = 1.0
FPS = 25


class Faulty(cameras.Rtsp):
    """A camera whose every other connection works for a while; all fail in the end."""

    def __init__(self, seed: int) -> None:
        super().__init__("well", fps=FPS, size=(96, 64))
        self.chance = random.Random(seed)
        self.began = self.failed = 0.0
        self.streak = 0
        """Connections in a row that did not hold."""
        self.recovered: list[tuple[str, float, float]] = []
        """Fault, seconds until the next connection, seconds that were allowed."""

    def mood(self) -> str:
        now = time.monotonic()
        if self.given:
            wait = min(MIN_RECONNECT_SECONDS * 2 ** max(0, self.streak - 1), MAX_RECONNECT_SECONDS)
            silent = 2 * TIMEOUT if self.given[-1] in ("stall", "garbage") else 0.0
            self.recovered.append((self.given[-1], now - self.failed, 2 * wait + silent + 1))
        well = len(self.given) % 2 == 0
        self.given.append("well" if well else self.chance.choice(FAULTS))
        self.began = self.failed = now
        return self.given[-1]

    def numbers(self, mood: str) -> Iterator[int]:
        most = (
            round(FPS * (STEADY_SECONDS + 1))
            if mood in ("well", "larger", "jumpy", "damaged")
            else 99
        )
        yield from itertools.islice(super().numbers(mood), most)

    def end(self, mood: str, peer: socket.socket) -> None:
        self.failed = time.monotonic()
        self.streak = 0 if self.failed - self.began > STEADY_SECONDS else self.streak + 1
        super().end(mood, peer)


def faults(number: int, seed: int, folder: Path) -> bool:
    """Cause faults; return whether all streams recovered in time."""
    held: dict[str, tuple[int, int]] = {}
    worse: list[str] = []
    with ExitStack() as closing:
        doors = [closing.enter_context(Faulty(seed + n)) for n in range(8)]
        config = Config(
            pipeline=Pipeline(workers=1),
            streams={
                f"door{n}": SourceConfig(url=door.url, policy="live", timeout=TIMEOUT)
                for n, door in enumerate(doors)
            },
        )

        def watch(status: Status) -> None:
            happened = sum(len(door.recovered) for door in doors)
            print(f"\r{happened} of {number} faults", end="", flush=True)
            if happened < number / 4 and held:
                return
            now = {
                name: (descriptors(pid), len(os.listdir(f"/proc/{pid}/task")))
                for name, pid in children().items()
                if name.startswith("source")
            }
            if happened >= number / 4 and len(held) < len(doors):
                held.update(now)
            if happened >= number:
                # Between two connections there is one descriptor less, or in one some more.
                worse[:] = [
                    name for name, (files, threads) in now.items()
                    if name in held and (files > held[name][0] + 3 or threads > held[name][1] + 1)
                ]  # fmt: skip
                os.kill(os.getpid(), signal.SIGTERM)

        status = serve(lambda: config, Outputs(log=folder / "r.db"), watch, None, steps.LIGHT)
        recovered = [one for door in doors for one in door.recovered]
    late = [one for one in recovered if one[1] > one[2]]
    print()
    for fault, count in sorted(Counter(fault for fault, *_ in recovered).items()):
        longest = max(seconds for name, seconds, _ in recovered if name == fault)
        print(f"{fault:8} {count:4} times, connected again after {longest:.1f} s at most")
    print(f"{len(recovered)} faults, later than twice the back-off: {late}")
    print(f"sources with more descriptors or threads than before: {worse}")
    accounted = all(
        stream.counts.received == stream.counts.settled + stream.in_flight
        for stream in status.streams
    )
    print(f"every frame accounted for: {accounted}")
    return not late and not worse and accounted


def changes(number: int, folder: Path) -> bool:
    """Add and remove streams; return whether memory stays flat."""
    made, memory = 0, list[tuple[float, float]]()
    sources = {"stays": SourceConfig(url="test://moving?size=64x48&fps=5", policy="live")}
    beyond: dict[str, SourceConfig] = {}

    def load() -> Config:
        return Config(pipeline=Pipeline(workers=1), streams={**sources, **beyond})

    def change(status: Status) -> None:
        nonlocal made
        known = {stream.name for stream in status.streams if stream.counts.done}
        if not set(beyond) <= known or "stays" not in known:
            return
        if beyond or len(status.streams) == 1:
            if beyond:
                made += len(beyond)
                beyond.clear()
            else:
                hub = next(pid for name, pid in children().items() if name.startswith("hub"))
                memory.append((own(os.getpid()), own(hub)))
                if made >= number:
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                for n in range(5):
                    beyond[f"s{made + n}"] = sources["stays"]
            print(f"\r{made} of {number} changes", end="", flush=True)
            os.kill(os.getpid(), signal.SIGHUP)

    serve(load, Outputs(log=folder / "c.db"), change, None, steps.LIGHT)
    # The first fifth is for what is made once.
    (one, two), (three, four) = memory[len(memory) // 5], memory[-1]
    scale = 500 / (made * 4 / 5)
    grown = (three - one) * scale, (four - two) * scale
    print(f"\r{made} streams came and went; in 500 the supervisor grows by {grown[0]:+.2f} MB, ")
    print(f"the hub by {grown[1]:+.2f} MB")
    return max(grown) < 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    with tempfile.TemporaryDirectory() as name:
        fine = not asked.faults or faults(asked.faults, asked.seed, Path(name))
        fine &= not asked.changes or changes(asked.changes, Path(name))
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
