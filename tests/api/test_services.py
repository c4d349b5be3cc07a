"""The table of services, and that a second service fits beside Rekognition."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.support.api import ask, context
from tests.support.rekognition import blank
from tests.support.server import Running

from onlooker.api import services, sqs
from onlooker.api.access_keys import Key
from onlooker.api.app import Server
from onlooker.api.errors import Refusal
from onlooker.api.kinesis import kinesis_service
from onlooker.api.rekognition.operations import OPERATIONS, REKOGNITION
from onlooker.api.service import Operation, Service

KEY = Key(id="AKID", secret="sixteen letters!", user="kiosk", operations=("sqs:*",))


class ListQueues(msgspec.Struct, frozen=True):
    """A request of Amazon SQS."""

    QueueNamePrefix: str | None = None


class Queues(msgspec.Struct, frozen=True):
    QueueUrls: tuple[str, ...]


SQS = Service(
    name="sqs",
    target="AmazonSQS",
    content_type="application/x-amz-json-1.0",
    operations={
        "ListQueues": Operation(ListQueues, lambda request, context: Queues(("http://a/b",)))
    },
    resources=lambda request, context: (),
    refusal=lambda error: None,
    response=lambda operation, answer, key, context: answer,
)


@pytest.fixture
def with_sqs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SERVICES", {REKOGNITION.target: REKOGNITION, SQS.target: SQS})


def signed(target: str, service: str, body: bytes) -> list[tuple[str, str]]:
    headers = {"Content-Type": SQS.content_type, "X-Amz-Target": target, "Host": "127.0.0.1"}
    request = AWSRequest("POST", "http://127.0.0.1/", headers, body)
    SigV4Auth(Credentials(KEY.id, KEY.secret), service, "us-east-1").add_auth(request)
    return [(name.lower(), value) for name, value in request.headers.items()]


def answers(*asked: tuple[str, str]) -> list[Any]:
    """Return status and response for each target and the service that its signature names."""
    server = Server(context(), {KEY.id: KEY})

    async def use() -> list[Any]:
        return [
            await ask(server, target, b"{}", signed(target, service, b"{}"))
            for target, service in asked
        ]

    try:
        return asyncio.run(use())
    finally:
        server.close()


def test_every_operation_is_found_by_its_target() -> None:
    for name, operation in OPERATIONS.items():
        assert services.find(f"RekognitionService.{name}") == (REKOGNITION, operation)
    for name, operation in sqs.SQS.operations.items():
        assert services.find(f"AmazonSQS.{name}") == (sqs.SQS, operation)
    for name, operation in kinesis_service.OPERATIONS.items():
        found = services.find(f"Kinesis_20131202.{name}", services.DATA_STREAMS)
        assert found == (kinesis_service.KINESIS, operation)
        with pytest.raises(Refusal):
            services.find(f"Kinesis_20131202.{name}")
    operations = [each for each in services.actions() if not each.startswith("console:")]
    tables = (OPERATIONS, sqs.SQS.operations, kinesis_service.OPERATIONS)
    assert len(operations) == sum(map(len, tables))
    assert {"rekognition:DetectFaces", "kinesis:GetRecords"} < set(operations)


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (None, "there is no X-Amz-Target"),
        ("", "there is no X-Amz-Target"),
        ("DetectFaces", "'DetectFaces' is not supported"),
        ("Rekognition.DetectFaces", "'Rekognition.DetectFaces' is not supported"),
        ("RekognitionService.DetectLabels", "'RekognitionService.DetectLabels' is not supported"),
        ("RekognitionService.", "is not supported"),
    ],
)
def test_other_targets_are_refused_with_the_possible_ones(target: str | None, cause: str) -> None:
    with pytest.raises(Refusal) as raised:
        services.find(target)
    assert raised.value.name == "UnknownOperationException"
    assert cause in raised.value.text
    assert "RekognitionService.NAME with one of these names: AssociateFaces," in raised.value.text


def test_an_unknown_name_is_answered_with_the_names_of_its_service(with_sqs: None) -> None:
    with pytest.raises(Refusal, match=r"it must be AmazonSQS\.NAME .* names: ListQueues$"):
        services.find("AmazonSQS.CreateQueue")
    with pytest.raises(Refusal, match=r"RekognitionService\.NAME .*; AmazonSQS\.NAME"):
        services.find("None.CreateQueue")


def test_a_second_service_has_its_own_protocol_and_signature(with_sqs: None) -> None:
    [right, wrong] = answers(("AmazonSQS.ListQueues", "sqs"), ("AmazonSQS.ListQueues", "kinesis"))
    assert right.status_code == 200
    assert right.headers["content-type"] == "application/x-amz-json-1.0"
    assert json.loads(right.body) == {"QueueUrls": ["http://a/b"]}
    assert wrong.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert "correct service: 'sqs'" in json.loads(wrong.body)["Message"]


def test_a_key_for_one_service_may_do_nothing_in_another(with_sqs: None) -> None:
    [denied] = answers(("RekognitionService.ListCollections", "rekognition"))
    assert denied.headers["x-amzn-errortype"] == "AccessDeniedException"
    assert (
        "perform: rekognition:ListCollections on resource: *" in json.loads(denied.body)["Message"]
    )


def test_boto3_sees_which_operations_there_are(server: Running) -> None:
    client = server.client()
    with pytest.raises(
        client.exceptions.ClientError, match=r"DetectLabels.*SearchUsersByImage"
    ) as raised:
        client.detect_labels(Image=blank())
    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"
