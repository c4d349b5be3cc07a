"""Kinesis' port: records per second to several consumers at once, and what they cost the streams.

Fills a log, runs `onlooker run` with cameras over it, and has consumers read the same data stream
from its beginning to its end, each in batches of 10,000. Every consumer checks that it gets each
record once and in order. The cameras' records are counted before and while the consumers read; the
consumers themselves have the lowest priority, since in use they run on other machines.

    python -m bench.bench_kinesis --records 1000000 --consumers 4
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import msgspec
from bench.support.machine import measured_with

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.record.log.reader import Log
from onlooker.record.log.writer import Writer
from onlooker.types import Face, Frame, Pose, Quality

STREAM = "archive"
BATCH = 10_000
GROUP = 2_000
"""Records of one commit."""
TOML = """
[text]
enabled = false
[tracks]
enabled = false
[kinesis]
listen = "127.0.0.1:0"
[log]
path = "r.db"
max_megabytes = 0
"""
CAMERA = """
[streams.camera{number}]
url = "test://moving?size=640x360&fps={fps}"
policy = "live"
"""


class Record(msgspec.Struct):
    SequenceNumber: str


class Answer(msgspec.Struct):
    Records: list[Record]
    NextShardIterator: str


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--records", type=int, default=1_000_000)
    options.add_argument("--consumers", type=int, default=4)
    options.add_argument("--cameras", type=int, default=2)
    options.add_argument("--fps", type=int, default=5)
    options.add_argument("--seconds", type=float, default=20.0, help="of the cameras alone")
    chosen = options.parse_args()
    print(measured_with())
    with tempfile.TemporaryDirectory(prefix="onlooker-bench-") as place:
        folder = Path(place)
        fill(folder / "r.db", chosen.records)
        toml = TOML + "".join(
            CAMERA.format(number=number, fps=chosen.fps) for number in range(chosen.cameras)
        )
        with program(folder, toml) as (url, pid):
            if chosen.cameras:
                wait_for_cameras(folder / "r.db", chosen.cameras)
            alone = line_rate(folder / "r.db", chosen.seconds)
            used = cpu_seconds(pid)
            first, began = position(folder / "r.db"), time.monotonic()
            with get_context("spawn").Pool(chosen.consumers, low_priority) as pool:
                asked = [(url, chosen.records)] * chosen.consumers
                found = pool.starmap(consume, asked)
            seconds = time.monotonic() - began
            beside = (position(folder / "r.db") - first) / seconds
            used = cpu_seconds(pid) - used
    number = sum(count for count, _ in found)
    size = sum(size for _, size in found)
    print(f"consumers       {chosen.consumers}, each {chosen.records} records once and in order")
    print(f"records/s       {number / seconds:.0f} in all, {seconds:.1f} s")
    print(f"MB/s            {size / seconds / 1e6:.1f} of JSON")
    print(f"CPU             {used / number * 1e6:.1f} us a record, in the process of the port")
    if chosen.cameras:
        change = 100 * (beside / alone - 1)
        print(f"frames/s        {alone:.2f} alone, {beside:.2f} meanwhile ({change:+.1f} %)")


def fill(path: Path, number: int) -> None:
    """Write records of one face each."""
    face = Face(
        box=(64.0, 36.0, 128.0, 108.0),
        score=0.9875,
        points=((80.0, 60.0), (112.0, 61.0), (96.0, 72.0), (84.0, 90.0), (108.0, 91.0)),
        pose=Pose(roll=-6.5, yaw=23.75, pitch=2.25),
        quality=Quality(brightness=40.5, sharpness=96.1),
    )
    frame = Frame(
        stream=STREAM,
        epoch="e",
        index=0,
        pts=0,
        time_base=(1, 25),
        fragment=0,
        fragment_pts=0,
        started=0.0,
        width=640,
        height=360,
        faces=(face,),
    )
    one = build(frame, Config(), "d")
    with Writer(path) as log:
        for first in range(0, number, GROUP):
            log.append(
                msgspec.structs.replace(one, RecordId=str(uuid.UUID(int=each + 1)))
                for each in range(first, min(first + GROUP, number))
            )


@contextmanager
def program(folder: Path, toml: str) -> Iterator[tuple[str, int]]:
    """Run `onlooker run`; yield the URL of Kinesis' port and the id of its process."""
    (folder / "onlooker.toml").write_text(toml)
    out = folder / "out.txt"
    with out.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "onlooker", "run", "--config", "onlooker.toml"],
            cwd=folder,
            env={**os.environ, "ONLOOKER_DATA": str(folder)},
            stdout=output,
        )
    try:
        url = ""
        while not url:
            time.sleep(0.1)
            assert process.poll() is None, "it has ended"
            for line in out.read_text().splitlines():
                url = line.removeprefix("kinesis  ") if line.startswith("kinesis  ") else url
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        [port] = [pid for pid in children if "kinesis_process" in command(pid)]
        yield url, int(port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def command(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def cpu_seconds(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def position(log: Path) -> int:
    with Log(log) as opened:
        return opened.position


def wait_for_cameras(log: Path, number: int) -> None:
    """Wait until all cameras have records."""
    for camera in range(number):
        while True:
            with Log(log) as opened:
                if opened.last(1, f"camera{camera}"):
                    break
            time.sleep(0.2)


def line_rate(log: Path, seconds: float) -> float:
    """Return the records per second that the cameras write."""
    first, began = position(log), time.monotonic()
    time.sleep(seconds)
    return (position(log) - first) / (time.monotonic() - began)


def low_priority() -> None:
    os.nice(19)


def consume(url: str, number: int) -> tuple[int, int]:
    """Read the data stream once; return the number of records and the bytes of the answers."""
    host, _, port = url.rpartition("//")[2].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=120)

    def ask(operation: str, **members: object) -> bytes:
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"Kinesis_20131202.{operation}",
        }
        connection.request("POST", "/", json.dumps(members).encode(), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    start = ask(
        "GetShardIterator",
        StreamName=STREAM,
        ShardId="shardId-000000000000",
        ShardIteratorType="TRIM_HORIZON",
    )
    token: str = json.loads(start)["ShardIterator"]
    decode = msgspec.json.Decoder(Answer).decode
    count, size, last = 0, 0, ""
    while count < number:
        body = ask("GetRecords", ShardIterator=token, Limit=BATCH)
        answer = decode(body)
        numbers = [last, *(record.SequenceNumber for record in answer.Records)]
        assert all(before < after for before, after in pairwise(numbers))
        last, token = numbers[-1], answer.NextShardIterator
        count, size = count + len(answer.Records), size + len(body)
    assert count == number
    return count, size


if __name__ == "__main__":
    main()
