"""The port of Kinesis: real clients, both versions of HTTP, keys, TLS, and its process."""

import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import cbor2
import h2.config
import h2.connection
import h2.events
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from tests.support.aws_cli import AwsCli
from tests.support.kinesis import (
    SHARD,
    KinesisPort,
    kinesis_port,
    model,
    streams,
    write_log,
)
from tests.support.processes import wait_until
from tests.support.secured_server import CERTIFICATE, certificate

from onlooker.api import kinesis_server
from onlooker.api.kinesis.kinesis_service import KINESIS
from onlooker.api.kinesis.shard_iterators import sequence_number
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.config.serving import Kinesis, Serve

KEYS = """
[[key]]
id = "READER"
secret = "the secret of the reader"
user = "reader"
operations = ["kinesis:*"]
streams = ["door"]

[[key]]
id = "KIOSK"
secret = "the secret of the kiosk"
user = "kiosk"
operations = ["rekognition:*"]
"""
LIST = {"X-Amz-Target": "Kinesis_20131202.ListStreams"}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KinesisPort]:
    folder = tmp_path_factory.mktemp("kinesis")
    write_log(folder / "r.db", streams(250, "door", "yard"))
    with kinesis_port(folder) as running:
        yield running


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KinesisPort]:
    folder = tmp_path_factory.mktemp("secured")
    write_log(folder / "r.db", streams(5, "door", "yard"))
    keys, pem = folder / "keys.toml", certificate(folder)
    keys.write_text(KEYS)
    keys.chmod(0o600)
    toml = f'[serve]\nkeys = "{keys}"\ncertificate = "{pem}"\nport = 0\nthreads = 1\n'
    with kinesis_port(folder, toml) as running:
        yield running


def first(client: Any, stream: str = "door", **more: Any) -> str:
    """Return an iterator."""
    chosen = {"ShardIteratorType": "TRIM_HORIZON", **more}
    return str(
        client.get_shard_iterator(StreamName=stream, ShardId=SHARD, **chosen)["ShardIterator"]
    )


def test_boto3_reads_every_record_once_and_in_order(port: KinesisPort) -> None:
    client = port.client()
    [*names] = client.list_streams()["StreamNames"]
    assert names == ["door", "yard"]
    assert client.describe_stream(StreamName="yard")["StreamDescription"]["Shards"]
    assert client.describe_stream_summary(StreamName="yard")["StreamDescriptionSummary"]
    client.get_waiter("stream_exists").wait(StreamName="yard")
    [shard] = client.list_shards(StreamName="yard")["Shards"]
    token, found, behind = first(client, "yard"), [], -1
    while behind != 0:
        answer = client.get_records(ShardIterator=token, Limit=100)
        found += answer["Records"]
        token, behind = answer["NextShardIterator"], answer["MillisBehindLatest"]
    numbers = [int(record["SequenceNumber"]) for record in found]
    assert numbers == sorted(set(numbers))
    assert len(found) == 250
    assert int(shard["SequenceNumberRange"]["StartingSequenceNumber"]) < numbers[0]
    records = [json.loads(record["Data"]) for record in found]
    assert [record["Sequence"] for record in records] == list(range(1, 251))
    assert {record["PartitionKey"] for record in found} == {"yard"}
    age = time.time() - found[0]["ApproximateArrivalTimestamp"].timestamp()
    assert 0 < age < 600
    since = first(client, "yard", ShardIteratorType="AT_TIMESTAMP", Timestamp=time.time() - 3600)
    assert len(client.get_records(ShardIterator=since)["Records"]) == 250
    assert {
        page["StreamNames"][0]
        for page in client.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1})
    } == {"door", "yard"}


def test_boto3_sees_amazons_errors(port: KinesisPort) -> None:
    client = port.client()
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="cellar under account"):
        client.describe_stream(StreamName="cellar")
    with pytest.raises(client.exceptions.InvalidArgumentException, match="Invalid ShardIterator"):
        client.get_records(ShardIterator="AAAA")
    with pytest.raises(client.exceptions.InvalidArgumentException, match="10001"):
        client.get_records(ShardIterator=first(client), Limit=10_001)


def test_the_aws_cli_has_every_operation(aws: AwsCli, port: KinesisPort) -> None:
    cli = partial(aws, port.url, "kinesis")
    assert cli("list-streams")["StreamNames"] == ["door", "yard"]
    named = ("--stream-name", "door")
    assert cli("describe-stream", *named)["StreamDescription"]["StreamName"] == "door"
    summary = cli("describe-stream-summary", *named)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 1
    assert cli("list-shards", *named)["Shards"][0]["ShardId"] == SHARD
    words = ("--shard-id", SHARD, "--shard-iterator-type", "AFTER_SEQUENCE_NUMBER")
    number = ("--starting-sequence-number", sequence_number(248))
    token = cli("get-shard-iterator", *named, *words, *number)["ShardIterator"]
    records = cli("get-records", "--shard-iterator", token)["Records"]
    assert [record["SequenceNumber"] for record in records] == [
        sequence_number(249),
        sequence_number(250),
    ]


def over_http2(port: KinesisPort, headers: dict[str, str], bodies: list[bytes]) -> list[Any]:
    """Return the answers to requests that share one connection, without TLS and from the start."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    answers: dict[int, list[Any]] = {}
    with socket.create_connection((port.host, port.port), timeout=30) as connection:
        client.initiate_connection()
        for body in bodies:
            stream = client.get_next_available_stream_id()
            pseudo = [
                (":method", "POST"),
                (":path", "/"),
                (":scheme", "http"),
                (":authority", f"{port.host}:{port.port}"),
            ]
            sent = [*pseudo, *((name.lower(), value) for name, value in headers.items())]
            client.send_headers(stream, sent)
            client.send_data(stream, body, end_stream=True)
            answers[stream] = [0, {}, b""]
        connection.sendall(client.data_to_send())
        left = set(answers)
        while left:
            for event in client.receive_data(connection.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    found: dict[Any, Any] = dict(event.headers)
                    answers[event.stream_id][:2] = int(found[":status"]), found
                elif isinstance(event, h2.events.DataReceived):
                    answers[event.stream_id][2] += event.data
                    size = event.flow_controlled_length
                    client.acknowledge_received_data(size, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    left.discard(event.stream_id)
            connection.sendall(client.data_to_send())
    return list(answers.values())


def test_http2_has_many_requests_on_one_connection(port: KinesisPort) -> None:
    headers = {**LIST, "Content-Type": "application/x-amz-json-1.1"}
    answers = over_http2(port, headers, [b"{}"] * 16)
    for status, found, body in answers:
        assert (status, json.loads(body)["StreamNames"]) == (200, ["door", "yard"])
        assert len(found["x-amzn-requestid"]) == 36


@pytest.mark.parametrize("body", [{}, {"Limit": 0}])
def test_cbor_is_answered_in_cbor(port: KinesisPort, body: dict[str, Any]) -> None:
    form = "application/x-amz-cbor-1.1"
    [(status, found, answer)] = over_http2(
        port, {**LIST, "Content-Type": form}, [cbor2.dumps(body)]
    )
    assert found["content-type"] == form
    if body:
        assert status == 400
        assert cbor2.loads(answer)["__type"] == "ValidationException"
    else:
        decoded = cbor2.loads(answer, semantic_decoders={1: lambda value, _: value})
        assert decoded["StreamNames"] == ["door", "yard"]
        assert decoded["StreamSummaries"][0]["StreamCreationTimestamp"] > 1e12


def test_nothing_but_the_operations_is_there(port: KinesisPort) -> None:
    for target in ("RekognitionService.ListCollections", "Kinesis_20131202.PutRecords"):
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        [(status, _, body)] = over_http2(port, headers, [b"{}"])
        assert (status, json.loads(body)["__type"]) == (400, "UnknownOperationException")


def test_a_process_that_dies_is_replaced_and_iterators_live_on(port: KinesisPort) -> None:
    client = port.client()
    token = first(client)
    children = Path(f"/proc/{port.process.pid}/task/{port.process.pid}/children")
    before = children.read_text().split()
    [dead] = [
        each for each in before if "kinesis_process" in Path(f"/proc/{each}/cmdline").read_text()
    ]
    os.kill(int(dead), signal.SIGKILL)

    def answers() -> bool:
        try:
            return len(client.get_records(ShardIterator=token)["Records"]) == 250
        except (EndpointConnectionError, ConnectionClosedError, ReadTimeoutError):
            return False

    assert wait_until(answers, 60)


def secured_client(secured: KinesisPort, key: str, **more: Any) -> Any:
    chosen = {
        "aws_access_key_id": key,
        "aws_secret_access_key": f"the secret of the {key.lower()}",
        "verify": str(secured.folder / CERTIFICATE),
        **more,
    }
    return secured.client(**chosen)


def test_a_key_reads_only_its_streams(secured: KinesisPort) -> None:
    reader = secured_client(secured, "READER")
    listed = reader.list_streams()
    assert listed["StreamNames"] == [each["StreamName"] for each in listed["StreamSummaries"]]
    assert listed["StreamNames"] == ["door"]
    assert len(reader.get_records(ShardIterator=first(reader))["Records"]) == 5
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/"
    for asked in ({"StreamName": "yard"}, {"StreamARN": f"{arn}yard"}, {"StreamName": "none"}):
        with pytest.raises(
            reader.exceptions.AccessDeniedException,
            match=r"user/reader is not authorized to perform: kinesis:DescribeStream on resource: ",
        ):
            reader.describe_stream(**asked)
        with pytest.raises(reader.exceptions.AccessDeniedException):
            reader.list_shards(**asked)


def test_a_key_of_another_service_and_a_wrong_secret_get_nothing(secured: KinesisPort) -> None:
    for key, more, error in (
        ("KIOSK", {}, "AccessDeniedException"),
        ("NOBODY", {}, "UnrecognizedClientException"),
        ("READER", {"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
    ):
        client = secured_client(secured, key, **more)
        with pytest.raises(client.exceptions.ClientError) as raised:
            client.list_streams()
        assert raised.value.response["Error"]["Code"] == error


def test_a_signature_for_another_service_is_refused(secured: KinesisPort) -> None:
    context = ssl.create_default_context(cafile=str(secured.folder / CERTIFICATE))
    for service, status in (("kinesis", 200), ("rekognition", 400)):
        host = f"{secured.host}:{secured.port}"
        headers = {**LIST, "Host": host, "Content-Type": "application/x-amz-json-1.1"}
        request = AWSRequest("POST", f"https://{host}/", headers, b"{}")
        credentials = Credentials("READER", "the secret of the reader")
        SigV4Auth(credentials, service, "us-east-1").add_auth(request)
        connection = HTTPSConnection(secured.host, secured.port, context=context)
        connection.request("POST", "/", b"{}", dict(request.headers.items()))
        assert connection.getresponse().status == status
        connection.close()


def test_tls_offers_http2(secured: KinesisPort) -> None:
    context = ssl.create_default_context(cafile=str(secured.folder / CERTIFICATE))
    for offered in ("h2", "http/1.1"):
        context.set_alpn_protocols([offered])
        with (
            socket.create_connection((secured.host, secured.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
        ):
            assert wrapped.selected_alpn_protocol() == offered


def test_other_machines_need_keys_and_tls(tmp_path: Path) -> None:
    everywhere = Kinesis(listen="0.0.0.0:8610")
    pem, keys = certificate(tmp_path), tmp_path / "keys.toml"
    keys.write_text(KEYS)
    keys.chmod(0o600)
    kinesis_server.check(Config())
    with pytest.raises(ConfigError, match=r"\[serve\] keys"):
        kinesis_server.check(Config(kinesis=everywhere))
    with pytest.raises(ConfigError, match=r"\[serve\] certificate"):
        kinesis_server.check(Config(kinesis=everywhere, serve=Serve(keys=str(keys))))
    kinesis_server.check(
        Config(kinesis=everywhere, serve=Serve(keys=str(keys), certificate=str(pem)))
    )


def test_the_table_has_the_operations_that_read() -> None:
    reading = {"ListStreams", "DescribeStream", "DescribeStreamSummary", "ListShards"}
    reading |= {"GetShardIterator", "GetRecords"}
    assert set(KINESIS.operations) == reading
    assert KINESIS.target == model.metadata["targetPrefix"]
