"""Restart, stop, pause and fill the servers that sinks send to, and compare them with the log.

    python -m tests.proofs.sinks --restarts 20 --down 60

Records are appended all the time, as by a live stream, and their processes send them to NATS, MQTT,
Kinesis and a webhook at once; now and then a process of a sink is killed, too. Exits with 1 if a
server lacks a message, or has one before an earlier one, once doubles are removed by their ids.
Prints how long appending took meanwhile, without sinks and with them.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace
from tests.support.appearances import event, record
from tests.support.brokers import KinesisBroker, MqttBroker, NatsBroker
from tests.support.deliveries import expected
from tests.support.webhooks import Receiver, first_seen

from onlooker.config.sinks import SinkConfig
from onlooker.record.log.reader import Log
from onlooker.record.log.writer import Writer
from onlooker.stream import sink_processes
from onlooker.stream.sink_processes import SinkProcesses

RECORDS_PER_SECOND = 25
MAX_SECONDS = 300.0
"""Time that sinks may take at the end."""


class HookBroker:
    """A webhook's receiver that loses nothing when it goes."""

    def __init__(self, _: Path) -> None:
        self._receiver = Receiver()
        self._port = self._receiver.port
        self._before: list[str] = []
        url = self._receiver.url
        self.config = SinkConfig(kind="webhook", url=url, timeout=2.0)

    def start(self) -> None:
        if self._receiver.closed:
            self._receiver = Receiver(self._port)

    def stop(self) -> None:
        self._receiver.close()
        self._before += self._receiver.ids

    def pause(self) -> None:
        self._receiver.delay = 3.0

    def resume(self) -> None:
        self._receiver.delay = 0.0

    def fill(self, full: bool) -> None:
        self._receiver.answer = 507 if full else 200

    def ids(self) -> list[str]:
        return self._before + ([] if self._receiver.closed else self._receiver.ids)

    def close(self) -> None:
        if not self._receiver.closed:
            self._receiver.close()


KINDS: dict[str, Callable[[Path], NatsBroker | MqttBroker | KinesisBroker | HookBroker]] = {
    "nats": NatsBroker,
    "mqtt": MqttBroker,
    "kinesis": KinesisBroker,
    "webhook": HookBroker,
}


class Line(threading.Thread):
    """Appends records like a live stream: 25 a second, with events in every fifth."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._path = log
        self._ended = threading.Event()
        self.seconds: list[float] = []
        """Of each append."""

    def run(self) -> None:
        with Writer(self._path) as log:
            index = 0
            while not self._ended.wait(1 / RECORDS_PER_SECOND):
                visit = event(index, "new", index, index + 1.0, "ada")
                made = record(index, *([visit] if index % 5 == 0 else []))
                began = time.monotonic()
                log.append([made])
                self.seconds.append(time.monotonic() - began)
                index += 1

    def end(self) -> None:
        self._ended.set()
        self.join()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    options.add_argument("--restarts", type=int, default=20)
    options.add_argument("--down", type=float, default=60.0, metavar="SECONDS")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        chosen.kinds = [kind for kind in chosen.kinds if kind != "mqtt"]
        print("mqtt is left out: mosquitto is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "a"
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
    with tempfile.TemporaryDirectory(prefix="onlooker-proof-") as place:
        return prove(Path(place), chosen)


def prove(folder: Path, chosen: argparse.Namespace) -> int:
    """Let the accidents happen; return the exit status."""
    chance = random.Random(chosen.seed)
    alone = Line(folder / "alone.db")
    alone.start()
    time.sleep(2.0)
    alone.end()
    brokers = {}
    for kind in chosen.kinds:
        (folder / kind).mkdir()
        brokers[kind] = KINDS[kind](folder / kind)
        brokers[kind].start()
    sinks = {kind: broker.config for kind, broker in brokers.items()}
    # Kinesis's reader knows records by their RecordId only.
    sinks = {
        kind: replace(config, send=("records",), timeout=1.0) if kind == "kinesis" else config
        for kind, config in sinks.items()
    }
    log = folder / "records.db"
    kills = 0
    try:
        with sink_processes.running(log, sinks) as group:
            line = Line(log)
            line.start()
            try:
                watched(group, 2.0)
                for number in range(chosen.restarts):
                    for kind, broker in brokers.items():
                        broker.kill() if isinstance(broker, NatsBroker) else broker.stop()
                        if chance.random() < 0.2:
                            kill(group, f"sink-{kind}")
                            kills += 1
                    watched(group, chance.uniform(0.0, 1.5))
                    for broker in brokers.values():
                        broker.start()
                    watched(group, chance.uniform(0.5, 2.0))
                    print(f"restart {number + 1}: {backlogs(group)}", flush=True)
                for broker in brokers.values():
                    broker.stop()
                watched(group, chosen.down)
                print(f"after {chosen.down:g} s without servers: {backlogs(group)}", flush=True)
                for broker in brokers.values():
                    broker.start()
                for broker in brokers.values():
                    broker.pause()
                watched(group, 4.0)
                for broker in brokers.values():
                    broker.resume()
                fill(brokers, True)
                watched(group, 4.0)
                print(f"after 4 s paused and 4 s full: {backlogs(group)}", flush=True)
                fill(brokers, False)
            finally:
                line.end()
            began, waiting = time.monotonic(), group.finish()
            while waiting and time.monotonic() - began < MAX_SECONDS:
                waiting = group.finish()
            print(f"the rest took {time.monotonic() - began:.1f} s")
        return verdict(log, sinks, brokers, (alone, line), kills)
    finally:
        for broker in brokers.values():
            broker.close()


def watched(group: SinkProcesses, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        group.watch()
        time.sleep(0.05)


def kill(group: SinkProcesses, name: str) -> None:
    for process in group.processes():
        if process.name == name and process.id:
            os.kill(process.id, signal.SIGKILL)


def fill(
    brokers: dict[str, NatsBroker | MqttBroker | KinesisBroker | HookBroker], on: bool
) -> None:
    """Have those that can be full be so, or no longer."""
    for broker in brokers.values():
        if isinstance(broker, NatsBroker):
            broker.limit(1 if on else -1)
        elif isinstance(broker, HookBroker):
            broker.fill(on)


def backlogs(group: SinkProcesses) -> str:
    return ", ".join(f"{each.name} {each.backlog}" for each in group.status())


def verdict(
    log: Path,
    sinks: dict[str, SinkConfig],
    brokers: dict[str, NatsBroker | MqttBroker | KinesisBroker | HookBroker],
    lines: tuple[Line, Line],
    kills: int,
) -> int:
    """Compare every server with the log; print what was found, and return the exit status."""
    wrong = 0
    with Log(log) as opened:
        for kind, config in sinks.items():
            wanted = [each.id for each in expected(opened, config) if not each.quiet]
            ids = brokers[kind].ids()
            end = time.monotonic() + 30
            while len(set(ids)) < len(wanted) and time.monotonic() < end:
                time.sleep(0.5)  # a subscriber has it a little later than the broker
                ids = brokers[kind].ids()
            found = first_seen(ids)
            lost, doubles = len(set(wanted) - set(found)), len(ids) - len(found)
            ordered = found == wanted
            wrong += not ordered
            print(
                f"{kind}: {len(wanted)} messages, {lost} lost, {doubles} doubles removed, "
                f"{'in order' if ordered else 'NOT IN ORDER'}"
            )
    for name, line in zip(("without sinks", "with sinks"), lines, strict=True):
        times = sorted(line.seconds)
        print(
            f"append {name}: median {1000 * times[len(times) // 2]:.1f} ms, "
            f"99 % {1000 * times[len(times) * 99 // 100]:.1f} ms, most {1000 * times[-1]:.1f} ms"
        )
    print(f"{kills} processes of sinks were killed; {'it holds' if not wrong else 'IT FAILS'}")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
