"""The client of docs/protocol.md, in another language, against a publisher."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import sdks
from tests.support.publishing import joined, pump

from onlooker.record.log.writer import Writer
from onlooker.record.sinks.publish import Publisher
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CLIENT = DOCS / "subscriber.mjs"
PACKAGES = ("zeromq@6.8.0", "@msgpack/msgpack@3.1.3")


def test_the_client_is_on_the_page_and_short() -> None:
    text = CLIENT.read_text(encoding="utf-8")
    assert f"```js\n{text}```" in (DOCS / "protocol.md").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line and not line.startswith("//")]) <= 40


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


@pytest.mark.parametrize("name", ["face", "face+text", "text", "none", "failed", "at", "end"])
def test_every_topic_is_on_the_page(name: str) -> None:
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    assert f"`STREAM/{name}`" in page or f"`{name}`" in page
