"""Consumers of Kinesis, unchanged: each reads every record once and in order."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from tests.support import sdks
from tests.support.kinesis import KinesisPort, kinesis_port, streams, write_log

SCRIPTS = Path(__file__).parent / "sdks"
RECORDS = 300
"""More than fits the window of an HTTP/2 client."""
ALL = list(range(1, RECORDS + 1))
KEYS = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KinesisPort]:
    folder = tmp_path_factory.mktemp("kinesis")
    write_log(folder / "r.db", streams(RECORDS, "door", "yard"))
    with kinesis_port(folder) as running:
        yield running


@pytest.fixture(scope="module")
def dynamo() -> Iterator[str]:
    """Yield the endpoint of a DynamoDB, which consumers keep their leases in."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def read(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, object]:
    printed = sdks.run(command, {**KEYS, **environment})
    found: dict[str, object] = json.loads(printed.splitlines()[-1])
    return found


def test_javascript_v3_over_http2(port: KinesisPort) -> None:
    """Its answers are larger than its window, and it says goodbye before it has them."""
    command = ["node", str(SCRIPTS / "kinesis_v3.mjs"), port.url, "yard"]
    found = read(command, {"NODE_PATH": str(sdks.javascript(sdks.KINESIS_JAVASCRIPT))})
    assert found == {"sequences": ALL, "error": "ResourceNotFoundException"}


def test_lifion_kinesis(port: KinesisPort, dynamo: str) -> None:
    words = [port.url, "door", dynamo, str(RECORDS)]
    command = ["node", str(SCRIPTS / "kinesis_lifion.cjs"), *words]
    found = read(command, {"NODE_PATH": str(sdks.javascript(sdks.KINESIS_JAVASCRIPT))})
    assert found == {"sequences": ALL}


def test_async_kinesis(port: KinesisPort) -> None:
    script = str(SCRIPTS / "async_kinesis_client.py")
    command = [sys.executable, script, port.url, "door", str(RECORDS)]
    assert read(command, {"PYTHONPATH": str(sdks.async_kinesis())}) == {"sequences": ALL}


@contextmanager
def client_library(folder: Path, port: KinesisPort, dynamo: str) -> Iterator[Path]:
    """Run the daemon of the Kinesis Client Library; yield the file that its processor writes."""
    library = sdks.client_library()
    out = folder / "records.txt"
    properties = folder / "kcl.properties"
    properties.write_text(
        f"""
executableName = {sys.executable} {SCRIPTS / "kcl_processor.py"}
streamName = door
applicationName = {folder.name}
AWSCredentialsProvider = DefaultAWSCredentialsProviderChain
processingLanguage = python/3
initialPositionInStream = TRIM_HORIZON
regionName = us-east-1
kinesisEndpoint = {port.url}
dynamoDBEndpoint = {dynamo}
metricsLevel = NONE
retrievalMode = POLLING
idleTimeBetweenReadsInMillis = 200
maxRecords = 100
failoverTimeMillis = 1000
shardSyncIntervalMillis = 1000
parentShardPollIntervalMillis = 500
"""
    )
    with (folder / "kcl.log").open("wb") as log:
        daemon = subprocess.Popen(
            [
                *("java", "-cp", f"{library / 'amazon_kclpy' / 'jars'}/*"),
                "software.amazon.kinesis.multilang.MultiLangDaemon",
                *("--properties-file", str(properties)),
            ],
            env={
                **os.environ,
                **KEYS,
                "KCL_FILE": str(out),
                "PYTHONPATH": str(library),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=log,
            stderr=log,
        )
    try:
        yield out
    finally:
        daemon.kill()
        daemon.wait(30)


@pytest.mark.timeout(280)
def test_the_client_library_reads_each_record_once_per_checkpoint(
    port: KinesisPort, dynamo: str, tmp_path: Path
) -> None:
    """In Java, over HTTP/2 and in CBOR, with its leases in DynamoDB."""
    if shutil.which("java") is None:
        pytest.skip("java is not installed")
    with client_library(tmp_path, port, dynamo) as out:
        end = time.monotonic() + 200
        while time.monotonic() < end:
            lines = out.read_text().splitlines() if out.exists() else []
            if lines and lines[-1] == "checkpoint" and lines[-2] == str(RECORDS):
                break
            time.sleep(0.5)
    assert [int(line) for line in lines if line != "checkpoint"] == ALL, (
        tmp_path / "kcl.log"
    ).read_text()[-3000:]
    assert lines.count("checkpoint") >= 3
