"""A program that serves a log as Kinesis data streams, and clients for it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from tests.support.botocore_shapes import problems_of
from tests.support.frame_records import make_records
from tests.support.server import Answer, answered

from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

START_SECONDS = 120.0
STOP_SECONDS = 25.0
"""Time in which a port stops: less than asyncio waits for a client that has not ended TLS."""
SHARD = "shardId-000000000000"
model: Any = botocore.session.get_session().get_service_model("kinesis")


class KinesisPort:
    """The port of Kinesis, as `kinesis_port` has started it."""

    def __init__(self, url: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.folder = folder
        self.process = process
        self.host, _, port = url.rpartition("//")[2].rpartition(":")
        self.port = int(port)

    @property
    def log(self) -> Path:
        return self.folder / "r.db"

    def client(self, **settings: Any) -> Any:
        """Return an unchanged boto3 whose every response is checked against botocore's model."""
        chosen = {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "aws_access_key_id": "AKIDNOBODY",
            "aws_secret_access_key": "any",
            "config": Config(retries={"total_max_attempts": 1}),
            **settings,
        }
        client = boto3.client("kinesis", **chosen)
        client.meta.events.register("before-parse.kinesis.*", _check)
        return client

    def connect(self) -> HTTPConnection:
        return HTTPConnection(self.host, self.port, timeout=60)

    def post(self, operation: str, body: bytes, connection: HTTPConnection) -> Answer:
        """Send an unsigned request."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"Kinesis_20131202.{operation}",
        }
        connection.request("POST", "/", body, headers)
        return answered(connection)


def _check(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    if response_dict["status_code"] == 200:
        check(operation_model.name, response_dict["body"])


def check(operation: str, body: bytes) -> None:
    """Check a response against botocore's model: no unknown key, no wrong type, no NaN."""
    wrong = problems_of(json.loads(body), model.operation_model(operation).output_shape)
    assert not wrong, (operation, wrong)


def streams(number: int, *names: str, faces: int = 0) -> list[StreamRecord]:
    """Return `number` records of each stream, one stream after the other."""
    return [record for name in names for record in make_records(number, name, faces=faces)]


def write_log(path: Path, records: Sequence[StreamRecord]) -> None:
    """Append records to the log at `path`, in commits of a hundred."""
    with Writer(path) as log:
        for first in range(0, len(records), 100):
            log.append(records[first : first + 100])


@contextmanager
def kinesis_port(folder: Path, toml: str = "", **environment: str) -> Iterator[KinesisPort]:
    """Run `onlooker run` with nothing but `[kinesis]`, on a free port, over `folder`/r.db."""
    settings = folder / "onlooker.toml"
    settings.write_text(f'[kinesis]\nlisten = "127.0.0.1:0"\n[log]\npath = "{folder}/r.db"\n{toml}')
    out, errors = folder / "out.txt", folder / "errors.txt"
    with out.open("wb") as output, errors.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "onlooker", "run", "--config", str(settings)],
            stdout=output,
            stderr=said,
            env={**os.environ, "ONLOOKER_DATA": str(folder), **environment},
        )
    try:
        yield KinesisPort(_url(process, out, errors), folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _url(process: subprocess.Popen[bytes], out: Path, errors: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        for line in out.read_text().splitlines():
            if line.startswith("kinesis  "):
                return line.removeprefix("kinesis  ")
        time.sleep(0.05)
    raise AssertionError(f"the port does not open; its log is:\n{errors.read_text()}")
