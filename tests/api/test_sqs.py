"""The queues of notices as an unchanged boto3 uses them."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config as ClientConfig
from tests.support.botocore_shapes import problems
from tests.support.server import Running
from tests.support.stored_videos import TOPIC, request

from onlooker.config.jobs import Jobs
from onlooker.jobs.job_store import JobStore

QUEUE = TOPIC.rpartition(":")[2]
MODEL: Any = botocore.session.get_session().get_service_model("sqs")


@pytest.fixture
def client(server: Running) -> Iterator[Any]:
    made = boto3.client(
        "sqs",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="AKIDNOBODY",
        aws_secret_access_key="any",
        config=ClientConfig(retries={"total_max_attempts": 1}, read_timeout=40),
    )
    made.meta.events.register("before-parse.sqs.*", check)
    url = made.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    made.purge_queue(QueueUrl=url)
    yield made
    made.purge_queue(QueueUrl=url)


def check(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    if response_dict["status_code"] == 200 and operation_model.output_shape is not None:
        body = json.loads(response_dict["body"])
        assert not problems(body, operation_model.output_shape.name, MODEL)


@pytest.fixture
def url(client: Any) -> str:
    return str(client.get_queue_url(QueueName=QUEUE)["QueueUrl"])


def announce(server: Running, number: int = 1) -> list[str]:
    """End jobs that nobody works on, and return their ids."""
    settings = Jobs(folder=str(server.log.parent / "jobs"))
    ids = []
    with JobStore(settings, {TOPIC: "queue"}) as store:
        for _ in range(number):
            job = store.find(store.start(request(bucket="none", topic=TOPIC), None))
            store.finish(job, "SUCCEEDED")
            ids.append(job.id)
    return ids


def test_queues_have_urls(server: Running, client: Any, url: str) -> None:
    assert url == f"{server.url}/000000000000/{QUEUE}"
    assert client.list_queues()["QueueUrls"] == [url, url.replace(QUEUE, "second")]
    assert client.list_queues(QueueNamePrefix="sec")["QueueUrls"] == [url.replace(QUEUE, "second")]
    assert "QueueUrls" not in client.list_queues(QueueNamePrefix="x")
    first = client.list_queues(MaxResults=1)
    rest = client.list_queues(MaxResults=1, NextToken=first["NextToken"])
    assert [*first["QueueUrls"], *rest["QueueUrls"]] == client.list_queues()["QueueUrls"]
    assert "NextToken" not in rest
    for name in ("none", "", "a/b"):
        with pytest.raises(client.exceptions.QueueDoesNotExist) as caught:
            client.get_queue_url(QueueName=name)
        code = caught.value.response["Error"]["Code"]
        assert code == "AWS.SimpleQueueService.NonExistentQueue"
        assert caught.value.response["Error"]["Message"].startswith(
            "The specified queue does not exist"
        )


def test_a_message_is_received_and_deleted(server: Running, client: Any, url: str) -> None:
    assert "Messages" not in client.receive_message(QueueUrl=url)
    [id] = announce(server)
    [message] = client.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["JobId"] == id
    assert message["MD5OfBody"] == hashlib.md5(message["Body"].encode()).hexdigest()
    assert message["MessageId"] == json.loads(message["Body"])["MessageId"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert set(message["Attributes"]) == {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
    }
    assert "Messages" not in client.receive_message(QueueUrl=url)
    client.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    [again] = client.receive_message(
        QueueUrl=url, MessageSystemAttributeNames=["ApproximateReceiveCount"]
    )["Messages"]
    assert again["Attributes"] == {"ApproximateReceiveCount": "2"}
    assert again["MessageId"] == message["MessageId"]
    # The earlier receipt deletes nothing, as with Amazon.
    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
    assert found == {counts[0]: "0", counts[1]: "1"}
    client.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    with pytest.raises(client.exceptions.MessageNotInflight):
        client.change_message_visibility(
            QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=0
        )
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
    assert found == {counts[0]: "0", counts[1]: "0"}


def test_a_message_comes_again_if_it_is_not_deleted(server: Running, client: Any, url: str) -> None:
    announce(server)
    assert client.receive_message(QueueUrl=url, VisibilityTimeout=1)["Messages"]
    [again] = client.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    assert again["ReceiptHandle"]


def test_batches(server: Running, client: Any, url: str) -> None:
    announce(server, 12)
    messages = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert len({each["MessageId"] for each in messages}) == 10
    entries = [
        {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
        for number, each in enumerate(messages)
    ]
    entries[3]["ReceiptHandle"] = "no receipt"
    response = client.delete_message_batch(QueueUrl=url, Entries=entries)
    assert len(response["Successful"]) == 9
    [failed] = response["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == (
        "3",
        "ReceiptHandleIsInvalid",
        True,
    )
    for wrong, error in (
        ([], "EmptyBatchRequest"),
        ([{**entries[0], "Id": str(n)} for n in range(11)], "TooManyEntriesInBatchRequest"),
        ([entries[0], entries[0]], "BatchEntryIdsNotDistinct"),
    ):
        with pytest.raises(getattr(client.exceptions, error)):
            client.delete_message_batch(QueueUrl=url, Entries=wrong)
    client.purge_queue(QueueUrl=url)
    assert "Messages" not in client.receive_message(QueueUrl=url)


def test_long_polls_wait_without_threads(server: Running, client: Any, url: str) -> None:
    """More clients wait than the server has threads; others are answered meanwhile."""
    found: list[Any] = []
    other = url.replace(QUEUE, "second")
    waiting = [
        threading.Thread(
            target=lambda place=place: found.append(
                client.receive_message(QueueUrl=place, WaitTimeSeconds=6)
            )
        )
        for place in [other] * 9 + [url]
    ]
    began = time.monotonic()
    for thread in waiting:
        thread.start()
    time.sleep(0.5)
    assert client.list_queues()["QueueUrls"]
    assert time.monotonic() - began < 5.5
    [id] = announce(server)
    for thread in waiting:
        thread.join()
    assert time.monotonic() - began >= 5.5
    [message] = [message for each in found for message in each.get("Messages", [])]
    assert id in message["Body"]


def test_attributes(client: Any, url: str) -> None:
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert found["QueueArn"] == f"arn:aws:sqs:us-east-1:000000000000:{QUEUE}"
    assert found["VisibilityTimeout"] == "30"
    assert found["MessageRetentionPeriod"] == "345600"
    assert "Attributes" not in client.get_queue_attributes(QueueUrl=url)
    with pytest.raises(client.exceptions.InvalidAttributeName):
        client.get_queue_attributes(QueueUrl=url, AttributeNames=["None"])


BOUNDS = [
    ("receive_message", {"MaxNumberOfMessages": value}) for value in (-1, 0, 11, 10**6)
] + [
    ("receive_message", {"WaitTimeSeconds": value}) for value in (-1, 21)
] + [
    ("receive_message", {"VisibilityTimeout": value}) for value in (-1, 43201)
] + [("list_queues", {"MaxResults": value}) for value in (0, 1001)]  # fmt: skip


@pytest.mark.parametrize(("operation", "given"), BOUNDS)
def test_bounds(client: Any, url: str, operation: str, given: dict[str, int]) -> None:
    place = {"QueueUrl": url} if operation == "receive_message" else {}
    with pytest.raises(client.exceptions.ClientError) as caught:
        getattr(client, operation)(**place, **given)
    [(name, value)] = given.items()
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterValue"
    assert error["Message"].startswith(f"Value {value} for parameter {name} is invalid.")


@pytest.mark.parametrize("queue", ["http://127.0.0.1/000000000000/none", "none", ""])
@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("receive_message", {}),
        ("delete_message", {"ReceiptHandle": "a" * 64}),
        ("delete_message_batch", {"Entries": [{"Id": "1", "ReceiptHandle": "a" * 64}]}),
        ("change_message_visibility", {"ReceiptHandle": "a" * 64, "VisibilityTimeout": 0}),
        ("get_queue_attributes", {}),
        ("purge_queue", {}),
    ],
)
def test_unknown_queues(client: Any, operation: str, more: dict[str, Any], queue: str) -> None:
    with pytest.raises(client.exceptions.QueueDoesNotExist):
        getattr(client, operation)(QueueUrl=queue, **more)


@pytest.mark.parametrize("operation", ["delete_message", "change_message_visibility"])
@pytest.mark.parametrize("receipt", ["", "x", "a" * 65, "ü" * 64, "../" * 21 + "a"])
def test_receipts_that_are_none(client: Any, url: str, operation: str, receipt: str) -> None:
    more = {} if operation == "delete_message" else {"VisibilityTimeout": 1}
    with pytest.raises(client.exceptions.ReceiptHandleIsInvalid):
        getattr(client, operation)(QueueUrl=url, ReceiptHandle=receipt, **more)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("ReceiveMessage", {}),
        ("ReceiveMessage", {"QueueUrl": None}),
        ("GetQueueUrl", {}),
        ("DeleteMessage", {"QueueUrl": "a"}),
        ("DeleteMessageBatch", {"QueueUrl": "a"}),
        ("DeleteMessageBatch", {"QueueUrl": "a", "Entries": [{"Id": "1"}]}),
        ("ChangeMessageVisibility", {"QueueUrl": "a", "ReceiptHandle": "b"}),
        ("PurgeQueue", {}),
        ("GetQueueAttributes", {}),
    ],
)
def test_what_is_missing(server: Running, operation: str, body: dict[str, Any]) -> None:
    target = {"X-Amz-Target": f"AmazonSQS.{operation}"}
    answer = server.post(operation, body, None, **target)
    assert answer.status == 400
    assert "Member must not be null" in answer.json["Message"]
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"


def test_only_queues_have_paths(server: Running) -> None:
    connection = server.connect()
    headers = {"X-Amz-Target": "RekognitionService.ListCollections"}
    connection.request("POST", f"/000000000000/{QUEUE}", b"{}", headers)
    assert connection.getresponse().status == 400
    connection.close()
    connection = server.connect()
    headers = {"X-Amz-Target": "AmazonSQS.ListQueues"}
    connection.request("POST", f"/000000000000/{QUEUE}", b"{}", headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_the_folder_of_jobs_is_in_the_data_folder(server: Running, client: Any) -> None:
    assert (Path(server.log.parent) / "jobs" / "jobs.db").is_file()
