"""The Kinesis Client Library, in Java, with a record processor in Python, and its DynamoDB."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer
from tests.support import sdks

SCRIPTS = Path(__file__).parents[1] / "api" / "sdks"
KEYS = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def leases() -> Iterator[str]:
    """Yield the endpoint of a DynamoDB, which consumers keep their leases in."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def client_library(folder: Path, url: str, dynamo: str, records: int = 100) -> Iterator[Path]:
    """Run the daemon of the library in a folder; yield the file that its processor writes.

    url: of Kinesis. dynamo: of DynamoDB. records: of one answer.
    """
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
kinesisEndpoint = {url}
dynamoDBEndpoint = {dynamo}
metricsLevel = NONE
retrievalMode = POLLING
idleTimeBetweenReadsInMillis = 200
maxRecords = {records}
failoverTimeMillis = 1000
shardSyncIntervalMillis = 1000
parentShardPollIntervalMillis = 500
"""
    )
    with (folder / "kcl.log").open("wb") as log:
        daemon = subprocess.Popen(
            [
                *(*sdks.JAVA, "-cp", f"{library / 'amazon_kclpy' / 'jars'}/*"),
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


def written(out: Path, last: int, seconds: float) -> list[str]:
    """Return the lines of the processor, once it has done a checkpoint after Sequence `last`."""
    end, lines = time.monotonic() + seconds, list[str]()
    while time.monotonic() < end and lines[-2:] != [str(last), "checkpoint"]:
        time.sleep(0.5)
        lines = out.read_text().splitlines() if out.exists() else []
    return lines
