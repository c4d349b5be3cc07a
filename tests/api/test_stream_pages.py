"""The pages of stream processors and of Kinesis' consumers: what they show works."""

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.support.processes import wait_until

from onlooker.config.schema import Config
from onlooker.record.log.reader import Log

DOCS = Path(__file__).resolve().parents[2] / "docs"
SERVE, KINESIS = "http://127.0.0.1:8600", "http://127.0.0.1:8610"

pytestmark = pytest.mark.timeout(280)


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@contextmanager
def program(folder: Path, toml: str) -> Iterator[dict[str, str]]:
    """Run `onlooker run` with a page's configuration on free ports; yield its URLs."""
    settings = (
        toml.replace("[kinesis]", '[kinesis]\nlisten = "127.0.0.1:0"')
        .replace("[serve]", "[serve]\nport = 0\nthreads = 1")
        .replace("\n\n", "\n")
    )
    (folder / "onlooker.toml").write_text(settings + '\n[log]\npath = "r.db"\n')
    out, errors = folder / "out.txt", folder / "errors.txt"
    with out.open("wb") as output, errors.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "onlooker", "run", "--config", "onlooker.toml"],
            cwd=folder,
            env={**os.environ, "ONLOOKER_DATA": str(folder)},
            stdout=output,
            stderr=said,
        )
    urls: dict[str, str] = {}

    def listening() -> bool:
        for line in out.read_text().splitlines():
            for words, page in (("listening at ", SERVE), ("kinesis  ", KINESIS)):
                if line.startswith(words):
                    urls[page] = line.removeprefix(words)
        return len(urls) == 1 + ("[serve]" in toml)

    try:
        assert wait_until(listening, 200), errors.read_text()
        yield urls
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def run(words: list[str], folder: Path, urls: dict[str, str]) -> str:
    for page, url in urls.items():
        words = [word.replace(page, url) for word in words]
    done = subprocess.run(
        words,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_of_stream_processors(demo: Path, tmp_path: Path) -> None:
    """A face in a video is found by a processor, and the record read as from Amazon.

    The page's server reads text as well, which takes the most and is not what the page is about.
    """
    (tmp_path / "demo").symlink_to(demo)
    [toml], [python], [shell] = (
        blocks("stream-processors.md", language) for language in ("toml", "python", "sh")
    )
    with program(tmp_path, toml + "\n[text]\nenabled = false\n") as urls:
        assert run([sys.executable, "-c", python], tmp_path, urls).split() == ["eileen"]
        shown = run(["bash", "-e", "-c", shell], tmp_path, urls)
    assert '"Name": "door-staff"' in shown
    with Log(tmp_path / "r.db") as log:
        records = list(log.read())
    assert {record.stream for record in records} == {"door"}
    indices = [record.FrameInformation.Index for record in records]
    assert indices == list(range(len(indices))), "one for each frame, with faces or without"


def test_the_page_of_kinesis(tmp_path: Path) -> None:
    [toml], [python], [shell] = (
        blocks("kinesis.md", language) for language in ("toml", "python", "sh")
    )
    quick = toml + "\n[faces]\nenabled = false\n[text]\nenabled = false\n"
    with program(tmp_path, quick) as urls:
        printed = run([sys.executable, "-c", python], tmp_path, urls).splitlines()
        shown = run(["bash", "-e", "-c", shell], tmp_path, urls)
    assert printed[0] == "['door', 'outside']"
    assert re.match(r"\d+ records, the last of arn:aws:kinesisvideo:.*:stream/door/", printed[1])
    assert '"StreamName": "outside"' in shown
    assert shown.count('"SequenceNumber"') == 2


@pytest.mark.parametrize("page", ["stream-processors.md", "kinesis.md"])
def test_the_toml_of_a_page_is_a_configuration(page: str) -> None:
    for text in blocks(page, "toml"):
        assert msgspec.convert(tomllib.loads(text), Config).streams
