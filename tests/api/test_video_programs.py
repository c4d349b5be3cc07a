"""Programs written for Rekognition Video, unchanged: they start jobs and wait on a queue."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.support import sdks
from tests.support.aws_cli import ENVIRONMENT, AwsCli
from tests.support.server import Running, running
from tests.support.stored_videos import NAME, ROLE, TOPIC, make_video

from onlooker.config.jobs import Jobs
from onlooker.jobs.job import Job
from onlooker.jobs.job_store import JobStore

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "rekognition-video.md").read_text(encoding="utf-8")
HERE = "http://127.0.0.1:8600"
QUEUE = TOPIC.rpartition(":")[2]
WAIT_SECONDS = 200.0


@pytest.fixture(scope="module")
def video_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the server of the page, with its configuration."""
    folder = tmp_path_factory.mktemp("page")
    bucket = folder / "buckets" / "videos"
    bucket.mkdir(parents=True)
    make_video(bucket / NAME)
    [toml] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    for words in ("[serve]\n", "[jobs]"):
        toml = toml.replace(words, f"{words.strip()}\nthreads = 1\n")
    with running(folder, toml.replace('"buckets"', f'"{folder / "buckets"}"')) as started:
        yield started


def example(language: str, server: Running) -> str:
    """Return the page's only example in a language, for this server."""
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found).replace(HERE, server.url)


def run(command: list[str], folder: Path) -> str:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        env={
            **ENVIRONMENT,
            "PATH": tools,
            "ONLOOKER_CONFIG": str(folder / "onlooker.toml"),
            "ONLOOKER_DATA": str(folder),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_program_of_the_page(video_server: Running) -> None:
    program = example("python", video_server)
    output = run([sys.executable, "-c", program], video_server.log.parent)
    lines = output.splitlines()
    assert lines[0] == "StartFaceDetection SUCCEEDED"
    assert [int(line.split()[0]) for line in lines[1:]] == [33, 533, 1033, 1533]
    assert all(int(line.split()[1]) > 90 for line in lines[1:])


def test_the_commands_of_the_page(video_server: Running) -> None:
    program = example("sh", video_server)
    output = run(["bash", "-e", "-c", program], video_server.log.parent)
    assert len(json.loads(output)) > 3
    [job] = [job.id for job in _jobs(video_server) if job.request.kind == "TextDetection"]
    shown = run(
        [sys.executable, "-m", "onlooker", "jobs", "show", job[:8]], video_server.log.parent
    )
    assert json.loads(shown)["state"] == "SUCCEEDED"
    listed = run([sys.executable, "-m", "onlooker", "jobs", "list"], video_server.log.parent)
    assert "SUCCEEDED" in listed
    cancelled = run(
        [sys.executable, "-m", "onlooker", "jobs", "cancel", job[:8]], video_server.log.parent
    )
    assert "has ended already" in cancelled


def _jobs(server: Running) -> Sequence[Job]:
    with JobStore(Jobs(folder=str(server.log.parent / "jobs"))) as store:
        return store.jobs()


def test_the_aws_cli_runs_every_operation(aws: AwsCli, video_server: Running) -> None:
    rekognition, sqs = (partial(aws, video_server.url, name) for name in ("rekognition", "sqs"))
    video = json.dumps({"S3Object": {"Bucket": "videos", "Name": NAME}})
    rekognition("create-collection", "--collection-id", "cli")
    channel = json.dumps({"SNSTopicArn": TOPIC, "RoleArn": ROLE})
    url = sqs("get-queue-url", "--queue-name", QUEUE)["QueueUrl"]
    of = ("--queue-url", url)
    sqs("purge-queue", *of)
    started = {}
    for kind, more in {
        "face-detection": ("--face-attributes", "DEFAULT"),
        "face-search": ("--collection-id", "cli", "--face-match-threshold", "90"),
        "text-detection": ("--filters", '{"WordFilter":{"MinConfidence":50}}'),
        "person-tracking": ("--job-tag", "cli", "--client-request-token", "cli"),
    }.items():
        words = ("--video", video, "--notification-channel", channel, *more)
        started[kind] = rekognition(f"start-{kind}", *words)["JobId"]
    ended: set[str] = set()
    end = time.monotonic() + WAIT_SECONDS
    while ended < set(started.values()) and time.monotonic() < end:
        words = ("--wait-time-seconds", "10", "--max-number-of-messages", "10")
        found = sqs("receive-message", *of, *words).get("Messages", [])
        for message in found:
            ended.add(json.loads(json.loads(message["Body"])["Message"])["JobId"])
            receipt = ("--receipt-handle", message["ReceiptHandle"])
            words = (*receipt, "--visibility-timeout", "60")
            sqs("change-message-visibility", *of, *words)
            sqs("delete-message", *of, *receipt)
    assert ended == set(started.values())
    for kind, id in started.items():
        words = ("--job-id", id, "--max-results", "1")
        page = rekognition(f"get-{kind}", *words)
        assert page["JobStatus"] == "SUCCEEDED"
        assert page["NextToken"]
    attributes = sqs("get-queue-attributes", *of, "--attribute-names", "All")
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"
    assert url in sqs("list-queues")["QueueUrls"]
    entries = json.dumps([{"Id": "1", "ReceiptHandle": "a" * 64}])
    batch = sqs("delete-message-batch", *of, "--entries", entries)
    assert batch["Successful"] == [{"Id": "1"}]


def test_javascript_and_sqs_consumer(video_server: Running) -> None:
    modules = sdks.javascript(sdks.JAVASCRIPT_QUEUES)
    script = str(Path(__file__).parent / "sdks" / "video_v3.mjs")
    words = (video_server.url, "videos", NAME, TOPIC, QUEUE)
    printed = json.loads(sdks.run(["node", script, *words], {"NODE_PATH": str(modules)}))
    assert printed == {
        "status": "SUCCEEDED",
        "api": "StartFaceDetection",
        "found": [33, 533, 1033, 1533],
        "missing": "QueueDoesNotExist",
    }
