"""`onlooker stream` and `onlooker status`, as a user has them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onlooker.cli import status as status_command
from onlooker.cli.commands import app
from onlooker.stream import run_directory
from onlooker.stream.messages import Status

ONLOOKER = [sys.executable, "-m", "onlooker"]
CONFIG = """
[faces]
enabled = false
[text]
enabled = false
"""


@contextlib.contextmanager
def running(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """`onlooker stream` with one endless stream, `name`, and a log of its own."""
    home = folder / name
    home.mkdir()
    (home / "onlooker.toml").write_text(CONFIG + f'[log]\npath = "{home}/r.db"\n')
    with subprocess.Popen(
        [*ONLOOKER, "stream", f"{name}=test://moving?size=64x36&fps=10"],
        cwd=home,
        env={**os.environ, "ONLOOKER_DATA": str(home), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def status(folder: Path, *words: str) -> str:
    """Return what `onlooker status` prints into a pipe: once, with `--once` or without."""
    done = subprocess.run(
        [*ONLOOKER, "status", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout + done.stderr


def test_status_tells_the_runs_apart(tmp_path: Path) -> None:
    # No other test has streams of these names, whose runs are in the status as well.
    with running(tmp_path, "porch") as porch, running(tmp_path, "cellar") as cellar:
        until = time.monotonic() + 60
        seen = re.compile(r"│ (porch|cellar) +│ +\S+ │ +\d+ │ +[1-9]\d* │")
        while {"porch", "cellar"} - set(seen.findall(said := status(tmp_path))):
            assert porch.poll() is None
            assert cellar.poll() is None
            assert time.monotonic() < until, said
        assert {"porch", "cellar"} <= set(seen.findall(status(tmp_path, "--once")))
        for name, process in (("porch", porch), ("cellar", cellar)):
            below = said[said.index(f"process {process.pid}, log {tmp_path}/{name}/r.db") :]
            assert seen.findall(below)[0] == name
        assert not re.search(r"┩ *\n└", said), f"a table without a row: {said}"
        porch.send_signal(signal.SIGTERM)
        out, err = porch.communicate(timeout=60)
        assert porch.returncode in (0, 128 + signal.SIGTERM), err
        assert seen.findall(out) == ["porch"]


def test_status_shows_no_table_of_a_run_that_has_no_workers_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Begun:
        """A run that answers before any of its processes has registered."""

        title = "process 1, log r.db"

        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> "Begun":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def ask(self) -> Status:
            return Status()

        def sinks(self) -> tuple[()]:
            return ()

        processes = sinks

    monkeypatch.setattr(status_command, "Program", Begun)
    monkeypatch.setattr(status_command, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(run_directory, "runs", lambda: [Path("one"), Path("two")])
    done = CliRunner().invoke(app, ["status", "--once"])
    assert done.exit_code == 0, done.output
    assert done.output.split("\n") == [Begun.title, Begun.title, ""]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[log]\npath = "nowhere/r.db"\n', "[log] path: nowhere/r.db: there is no folder"),
        ('[log]\njson_lines = "."\n', "[log] json_lines: . is a folder; name a file"),
        ('[publish]\nendpoint = "tcp://127.0.0.1:5555"\nkey = "nokey"\n', "[publish] nokey: "),
        (
            '[streams.door]\nurl = "test://moving"\ncollection = "stuff"\nfaces = true\n',
            "[streams.door] collection: The collection id: stuff does not exist",
        ),
    ],
)
def test_what_cannot_be_used_is_told_by_check_and_at_the_start(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "onlooker.toml").write_text(CONFIG + text)
    for words in (["config", "check"], ["stream", "yard=test://moving?frames=1"]):
        done = subprocess.run(
            [*ONLOOKER, *words],
            cwd=tmp_path,
            env={**os.environ, "ONLOOKER_DATA": str(tmp_path), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 1, done.stdout
        assert said in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("named", ["=test://moving", "a b=test://moving", "test://moving"])
def test_a_stream_has_a_name(named: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*ONLOOKER, "stream", named], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "NAME=URL" in done.stderr


def test_an_emptied_configuration_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "onlooker.toml"
    written = CONFIG + '[log]\npath = "r.db"\n[streams.door]\nurl = "test://moving?size=64x36"\n'
    path.write_text(written)
    with subprocess.Popen(
        [*ONLOOKER, "stream"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        try:
            while not (tmp_path / "r.db").exists():
                assert process.poll() is None
                time.sleep(0.1)
            path.write_text("")
            line = process.stderr.readline()
            assert b"configuration not taken error=there is no stream" in line
            assert process.poll() is None
        finally:
            process.kill()


def test_an_invalid_url_is_an_error_without_its_password(tmp_path: Path) -> None:
    done = subprocess.run(
        [*ONLOOKER, "stream", "door=rtsp://me:geheim@[10.0.0.7/1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: door: url: it has no valid host and port")
    assert "geheim" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("stream", "rtsp://me:geheim@10.0.0.7/1?a=b"),
        ("stream", "my door=rtsp://me:geheim@10.0.0.7/1"),
        ("stream", "door=me:geheim@10.0.0.7/1"),
        ("replay", "rtsp://me:geheim@10.0.0.7/1"),
        ("replay", "me:geheim@10.0.0.7/1"),
        ("faces", "http://me:geheim@10.0.0.7/1.jpg"),
    ],
)
def test_a_url_in_the_wrong_place_is_not_repeated(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0
    assert "geheim" not in done.output + str(done.exception)
