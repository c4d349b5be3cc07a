"""Consumers of Kinesis, unchanged: each reads every record once and in order."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.support import sdks
from tests.support.client_library import KEYS, client_library, leases, written
from tests.support.kinesis import KinesisPort, kinesis_port, streams, write_log

SCRIPTS = Path(__file__).parent / "sdks"
RECORDS = 300
"""More than fits the window of an HTTP/2 client."""
ALL = list(range(1, RECORDS + 1))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KinesisPort]:
    folder = tmp_path_factory.mktemp("kinesis")
    write_log(folder / "r.db", streams(RECORDS, "door", "yard"))
    with kinesis_port(folder) as running:
        yield running


@pytest.fixture(scope="module")
def dynamo() -> Iterator[str]:
    with leases() as endpoint:
        yield endpoint


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


@pytest.mark.timeout(295)
def test_the_client_library_reads_each_record_once_per_checkpoint(
    port: KinesisPort, dynamo: str, tmp_path: Path
) -> None:
    """In Java, over HTTP/2 and in CBOR, with its leases in DynamoDB."""
    if shutil.which("java") is None:
        pytest.skip("java is not installed")
    with client_library(tmp_path, port.url, dynamo) as out:
        lines = written(out, RECORDS, 250)
    log = (tmp_path / "kcl.log").read_text()
    assert [int(line) for line in lines if line != "checkpoint"] == ALL, log[-3000:]
    assert lines.count("checkpoint") >= 3
