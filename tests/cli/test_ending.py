"""Commands that are ended early: one line that says what was done, and the right exit status."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.support.commands import ONLOOKER, environment, onlooker
from tests.support.frames import frame

from onlooker.cli import ending
from onlooker.cli.commands import app
from onlooker.cli.ending import Interruption, if_stopped
from onlooker.config.schema import Config
from onlooker.errors import OnlookerError
from onlooker.media.video_writer import VideoWriter
from onlooker.record.frame_record import build
from onlooker.record.log.reader import Log, LogError
from onlooker.record.log.writer import Writer
from onlooker.record.sinks import json_lines
from onlooker.record.sinks.publish import Publisher
from onlooker.stream.errors import Stopped
from onlooker.stream.messages import Status

NOTHING_TO_FIND = "[faces]\nenabled = false\n[text]\nenabled = false\n"
FRAMES = 40
NEEDS_FILE = "means standard output, and this needs a file; name another file"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video of eight seconds without faces and text, beside a configuration that seeks none."""
    (tmp_path / "onlooker.toml").write_text(NOTHING_TO_FIND)
    with VideoWriter(tmp_path / "grey.mp4", 64, 48, 5) as writer:
        for number in range(FRAMES):
            writer.write(np.full((48, 64, 3), 2 * number, np.uint8))
    return tmp_path / "grey.mp4"


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    hook, before = sys.unraisablehook, signal.getsignal(signal.SIGINT)
    made = Interruption(60.0)
    signal.signal(signal.SIGINT, made)
    yield made
    sys.unraisablehook = hook
    signal.signal(signal.SIGINT, before)


def test_a_signal_says_what_was_done_by_the_inner_block(
    interruption: Interruption, capsys: pytest.CaptureFixture[str]
) -> None:
    done = 0

    def command() -> None:
        nonlocal done
        with if_stopped(lambda: "never said"), if_stopped(lambda: f"{done} images are indexed"):
            done = 12
            signal.raise_signal(signal.SIGINT)

    assert ending.run(command, interruption) == 130
    assert capsys.readouterr().err == "stopped: SIGINT; 12 images are indexed\n"


def test_so_does_one_that_a_library_made_an_error_of(
    interruption: Interruption, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        with if_stopped(lambda: "models are kept"):
            try:
                signal.raise_signal(signal.SIGINT)
            except SystemExit as error:
                raise ImportError("cannot be imported") from error

    assert ending.run(command, interruption) == 130
    assert capsys.readouterr().err == "stopped: SIGINT; models are kept\n"


def test_a_run_that_is_stopped_says_so_too(
    interruption: Interruption, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        with if_stopped(lambda: "3 frames are recorded"):
            raise Stopped(signal.SIGTERM, Status())

    assert ending.run(command, interruption) == 143
    assert capsys.readouterr().err == "stopped: SIGTERM; 3 frames are recorded\n"


def test_another_error_is_not_told_what_was_done(
    interruption: Interruption, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreadable() -> str:
        raise AssertionError("asked of a log that may be broken")

    def command() -> None:
        with if_stopped(unreadable):
            raise OnlookerError("r.db: is no log; name another file")

    assert ending.run(command, interruption) == 1
    assert capsys.readouterr().err == "error: r.db: is no log; name another file\n"


class Started:
    """A command in a process of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [*ONLOOKER, *words],
            cwd=folder,
            env=environment(folder / "data"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def stop(self, number: signal.Signals, about: str = "stopped: ") -> tuple[int, list[str]]:
        """Send a signal; return the exit status and the lines on stderr with these words.

        On a machine that is very slow the log may have others.
        """
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=60)
        assert b"Traceback" not in err
        lines = err.decode().splitlines()
        return self.process.returncode, [line for line in lines if about in line]

    def wait_for(self, true: Callable[[], bool]) -> None:
        """Wait until it is true, for as long as the command runs."""
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", [(), ("--inline",)])
def test_a_replay_says_how_many_frames_are_recorded(video: Path, way: tuple[str, ...]) -> None:
    lines = video.with_suffix(".jsonl")
    replay = Started(video.parent, "replay", video.name, "--speed", "1x", *way)
    replay.wait_for(lambda: lines.exists() and lines.stat().st_size > 0)
    status, [line] = replay.stop(signal.SIGINT)
    assert status == 130
    said = re.fullmatch(
        r"stopped: SIGINT; (\d+) frames are recorded in grey\.db; the same command continues there",
        line,
    )
    assert said is not None, line
    assert 0 < int(said[1]) == len(list(json_lines.read(lines))) < FRAMES


def recorded(path: Path) -> int:
    """Return the number of records in a log, which may not be there yet."""
    try:
        with Log(path) as log:
            return len(log)
    except LogError:
        return 0


def more_than(number: int, path: Path) -> bool:
    return recorded(path) > number


@pytest.mark.timeout(120)
def test_streams_that_are_stopped_leave_one_line(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text(NOTHING_TO_FIND + '[log]\npath = "r.db"\n')
    for number, expected, form in (
        (signal.SIGINT, 130, r"stopped: SIGINT; records are in r\.db, where the next start .*"),
        (signal.SIGTERM, 0, r"\S+ \S+ WARNING stopping signal=SIGTERM"),
    ):
        before = recorded(tmp_path / "r.db")
        stream = Started(tmp_path, "stream", "door=test://moving?size=64x36&fps=10")
        stream.wait_for(partial(more_than, before, tmp_path / "r.db"))
        status, [line] = stream.stop(number, number.name)
        assert status == expected
        assert re.fullmatch(form, line), line


@pytest.mark.timeout(120)
def test_watching_says_where_to_go_on(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/records"
    with Writer(tmp_path / "r.db") as log, Publisher(log, endpoint) as publisher:
        log.append([build(frame("door", index), Config(), "d") for index in range(3)])
        watch = Started(tmp_path, "watch", endpoint, "--since", "0")
        out = watch.process.stdout
        assert out is not None
        os.set_blocking(out.fileno(), False)
        got = b""

        def served() -> bool:
            nonlocal got
            publisher.serve()
            publisher.follower.step()
            got += out.read() or b""
            return got.count(b"\n") == 3

        watch.wait_for(served)
        status, [line] = watch.stop(signal.SIGINT)
    assert status == 130
    assert line == "stopped: SIGINT; 3 records were received; `--since 3` continues after them"


@pytest.mark.timeout(120)
def test_a_backup_that_is_stopped_is_not_written(tmp_path: Path) -> None:
    """It is stopped while it waits for a store that another program has locked."""
    assert onlooker("collection", "create", "staff", cwd=tmp_path).returncode == 0
    program = """
import os, signal, sys
from onlooker.cli import main
from onlooker.identity import backup
def interrupted(store, to):
    signal.raise_signal(signal.SIGTERM)
backup.backup = interrupted
sys.argv = ["onlooker", "collection", "backup", "copy.db"]
main.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(tmp_path / "data"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 143
    assert done.stderr == "stopped: SIGTERM; copy.db was not written\n"


def test_records_on_stdout_are_all_that_is_there(video: Path) -> None:
    done = onlooker("replay", video.name, "--out", "-", "--inline", cwd=video.parent)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["FrameInformation"]["Index"] for record in records] == list(range(FRAMES))
    assert f"{FRAMES} frames" in done.stderr
    assert "grey.db" in done.stderr
    assert not list(video.parent.glob("*.jsonl"))
    assert not list(video.parent.glob("-*"))
    again = onlooker("replay", video.name, "--out", "-", cwd=video.parent)
    assert again.stdout == done.stdout, "what is recorded already comes from the log"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_reader_that_goes_away_ends_a_replay_without_a_word(video: Path) -> None:
    command = f"{sys.executable} -m onlooker replay {video.name} --out - --speed 1x | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=video.parent,
        env=environment(video.parent / "data"),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 141
    assert json.loads(done.stdout)["FrameInformation"]["Index"] == 0
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("replay", "grey.mp4", "--log", "-"), NEEDS_FILE),
        (("replay", "grey.mp4", "--annotate", "-"), "'' is no suffix of a video that"),
        (("collection", "index", "staff", "people", "--report", "-"), NEEDS_FILE),
        (("collection", "backup", "-"), NEEDS_FILE),
        (("collection", "export", "staff", "-"), "name a file that ends in .jsonl"),
        (("keys", "generate", "-"), NEEDS_FILE),
    ],
)
def test_a_dash_makes_no_file_of_that_name(
    words: tuple[str, ...],
    text: str,
    video: Path,
    interruption: Interruption,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = video.parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ONLOOKER_DATA", str(folder / "data"))
    (folder / "people").mkdir()
    (folder / "people" / "a.png").touch()
    monkeypatch.setattr(sys, "argv", ["onlooker", "collection", "create", "staff"])
    assert ending.run(app, interruption) == 0
    monkeypatch.setattr(sys, "argv", ["onlooker", *words])
    assert ending.run(app, interruption) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: -: {text}")
    assert not list(folder.glob("-*"))
