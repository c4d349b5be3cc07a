"""Notices are sent until their target has taken them: to a webhook, and to SNS (moto's)."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.support.stored_videos import TOPIC, request

from onlooker.config.jobs import Jobs
from onlooker.config.section import ConfigError
from onlooker.jobs import outbox
from onlooker.jobs.job_store import JobStore
from onlooker.jobs.notices import message_id
from onlooker.jobs.outbox import Outbox
from onlooker.record.destinations.webhook import signature

KEY = b"sixteen bytes, at least"


class Receiver:
    """An HTTP server that answers with each of `statuses` in turn, then with 200."""

    def __init__(self, statuses: list[int]) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received.append(({k.lower(): v for k, v in self.headers.items()}, body))
                status = statuses.pop(0) if statuses else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/done?a=b"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def receiver(*statuses: int) -> Iterator[Receiver]:
    made = Receiver(list(statuses))
    try:
        yield made
    finally:
        made.close()


def ended(tmp_path: Path, target: str) -> JobStore:
    """Return jobs one of which has ended; its notice waits for `target`."""
    (tmp_path / "key").write_bytes(KEY + b"\n")
    settings = Jobs(folder=str(tmp_path / "jobs"), webhook_key=str(tmp_path / "key"))
    jobs = JobStore(settings, {TOPIC: target})
    job = jobs.find(jobs.start(request(topic=TOPIC), "token"))
    jobs.finish(job, "SUCCEEDED")
    return jobs


def due(jobs: JobStore) -> None:
    with jobs.database.changing() as database:
        database.execute("UPDATE notices SET due = 0")


def test_a_webhook_gets_what_sns_would_post_until_it_takes_it(tmp_path: Path) -> None:
    with receiver(500, 302) as target, ended(tmp_path, target.url) as jobs:
        sender = Outbox(jobs)
        for _ in range(2):
            assert sender.send_due() == 0
            [(error, waits)] = jobs.database.rows("SELECT error, due > ? FROM notices", time.time())
            assert target.url in str(error)
            assert waits == 1
            due(jobs)
        assert sender.send_due() == 1
        assert sender.send_due() == 0
        assert jobs.database.rows("SELECT * FROM notices") == []
        assert len(target.received) == 3
        assert len({body for _, body in target.received}) == 1
        headers, body = target.received[-1]
        assert headers["x-amz-sns-message-type"] == "Notification"
        assert headers["x-amz-sns-topic-arn"] == TOPIC
        assert headers["x-onlooker-signature"] == signature(KEY, body)
        content = json.loads(body)
        job = jobs.jobs()[0]
        assert content["MessageId"] == headers["x-amz-sns-message-id"] == message_id(job.id)
        assert json.loads(content["Message"])["JobId"] == job.id


def test_nobody_listens(tmp_path: Path) -> None:
    with ended(tmp_path, "http://127.0.0.1:9/") as jobs:
        assert Outbox(jobs).send_due() == 0
        [(error,)] = jobs.database.rows("SELECT error FROM notices")
        assert "refused" in str(error)


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield url
    server.stop()


def test_sns_delivers_to_a_queue(tmp_path: Path, moto: str) -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    queue = sqs.create_queue(QueueName="mine")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    topic = sns.create_topic(Name="AmazonRekognitionDone")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])
    settings = Jobs(folder=str(tmp_path / "jobs"))
    with JobStore(settings, {topic: "sns"}) as jobs:
        job = jobs.find(jobs.start(request(topic=topic, tag="t"), None))
        jobs.finish(job, "FAILED", "why")
        assert Outbox(jobs).send_due() == 1
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    content = json.loads(json.loads(message["Body"])["Message"])
    assert (content["JobId"], content["Status"], content["JobTag"]) == (job.id, "FAILED", "t")


def test_a_topic_that_sns_does_not_know_waits(tmp_path: Path, moto: str) -> None:
    with ended(tmp_path, "sns") as jobs:
        assert Outbox(jobs).send_due() == 0
        [(error,)] = jobs.database.rows("SELECT error FROM notices")
        assert "NotFound" in str(error)


def test_one_process_sends_at_a_time_and_stops_at_once(tmp_path: Path) -> None:
    with receiver() as target, ended(tmp_path, target.url) as jobs:
        stop = threading.Event()
        threads = [threading.Thread(target=Outbox(jobs).run, args=(stop,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 30
        while not target.received and time.monotonic() < end:
            time.sleep(0.02)
        stop.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        assert len(target.received) == 1


def test_keys_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        outbox.read_key(str(tmp_path / "none"))
    (tmp_path / "short").write_text("short")
    with pytest.raises(ConfigError, match="16 bytes or more"):
        outbox.read_key(str(tmp_path / "short"))
    assert outbox.read_key(None) is None
