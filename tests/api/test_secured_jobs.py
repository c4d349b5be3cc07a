"""Jobs over videos in S3 (moto's), for clients whose keys are checked."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig
from moto.server import ThreadedMotoServer
from tests.support.server import Running, running
from tests.support.stored_videos import BUCKET, NAME, ROLE, TOPIC, make_video

SECRET = "sixteen letters or more"
KEYS = f"""
[[key]]
id = "ADMIN"
secret = "{SECRET}"
user = "admin"

[[key]]
id = "KIOSK"
secret = "{SECRET}"
user = "kiosk"
operations = ["Start*", "Get*", "sqs:*"]
collections = ["staff"]
buckets = ["other"]
queues = ["other"]
"""
WAIT_SECONDS = 200.0
QUEUE = TOPIC.rpartition(":")[2]
VIDEO = {"S3Object": {"Bucket": BUCKET, "Name": NAME}}


@pytest.fixture(scope="module")
def secured_jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a server with keys and jobs, whose buckets are moto's."""
    folder = tmp_path_factory.mktemp("secured-jobs")
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    there = {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    s3 = boto3.client(
        "s3",
        endpoint_url=there["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(make_video(folder / NAME)), BUCKET, NAME)
    (folder / "keys.toml").write_text(KEYS)
    (folder / "keys.toml").chmod(0o600)
    toml = f"""
[serve]
buckets = "s3"
keys = "{folder / "keys.toml"}"
threads = 1
[jobs]
max_open = 1
threads = 1
[topics]
"{TOPIC}" = "queue"
"{TOPIC}2" = "queue:other"
"""
    with running(folder, toml, **there) as started:
        yield started
    moto.stop()


def client(server: Running, service: str, key: str, path: str = "", **more: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.url + path,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=more.get("secret", SECRET),
        config=ClientConfig(retries={"total_max_attempts": 1}),
    )


def test_a_video_of_s3_is_downloaded_analysed_and_deleted(secured_jobs: Running) -> None:
    admin = client(secured_jobs, "rekognition", "ADMIN")
    sqs = client(secured_jobs, "sqs", "ADMIN")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    channel = {"SNSTopicArn": TOPIC, "RoleArn": ROLE}
    job = admin.start_face_detection(Video=VIDEO, NotificationChannel=channel)["JobId"]
    with pytest.raises(admin.exceptions.LimitExceededException) as caught:
        admin.start_face_detection(Video=VIDEO)
    assert "1 open Jobs for User arn:aws:iam::000000000000:root Maximum limit: 1." in str(
        caught.value
    )
    end = time.monotonic() + WAIT_SECONDS
    found: list[Any] = []
    while not found and time.monotonic() < end:
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10).get("Messages", [])
    assert json.loads(json.loads(found[0]["Body"])["Message"])["JobId"] == job
    assert [face["Timestamp"] for face in admin.get_face_detection(JobId=job)["Faces"]] == [
        33,
        533,
        1033,
        1533,
    ]
    place: Path = secured_jobs.log.parent / "jobs" / job
    end = time.monotonic() + 10
    while [path.name for path in place.iterdir()] != ["results.db"] and time.monotonic() < end:
        time.sleep(0.05)
    assert [path.name for path in place.iterdir()] == ["results.db"]
    # A key that may not read the bucket may not read what is in its videos.
    kiosk = client(secured_jobs, "rekognition", "KIOSK")
    denied: list[Callable[[], Any]] = [
        lambda: kiosk.get_face_detection(JobId=job),
        lambda: kiosk.start_face_detection(Video=VIDEO),
        lambda: kiosk.start_face_search(Video=VIDEO, CollectionId="others"),
    ]
    for call in denied:
        with pytest.raises(kiosk.exceptions.AccessDeniedException):
            call()
    with pytest.raises(kiosk.exceptions.ResourceNotFoundException):
        kiosk.get_face_detection(JobId="0" * 64)


def test_what_s3_does_not_have(secured_jobs: Running) -> None:
    admin = client(secured_jobs, "rekognition", "ADMIN")
    for video in (
        {"S3Object": {"Bucket": BUCKET, "Name": "none.mp4"}},
        {"S3Object": {"Bucket": "no-such-bucket", "Name": NAME}},
        {"S3Object": {"Bucket": BUCKET, "Name": NAME, "Version": "none"}},
    ):
        with pytest.raises(admin.exceptions.InvalidS3ObjectException):
            admin.start_text_detection(Video=video)


def test_queues_belong_to_keys(secured_jobs: Running) -> None:
    kiosk = client(secured_jobs, "sqs", "KIOSK")
    urls = kiosk.list_queues()["QueueUrls"]
    assert [url.rpartition("/")[2] for url in urls] == ["other"]
    with pytest.raises(kiosk.exceptions.ClientError) as caught:
        kiosk.receive_message(QueueUrl=urls[0].replace("other", QUEUE))
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "Messages" not in kiosk.receive_message(QueueUrl=urls[0])
    assert len(client(secured_jobs, "sqs", "ADMIN").list_queues()["QueueUrls"]) == 2


def test_the_path_of_a_queue_is_signed(secured_jobs: Running) -> None:
    there = client(secured_jobs, "sqs", "ADMIN", f"/000000000000/{QUEUE}")
    assert there.get_queue_url(QueueName=QUEUE)["QueueUrl"]

    def elsewhere(request: Any, **_: Any) -> None:
        request.url = request.url.replace(QUEUE, "another")

    there.meta.events.register("before-send.sqs.*", elsewhere)
    with pytest.raises(there.exceptions.ClientError) as caught:
        there.get_queue_url(QueueName=QUEUE)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    forged = client(secured_jobs, "sqs", "ADMIN", secret="another secret, as long")
    with pytest.raises(forged.exceptions.ClientError) as caught:
        forged.list_queues()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
