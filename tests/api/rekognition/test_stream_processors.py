"""Stream processors through the real clients: their form, their states, their errors."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.api import context
from tests.support.aws_cli import AwsCli
from tests.support.processors import data_arn, video_arn
from tests.support.server import Running

from onlooker.api.access_keys import Key
from onlooker.api.dispatch import authorise
from onlooker.api.errors import Refusal
from onlooker.api.rekognition import requests, stream_processor_requests, tags
from onlooker.api.rekognition.operations import OPERATIONS, REKOGNITION, response
from onlooker.api.rekognition.stream_processors import list_stream_processors
from onlooker.stream import processors
from onlooker.stream.processors import Processor, State
from onlooker.stream.stream_table import StreamTable

NAME = "door-staff"
ROLE = "arn:aws:iam::000000000000:role/reader"
ARN = f"arn:aws:rekognition:us-east-1:000000000000:streamprocessor/{NAME}"


@pytest.fixture(scope="module")
def table(server: Running) -> Iterator[StreamTable]:
    """Yield the server's table, as a process has it that runs the streams."""
    with StreamTable(server.log.parent / "streams.db") as opened, opened.runner() as ours:
        assert ours
        yield opened


@pytest.fixture(autouse=True)
def nothing_left(table: StreamTable) -> Iterator[None]:
    yield
    with table.transaction():
        table.execute("DELETE FROM processors")


def asked(name: str = NAME, **more: Any) -> dict[str, Any]:
    """Return the parameters of CreateStreamProcessor, as Amazon's examples have them."""
    return {
        "Name": name,
        "Input": {"KinesisVideoStream": {"Arn": video_arn("door")}},
        "Output": {"KinesisDataStream": {"Arn": data_arn("results")}},
        "Settings": {"FaceSearch": {"CollectionId": "staff", "FaceMatchThreshold": 85.5}},
        "RoleArn": ROLE,
        **more,
    }


def brought(client: Any, table: StreamTable, state: State) -> None:
    """Create a processor and bring it to a state, as the process does that runs the streams."""
    client.create_stream_processor(**asked())
    if state != "STOPPED":
        client.start_stream_processor(Name=NAME)
    if state in ("RUNNING", "FAILED", "STOPPING"):
        found = processors.find(table, NAME)
        processors.report(table, found, "FAILED" if state == "FAILED" else "RUNNING", "why")
    if state == "STOPPING":
        client.stop_stream_processor(Name=NAME)
    assert client.describe_stream_processor(Name=NAME)["Status"] == state


def test_a_processor_is_described_as_it_was_created(client: Any) -> None:
    before = time.time()
    created = client.create_stream_processor(**asked(Tags={"team": "a"}))
    assert created["StreamProcessorArn"] == ARN
    found = client.describe_stream_processor(Name=NAME)
    for name in ("Name", "Input", "Output", "Settings", "RoleArn"):
        assert found[name] == asked()[name]
    assert (found["StreamProcessorArn"], found["Status"]) == (ARN, "STOPPED")
    assert "StatusMessage" not in found
    assert abs(found["CreationTimestamp"].timestamp() - before) < 30
    assert found["LastUpdateTimestamp"] == found["CreationTimestamp"]
    assert client.list_tags_for_resource(ResourceArn=ARN)["Tags"] == {"team": "a"}


def test_a_processor_lives(client: Any, table: StreamTable) -> None:
    for state in ("STOPPED", "STARTING", "RUNNING", "FAILED", "STOPPING"):
        brought(client, table, state)
        found = client.describe_stream_processor(Name=NAME)
        assert found.get("StatusMessage") == ("why" if state in ("RUNNING", "FAILED") else None)
        with table.transaction():
            table.execute("DELETE FROM processors")


ERRORS = {
    "start": ("ResourceInUseException", "Specified resource is in use. It is {}."),
    "stop": (
        "ResourceInUseException",
        "Processor not available for stopping stream. It is {}.",
    ),
    "delete": ("ResourceInUseException", "Cannot delete stream processor. It is {}; stop it first"),
    "create": ("ResourceInUseException", "Stream processor name already in use."),
    "update": ("InvalidParameterException", "cannot be updated"),
}
ALLOWED = {
    "start": {"STOPPED", "FAILED"},
    "stop": {"RUNNING"},
    "delete": {"STOPPED", "FAILED"},
    "create": set[str](),
    "update": set[str](),
}


@pytest.mark.parametrize("state", ["STOPPED", "STARTING", "RUNNING", "FAILED", "STOPPING"])
@pytest.mark.parametrize("call", ERRORS)
def test_every_call_in_every_state(
    client: Any, table: StreamTable, state: State, call: str
) -> None:
    brought(client, table, state)
    method = getattr(client, f"{call}_stream_processor")
    parameters = asked() if call == "create" else {"Name": NAME}
    if state in ALLOWED[call]:
        assert set(method(**parameters)) == {"ResponseMetadata"}
        return
    name, text = ERRORS[call]
    with pytest.raises(getattr(client.exceptions, name)) as raised:
        method(**parameters)
    assert text.format(state) in raised.value.response["Error"]["Message"]
    assert client.describe_stream_processor(Name=NAME)["Status"] == state


@pytest.mark.parametrize("call", ["describe", "start", "stop", "delete", "update"])
def test_a_processor_that_is_not_there(client: Any, call: str) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="'nobody'"):
        getattr(client, f"{call}_stream_processor")(Name="nobody")


def test_processors_are_listed_in_pages(client: Any) -> None:
    names = [f"p{number:02}" for number in range(7)]
    for name in reversed(names):
        client.create_stream_processor(**asked(name))
    pages = list(
        client.get_paginator("list_stream_processors").paginate(PaginationConfig={"PageSize": 3})
    )
    assert [len(page["StreamProcessors"]) for page in pages] == [3, 3, 1]
    assert [each["Name"] for page in pages for each in page["StreamProcessors"]] == names
    assert "NextToken" not in pages[-1]
    for start in ({}, {"NextToken": ""}, {"MaxResults": 5000}):
        found = client.list_stream_processors(**start)["StreamProcessors"]
        assert found == [{"Name": name, "Status": "STOPPED"} for name in names]
    token = pages[0]["NextToken"]
    for wrong in ("x", token[:-4] + "AAA=", token.swapcase()):
        with pytest.raises(client.exceptions.InvalidPaginationTokenException):
            client.list_stream_processors(NextToken=wrong)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {"Settings": {"ConnectedHome": {"Labels": ["PERSON"]}}},
            "only processors with Settings.FaceSearch are offered here",
        ),
        ({"Settings": {}}, "Settings.FaceSearch needs a CollectionId"),
        ({"Settings": {"FaceSearch": {}}}, "Settings.FaceSearch needs a CollectionId"),
        ({"Input": {}}, "Input: a processor has a KinesisVideoStream with an Arn"),
        ({"Output": {}}, "has a KinesisDataStream with an Arn"),
        ({"Output": {"S3Destination": {"Bucket": "mybucket"}}}, "has a KinesisDataStream"),
        ({"KmsKeyId": "a"}, "KmsKeyId: not for a processor of faces"),
        ({"RegionsOfInterest": []}, "RegionsOfInterest: not for"),
        ({"NotificationChannel": {"SNSTopicArn": "arn:aws:sns:a:000000000000:b"}}, "not for a"),
        ({"DataSharingPreference": {"OptIn": False}}, "DataSharingPreference: not for"),
        (
            {"Input": {"KinesisVideoStream": {"Arn": video_arn("door").replace("stream/", "")}}},
            "a stream's ARN ends in stream/NAME",
        ),
        (
            {"Output": {"KinesisDataStream": {"Arn": data_arn("ä")}}},
            "a stream's ARN ends in stream/NAME",
        ),
        ({"Tags": {"onlooker:fps": "3"}}, "needs onlooker:url beside it"),
        ({"Tags": {"onlooker:url": "ftp://10.0.0.7/1"}}, "ftp:// is not supported"),
    ],
)
def test_processors_that_cannot_be_created(client: Any, more: dict[str, Any], text: str) -> None:
    with pytest.raises(client.exceptions.InvalidParameterException, match=text):
        client.create_stream_processor(**asked(**more))
    assert client.list_stream_processors()["StreamProcessors"] == []


def test_selectors_are_for_labels(client: Any) -> None:
    client.create_stream_processor(**asked())
    for selector in (
        {"StartSelector": {"KVSStreamStartSelector": {"ProducerTimestamp": 1}}},
        {"StopSelector": {"MaxDurationInSeconds": 10}},
    ):
        with pytest.raises(client.exceptions.InvalidParameterException, match="not for a"):
            client.start_stream_processor(Name=NAME, **selector)


def test_there_is_a_limit(client: Any, table: StreamTable) -> None:
    encoded = processors._encoded
    many = (
        Processor(
            name=f"p{number}",
            input=video_arn("door"),
            output=data_arn("results"),
            collection="staff",
            role=ROLE,
        )
        for number in range(processors.MAX_PROCESSORS)
    )
    with table.transaction():
        for each in many:
            row = (each.name, "door", encoded(each), 0, "STOPPED", None, 0.0)
            table.execute("INSERT INTO processors VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
    with pytest.raises(
        client.exceptions.LimitExceededException,
        match="Stream processor limit exceeded for account, limit - 1000",
    ):
        client.create_stream_processor(**asked())
    assert len(client.list_stream_processors(MaxResults=4000)["StreamProcessors"]) == 1000


def test_tags_of_a_processor(client: Any) -> None:
    client.create_stream_processor(**asked())
    client.tag_resource(ResourceArn=ARN, Tags={"onlooker:url": "test://moving", "team": "a"})
    client.untag_resource(ResourceArn=ARN, TagKeys=["team"])
    found = client.list_tags_for_resource(ResourceArn=ARN)["Tags"]
    assert found == {"onlooker:url": "test://moving"}
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_tags_for_resource(ResourceArn=ARN + "2")
    with pytest.raises(client.exceptions.InvalidParameterException, match="fps"):
        client.tag_resource(ResourceArn=ARN, Tags={"onlooker:fps": "often"})


def test_the_aws_cli_has_every_operation(aws: AwsCli, server: Running, table: StreamTable) -> None:
    cli = partial(aws, server.url, "rekognition")
    given = asked()
    created = cli(
        "create-stream-processor",
        *("--name", NAME, "--role-arn", ROLE),
        *("--input", json.dumps(given["Input"])),
        *("--stream-processor-output", json.dumps(given["Output"])),
        *("--settings", json.dumps(given["Settings"])),
    )
    assert created == {"StreamProcessorArn": ARN}
    named = ("--name", NAME)
    cli("start-stream-processor", *named)
    processors.report(table, processors.find(table, NAME), "RUNNING", None)
    assert cli("describe-stream-processor", *named)["Status"] == "RUNNING"
    listed = cli("list-stream-processors")["StreamProcessors"]
    assert listed == [{"Name": NAME, "Status": "RUNNING"}]
    cli("stop-stream-processor", *named)
    processors.report(table, processors.find(table, NAME), "STOPPED", None)
    cli("delete-stream-processor", *named)
    assert cli("list-stream-processors") == {"StreamProcessors": []}


DOORMAN = Key(
    id="DOORMAN",
    secret="sixteen letters!",
    user="doorman",
    collections=("staff",),
    streams=("door", "results"),
    processors=("door-*",),
)


def allowed(request: Any) -> bool:
    operation = OPERATIONS[type(request).__name__]
    try:
        authorise(DOORMAN, REKOGNITION, operation, request, context())
    except Refusal:  # there is one kind
        return False
    return True


def test_a_key_has_its_own_processors_streams_and_collections(tmp_path: Path) -> None:
    def created(**more: Any) -> bool:
        kind = stream_processor_requests.CreateStreamProcessor
        return allowed(msgspec.convert(asked(**more), kind))

    assert created()
    assert not created(Name="yard-staff")
    assert not created(Settings={"FaceSearch": {"CollectionId": "guests"}})
    assert not created(Input={"KinesisVideoStream": {"Arn": video_arn("yard")}})
    assert not created(Output={"KinesisDataStream": {"Arn": data_arn("others")}})
    assert allowed(stream_processor_requests.StopStreamProcessor(Name=NAME))
    assert not allowed(stream_processor_requests.StopStreamProcessor(Name="yard-staff"))
    assert allowed(requests.ListTagsForResource(ResourceArn=ARN))
    other = ARN.replace("door", "yard")
    assert not allowed(requests.TagResource(ResourceArn=other, Tags={"a": "b"}))
    with StreamTable(tmp_path / "streams.db") as table:
        for name in (NAME, "yard-staff"):
            made = Processor(
                name=name, input=video_arn("a"), output=data_arn("a"), collection="a", role=ROLE
            )
            processors.create(table, made)
        site = context(streams=table)
        page = list_stream_processors(stream_processor_requests.ListStreamProcessors(), site)
        listing = OPERATIONS["ListStreamProcessors"]
        shown = response(listing, page, DOORMAN, site)
    assert [each.Name for each in shown.StreamProcessors] == [NAME]


def test_a_server_without_a_table_refuses() -> None:
    request = requests.ListTagsForResource(ResourceArn=ARN)
    with pytest.raises(Refusal, match="knows no stream processors"):
        tags.list_tags_for_resource(request, context())
