"""A running server for tests, and clients for it."""

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
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from tests.support.botocore_shapes import model, problems

ONLOOKER = str(Path(sys.executable).parent / "onlooker")
START_SECONDS = 250.0
"""Seconds that the server may take to load its models, on a busy machine."""


class Answer(NamedTuple):
    """A response as it came, without any client's help."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error's name; empty if there is none."""
        return "" if self.status == 200 else str(self.json["__type"])


class Running:
    """A server that `running` started."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log
        self.host, _, port = url.rpartition("//")[2].rpartition(":")
        self.port = int(port)

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
        client = boto3.client("rekognition", **chosen)
        client.meta.events.register("before-parse.rekognition.*", _check)
        return client

    def connect(self) -> HTTPConnection:
        return HTTPConnection(self.host, self.port, timeout=60)

    def post(
        self,
        operation: str,
        body: Any,
        connection: HTTPConnection | None = None,
        **headers: str,
    ) -> Answer:
        """Send a body, a dictionary or bytes, as an unsigned request."""
        asked = connection or self.connect()
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        asked.request(
            "POST",
            "/",
            sent,
            {
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": f"RekognitionService.{operation}",
                **headers,
            },
        )
        answer = answered(asked)
        if connection is None:
            asked.close()
        return answer

    def get(self, path: str) -> Answer:
        connection = self.connect()
        connection.request("GET", path)
        answer = answered(connection)
        connection.close()
        return answer

    def lines(self) -> list[dict[str, Any]]:
        """Return the entries of the log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def workers(self) -> list[int]:
        """Return the ids of the server's processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def memory(self) -> int:
        """Return the bytes that the server's processes have in memory."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.workers()]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def answered(connection: HTTPConnection) -> Answer:
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def _check(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    if response_dict["status_code"] == 200:
        check(operation_model.name, response_dict["body"])


def check(operation: str, body: bytes) -> None:
    """Check a response against botocore's model: no unknown key, no wrong type, no NaN."""
    shape = model.operation_model(operation).output_shape
    response = json.loads(body)
    wrong = problems(response, shape.name)
    # Requests and responses share this list in the model; only in requests it needs an entry.
    wrong = [one for one in wrong if one != "$.DeletedFaces: [] is out of range of FaceIdList"]
    assert not wrong, (operation, wrong)


@contextmanager
def running(
    folder: Path, toml: str = "", program: Sequence[str] = (ONLOOKER,), **environment: str
) -> Iterator[Running]:
    """Run `onlooker serve` with a configuration, on a free port, with a store of its own."""
    settings = folder / "onlooker.toml"
    settings.write_text(toml)
    log, out = folder / "log.jsonl", folder / "out.txt"
    with open(log, "wb") as errors, open(out, "wb") as output:
        process = subprocess.Popen(
            [
                *program,
                "serve",
                "--port",
                "0",
                "--config",
                str(settings),
            ],
            stdout=output,
            stderr=errors,
            env={**os.environ, "ONLOOKER_DATA": str(folder), **environment},
        )
    try:
        yield Running(process, _url(process, out, log), log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _url(process: subprocess.Popen[bytes], out: Path, log: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        for line in out.read_text().splitlines():
            if line.startswith("listening at "):
                return line.removeprefix("listening at ")
        time.sleep(0.05)
    raise AssertionError(f"the server does not listen; its log is:\n{log.read_text()}")
