"""The client of docs/protocol.md, in another language, against a publisher."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zmq
from msgspec.structs import replace
from tests.support import sdks
from tests.support.publishing import Pump, joined, pump

from onlooker.record.log.writer import Writer
from onlooker.record.sinks.publish import Publisher
from onlooker.record.sinks.publish_messages import AT
from onlooker.rekognition.shapes import BoundingBox, Face, FaceMatch, StreamRecord

Records = Callable[..., list[StreamRecord]]

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CLIENT = DOCS / "subscriber.mjs"
ENDPOINT = "tcp://127.0.0.1:5555"
PACKAGES = ("zeromq@6.8.0", "@msgpack/msgpack@3.1.3")


def named(records: list[StreamRecord]) -> list[StreamRecord]:
    """Return the records with the name anna for their faces."""
    box = BoundingBox(Width=0.1, Height=0.1, Left=0.1, Top=0.1)
    anna = Face(FaceId="f", BoundingBox=box, ImageId="i", ExternalImageId="anna", Confidence=99.0)
    match = FaceMatch(Similarity=98.5, Face=anna)
    return [
        replace(
            record,
            FaceSearchResponse=tuple(
                replace(face, MatchedFaces=(match,)) for face in record.FaceSearchResponse
            ),
        )
        for record in records
    ]


def test_the_client_is_on_the_page_and_short() -> None:
    text = CLIENT.read_text(encoding="utf-8")
    assert f"```js\n{text}```" in (DOCS / "protocol.md").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line and not line.startswith("//")]) <= 42


def test_the_client_has_every_record_once_and_in_order(
    log: Writer, records: Records, tmp_path: Path
) -> None:
    modules = sdks.javascript(PACKAGES)
    shutil.copy(CLIENT, tmp_path)
    os.symlink(modules, tmp_path / "node_modules")
    first, *rest = records(600)
    log.append([first, *rest[:349], *records(5, "other")])
    with Publisher(log, "tcp://127.0.0.1:*") as publisher:
        client = subprocess.Popen(
            ["node", CLIENT.name, publisher.endpoint, "video"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            joined(publisher)  # what was there before it came: four answers
            for number in range(349, 500, 10):
                log.append(rest[number : number + 10])
                pump(publisher, 0.02)
            log.append(rest[509:560])
            publisher.position = log.position  # these are dropped: a gap before the next one
            log.append(rest[560:])
            publisher.close()  # the end shows what is still missing
            printed, _ = client.communicate(timeout=60)
        except BaseException:
            client.kill()
            raise
    assert client.returncode == 0
    sent = [first, *rest]
    assert printed.splitlines() == [
        f"{number} {record.RecordId}" for number, record in enumerate(sent, 1)
    ]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ([([3, {}], bytes(16))], "the publisher has version 3 of the protocol, not 2"),
        (
            [([2, {}], bytes(16)), ([2, {}], b"l" * 16)],
            "the log is another one: begin at its first record",
        ),
    ],
)
def test_the_client_refuses_another_version_and_another_log(
    said: list[tuple[list[object], bytes]], cause: str, tmp_path: Path
) -> None:
    modules = sdks.javascript(PACKAGES)
    shutil.copy(CLIENT, tmp_path)
    os.symlink(modules, tmp_path / "node_modules")
    with zmq.Context() as context, context.socket(zmq.XPUB) as peer:
        peer.setsockopt(zmq.XPUB_VERBOSE, 1)
        port = peer.bind_to_random_port("tcp://127.0.0.1")
        client = subprocess.Popen(
            ["node", CLIENT.name, f"tcp://127.0.0.1:{port}", "video"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while peer.recv() != b"\1" + AT:
                pass
            for body, log in said:
                peer.send_multipart([AT, msgspec.msgpack.encode(body), log])
            _, printed = client.communicate(timeout=60)
        except BaseException:
            client.kill()
            raise
    assert client.returncode == 1
    assert cause in printed


@pytest.mark.parametrize(("page", "shown"), [("README.md", "0.0 anna"), ("docs/records.md", "")])
def test_the_subscribers_of_the_pages_work(
    log: Writer, records: Records, tmp_path: Path, page: str, shown: str
) -> None:
    text = (DOCS.parent / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    [example] = [block for block in found if "onlooker.subscribe" in block]
    assert ENDPOINT in example
    log.append(named(records(2, "door")))
    with Pump(log.path, "tcp://127.0.0.1:*", position=0) as publisher:
        example = re.sub(r"since=\d+", "since=0", example).replace(ENDPOINT, publisher.endpoint)
        client = subprocess.Popen(
            [sys.executable, "-u", "-c", example], stdout=subprocess.PIPE, text=True
        )
        assert client.stdout is not None
        lines = [client.stdout.readline() for _ in range(2)]
    rest, _ = client.communicate(timeout=60)
    assert client.returncode == 0
    assert lines[0].startswith(shown)
    assert all(lines), "both records came"
    assert rest == ""


@pytest.mark.parametrize("name", ["face", "face+text", "text", "none", "failed", "at", "end"])
def test_every_topic_is_on_the_page(name: str) -> None:
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    assert f"`STREAM/{name}`" in page or f"`{name}`" in page
