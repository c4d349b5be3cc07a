"""The server under odd, hostile and too many requests, and while it stops."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from botocore.config import Config
from tests.support.api import ask, context
from tests.support.collector import Collector, collecting
from tests.support.records import EILEEN, face
from tests.support.requests import PNG
from tests.support.server import Answer, Running, answered, running

from onlooker.api.app import Server
from onlooker.api.context import BUCKET_THREADS
from onlooker.identity.faces import CollectionInfo, CollectionPage, NewFace
from onlooker.media.buckets import NoBuckets
from onlooker.models.card import space
from onlooker.types import StoredFace
from onlooker.vision.analyser import AnalysedFace

BLACK = base64.b64encode(PNG).decode()


def noise(side: int) -> bytes:
    """Return an image that takes a while to analyse."""
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.resize(pixels, (2 * side, 2 * side)))[1].tobytes()


# Odd requests


def test_monitoring_is_answered(server: Running) -> None:
    assert server.get("/healthz").body == b"healthy\n"
    assert server.get("/readyz").body == b"ready\n"
    server.post("ListCollections", {})
    counts = server.get("/metrics")
    assert counts.headers["content-type"].startswith("text/plain; version=")
    for line in (
        'onlooker_requests_total{operation="ListCollections",result="200"}',
        'onlooker_request_seconds_bucket{le="0.005",operation="ListCollections"}',
        'onlooker_pending{queue="images"}',
        "onlooker_model_seconds_total",
    ):
        assert line in counts.body.decode()


def test_other_paths_and_targets_are_refused(server: Running) -> None:
    for path in ("/", "/collections", "/../etc/passwd", "/%2e%2e/"):
        answer = server.get(path)
        assert answer.status == 400
        assert answer.error == "UnknownOperationException"
        assert "operations are POST /" in answer.json["Message"]
    for target in ("", "DetectLabels", "List\tCollections", "x" * 1000):
        assert server.post(target, {}).error == "UnknownOperationException"
    connection = server.connect()
    connection.request("POST", "/", b"{}")
    answer = answered(connection)
    connection.close()
    assert answer.error == "UnknownOperationException"
    assert "no X-Amz-Target" in answer.json["Message"]


def nested(depth: int, kind: str) -> bytes:
    opening = {"list": b"[", "map": b'{"a":'}[kind]
    closing = {"list": b"]", "map": b"}"}[kind]
    inner = b"1" if kind == "map" else b""
    return opening * depth + inner + closing * depth


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"CollectionId":NaN}',
        b'{"MaxFaces":NaN,"CollectionId":"a"}',
        b'{"MaxFaces":1e999,"CollectionId":"a"}',
        b'{"CollectionId":"\xff\xfe"}',
        b'{"CollectionId":"\\ud800"}',
        b'{"CollectionId":"a"}garbage',
        b'{"Unknown":' + nested(100_000, "list") + b"}",
        b'{"Unknown":' + nested(100_000, "map") + b"}",
        b'{"Image":' + nested(100_000, "map") + b"}",
        b'{"Image":{"Bytes":"%%%"},"CollectionId":"a"}',
        b'{"Image":{"Bytes":"AAA"},"CollectionId":"a"}',
        b'{"Image":{"Bytes":"AAAA\\u0000"},"CollectionId":"a"}',
        b'{"Image":{"Bytes":"AAAA\\nAAAA"},"CollectionId":"a"}',
        "{}".encode("utf-16"),
        bytes(1000),
    ],
    ids=range(20),
)
def test_invalid_requests_are_refused(server: Running, body: bytes) -> None:
    answer = server.post("IndexFaces", body)
    assert answer.status == 400
    missing = answer.error == "ResourceNotFoundException"  # the collection comes before the image
    assert answer.error == "SerializationException" or (missing and b"Bytes" in body), body[:50]


def test_base64_may_have_its_slashes_escaped(server: Running) -> None:
    data = cv2.imencode(".png", np.full((90, 90, 3), 251, np.uint8))[1].tobytes()
    text = base64.b64encode(data).decode()
    assert "/" in text
    body = json.dumps({"Image": {"Bytes": text}}).replace("/", "\\/").encode()
    assert server.post("DetectFaces", body).json == {"FaceDetails": []}


def test_a_fault_of_the_server_is_logged_under_the_clients_request_id(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError("as it must")

    monkeypatch.setattr("onlooker.api.app.handle", broken)
    server = Server(context(), None)
    with caplog.at_level("INFO"):
        answer = asyncio.run(ask(server, "RekognitionService.ListCollections", {}))
    server.close()
    request_id = answer.headers["x-amzn-RequestId"]
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (500, "InternalServerError")
    assert request_id in bytes(answer.body).decode()
    fault, request = caplog.records
    assert request_id in fault.getMessage()
    assert fault.exc_info is not None
    assert fault.exc_info[0] is ZeroDivisionError
    assert vars(request)["fields"]["result"] == "InternalServerError"


class Gate:
    """A place where threads wait until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Semaphore(0)
        self.opened = threading.Event()

    def wait(self) -> None:
        self.reached.release()
        assert self.opened.wait(60)


async def beside(server: Server, gate: Gate, operation: str, body: Any, number: int) -> list[int]:
    """Return the statuses of requests that wait at a gate, the last that of one beside them."""
    waiting = [
        asyncio.create_task(ask(server, f"RekognitionService.{operation}", body))
        for _ in range(number)
    ]
    for _ in range(number):
        assert await asyncio.to_thread(gate.reached.acquire, timeout=60)
    async with asyncio.timeout(20):
        fast = await ask(server, "RekognitionService.DetectFaces", {"Image": {"Bytes": BLACK}})
    gate.opened.set()
    answers = await asyncio.gather(*waiting)
    return [answer.status_code for answer in (*answers, fast)]


def test_slow_buckets_keep_no_other_request_from_the_models() -> None:
    gate = Gate()

    class SlowBuckets(NoBuckets):
        def read(self, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
            gate.wait()
            return PNG

    server = Server(context(buckets=SlowBuckets()), None)
    image = {"Image": {"S3Object": {"Bucket": "slow", "Name": "a.png"}}}
    assert asyncio.run(beside(server, gate, "DetectFaces", image, 4)) == [200] * 5
    server.close()


def test_slow_buckets_do_not_make_the_threads_seem_to_hang() -> None:
    gate = Gate()

    class SlowBuckets(NoBuckets):
        def read(self, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
            gate.wait()
            return PNG

    server = Server(context(buckets=SlowBuckets()), None)
    body = {"Image": {"S3Object": {"Bucket": "slow", "Name": "a.png"}}}

    async def use() -> list[int]:
        tasks = [
            asyncio.create_task(ask(server, "RekognitionService.DetectFaces", body))
            for _ in range(BUCKET_THREADS)
        ]
        for _ in range(BUCKET_THREADS):
            assert await asyncio.to_thread(gate.reached.acquire, timeout=60)
        try:
            for probe in server.probe():
                probe.result(5)
        finally:
            gate.opened.set()
            answers = await asyncio.gather(*tasks)
        return [answer.status_code for answer in answers]

    assert asyncio.run(use()) == [200] * BUCKET_THREADS
    server.close()


@pytest.mark.parametrize("operation", ["IndexFaces", "SearchFacesByImage", "SearchUsersByImage"])
def test_slow_collections_keep_no_other_request_from_the_models(operation: str) -> None:
    gate = Gate()

    class SlowSearcher:
        space = space("mobilefacenet")

        def collection(self, name: str) -> CollectionInfo:
            return CollectionInfo(
                name=name, model=self.space.name, metric="cosine", faces=0, created=0.0
            )

        def add(self, name: str, faces: list[NewFace]) -> list[StoredFace]:
            gate.wait()
            return [EILEEN.face] * len(faces)

        def search_faces(self, *_: object) -> list[Any]:
            gate.wait()
            return [()]

        search_users = search_faces

    found = AnalysedFace(face(), vector=np.ones(4, np.float32))
    server = Server(context(SlowSearcher(), faces=[found]), None)
    body = {"CollectionId": "staff", "Image": {"Bytes": BLACK}}
    assert asyncio.run(beside(server, gate, operation, body, 2)) == [200] * 3
    server.close()


def test_a_body_is_held_in_memory_once() -> None:
    class Searcher:
        def collections(self, *_: object) -> CollectionPage:
            return CollectionPage(collections=[], token=None)

    server = Server(context(Searcher()), None)
    size = 8 << 20
    body = b'{"Unknown":"' + b"a" * size + b'"}'

    async def use() -> int:
        await ask(server, "RekognitionService.ListCollections", b"{}")  # loads what is loaded once
        tracemalloc.start()
        try:
            answer = await ask(server, "RekognitionService.ListCollections", body)
            assert answer.status_code == 200
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert asyncio.run(use()) < 1.4 * size
    server.close()


def test_a_client_cannot_choose_its_address(server: Running) -> None:
    answer = server.post("ListCollections", {}, None, **{"X-Forwarded-For": "10.1.2.3"})
    request_id = answer.headers["x-amzn-requestid"]
    [entry] = [line for line in server.lines() if line.get("request_id") == request_id]
    assert entry["client"] == "127.0.0.1"


def test_huge_numbers_and_repeated_members_are_handled(server: Running) -> None:
    body = b'{"CollectionId":"none","MaxResults":' + b"9" * 4000 + b"}"
    assert server.post("ListFaces", body).status == 400
    twice = b'{"CollectionId":"a/b","CollectionId":"none"}'
    assert server.post("ListFaces", twice).error == "ResourceNotFoundException"


def test_a_body_that_is_too_long_is_refused(server: Running) -> None:
    connection = server.connect()
    connection.putrequest("POST", "/")
    connection.putheader("X-Amz-Target", "RekognitionService.DetectFaces")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    answer = answered(connection)
    connection.close()
    assert (answer.status, answer.error) == (413, "RequestEntityTooLargeException")
    connection = server.connect()
    connection.request(
        "POST",
        "/",
        (b"{" + bytes(1 << 20) for _ in range(17)),
        {"X-Amz-Target": "RekognitionService.DetectFaces"},
        encode_chunked=True,
    )
    answer = answered(connection)
    connection.close()
    assert (answer.status, answer.error) == (413, "RequestEntityTooLargeException")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (bytes(7 << 20), "not a JSON object"),
        (b'{"Unknown":[' + b"{}," * 1_000_000 + b"{}]}", "more values than any operation takes"),
    ],
)
def test_a_useless_body_is_refused_before_it_has_arrived(
    server: Running, body: bytes, why: str
) -> None:
    answer = server.post("DetectFaces", body)
    assert (answer.status, answer.error) == (400, "SerializationException")
    assert why in answer.json["Message"]


def test_a_body_may_come_in_chunks(server: Running) -> None:
    body = json.dumps({"Image": {"Bytes": BLACK}}).encode()
    connection = server.connect()
    connection.request(
        "POST",
        "/",
        (body[at : at + 7] for at in range(0, len(body), 7)),
        {"X-Amz-Target": "RekognitionService.DetectFaces", "Transfer-Encoding": "chunked"},
        encode_chunked=True,
    )
    assert answered(connection).json == {"FaceDetails": []}
    connection.close()


# Too many requests, and ends


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as opened:
        yield opened


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Running]:
    """One thread for pictures, three requests that may wait, and a collector of traces."""
    toml = f'[serve]\nthreads = 1\nqueue = 3\n[telemetry]\ntraces = "{collector.url}"\n'
    with running(tmp_path_factory.mktemp("small"), toml) as one:
        yield one


def test_too_many_requests_are_throttled_at_once(small: Running) -> None:
    body = {"Image": {"Bytes": base64.b64encode(noise(200)).decode()}}

    def ask(_: int) -> Answer:
        return small.post("DetectText", body)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(64)))
    results = Counter(answer.error for answer in answers)
    assert set(results) == {"", "ThrottlingException"}
    assert results[""] >= 4
    refused = [answer for answer in answers if answer.error]
    assert all(answer.status == 400 for answer in refused)
    assert "try again in a moment" in refused[0].json["Message"]
    # Requests that need no models are answered all the while.
    assert small.post("ListCollections", {}).status == 200


def test_boto3_retries_until_it_is_answered(small: Running) -> None:
    patient = small.client(config=Config(retries={"mode": "standard", "total_max_attempts": 10}))
    image = {"Bytes": noise(100)}

    def ask(_: int) -> Any:
        return patient.detect_faces(Image=image)["ResponseMetadata"]["RetryAttempts"]

    with ThreadPoolExecutor(12) as pool:
        attempts = list(pool.map(ask, range(48)))
    assert len(attempts) == 48
    assert max(attempts) > 0


def test_a_process_that_dies_is_replaced(small: Running) -> None:
    [worker] = small.workers()
    os.kill(worker, signal.SIGKILL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if small.post("ListCollections", {}).status == 200:
                break
        except ConnectionError:
            time.sleep(0.1)
    assert small.workers() != [worker]
    assert b"onlooker_worker_restarts_total 1.0" in small.get("/metrics").body
    messages = [line["message"] for line in small.lines()]
    assert any(message.startswith("process died name=") for message in messages)


def test_accepted_requests_are_answered_and_traced_before_the_server_stops(
    small: Running, collector: Collector
) -> None:
    """The last test of this server: it ends."""
    body = {"Image": {"Bytes": base64.b64encode(noise(500)).decode()}}
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(small.post("DetectText", body)))
        for _ in range(3)
    ]
    idle = small.connect()
    listed = small.post("ListCollections", {}, idle)
    assert listed.status == 200
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while b'onlooker_pending{queue="images"} 3.0' not in small.get("/metrics").body:
        assert time.monotonic() < end, "three requests are under way at once"
    small.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 3
    assert small.process.wait(30) == 0
    with pytest.raises(OSError, match="refused"):
        small.connect().connect()
    idle.close()
    text = small.log.read_text()
    assert "Traceback" not in text
    assert noise(100)[:100].hex() not in text
    trace = listed.headers["x-amzn-requestid"].replace("-", "")
    [span] = [each for each in collector.spans if each.trace == trace]
    assert span.name == span.attributes["rpc.method"] == "ListCollections"
    assert span.error is None
    assert span.resource["service.instance.id"].startswith("api.")


def test_a_port_in_use_is_an_error(server: Running) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "onlooker"), "serve", "--port", str(server.port)],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"cannot listen on 127.0.0.1 port" in done.stderr
    assert b"--port" in done.stderr
