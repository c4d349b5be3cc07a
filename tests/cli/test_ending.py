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
from contextlib import suppress
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.commands import ONLOOKER, environment, onlooker, pipe_that_is_full
from tests.support.frames import frame
from tests.support.processes import offspring

from onlooker.cli import ending
from onlooker.cli.commands import app
from onlooker.cli.ending import Interrupted, Interruption, if_stopped
from onlooker.config.schema import Config
from onlooker.durable_file import FileLock
from onlooker.errors import OnlookerError
from onlooker.identity.enrol import MIN_IMAGES_PER_PROCESS
from onlooker.media.video_writer import VideoWriter
from onlooker.record.frame_record import build
from onlooker.record.log.reader import Log, LogError
from onlooker.record.log.schema import id_of
from onlooker.record.log.writer import Writer
from onlooker.record.sinks import json_lines
from onlooker.record.sinks.publish import Publisher
from onlooker.stream.errors import Stopped
from onlooker.stream.messages import Status

NOTHING_TO_FIND = "[faces]\nenabled = false\n[text]\nenabled = false\n[pipeline]\nworkers = 1\n"
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


@pytest.mark.parametrize("failure", [LogError("r.db: is damaged"), OSError(24, "Too many open")])
def test_it_says_no_more_than_it_can_find_out(
    failure: Exception, interruption: Interruption, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreadable() -> str:
        raise failure

    def command(error: BaseException) -> None:
        with if_stopped(unreadable):
            raise error

    stopped = Stopped(signal.SIGTERM, Status())
    assert ending.run(partial(command, stopped), interruption) == 143
    interruption.number = signal.SIGINT
    assert ending.run(partial(command, Interrupted(signal.SIGINT)), interruption) == 130
    assert capsys.readouterr().err == "stopped: SIGTERM\nstopped: SIGINT\n"


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

    def __init__(self, folder: Path, *words: str, stdout: int = subprocess.PIPE) -> None:
        # If `nohup` has started the tests, they ignore SIGHUP, and so would this process.
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            self.process = subprocess.Popen(
                [*ONLOOKER, *words],
                cwd=folder,
                env=environment(folder / "data"),
                stdout=stdout,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        finally:
            signal.signal(signal.SIGHUP, before)

    def stop(self, number: signal.Signals, *, all_: bool = False) -> tuple[int, list[str]]:
        """Send a signal; return the exit status and the lines on stderr, but one kind of them.

        On a machine that is very slow the log says of children that they did not stop in time.
        all_: send it to its children, too.
        """
        (os.killpg if all_ else os.kill)(self.process.pid, number)
        _, err = self.process.communicate(timeout=60)
        lines = [line for line in err.decode().splitlines() if "child did not stop" not in line]
        return self.process.returncode, lines

    def wait_for(self, true: Callable[[], bool]) -> None:
        """Wait until it is true, for as long as the command runs."""
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", [(), ("--inline",)])
def test_a_replay_says_how_many_frames_are_recorded(video: Path, way: tuple[str, ...]) -> None:
    lines = video.with_suffix(".jsonl")
    with Writer(video.with_name("all.db")) as log:  # has other videos, which do not count
        log.append([build(frame("door", index), Config(), "d") for index in range(FRAMES)])
    options = ("--speed", "1x", "--log", "all.db", "--out", lines.name)
    replay = Started(video.parent, "replay", video.name, *options, *way)
    replay.wait_for(lambda: lines.exists() and lines.read_bytes().count(b"\n") > FRAMES)
    status, [line] = replay.stop(signal.SIGINT)
    assert status == 130
    said = re.fullmatch(
        r"stopped: SIGINT; (\d+) frames? (is|are) recorded in all\.db; the same command .*",
        line,
    )
    assert said is not None, line
    written = [record.stream for record in json_lines.read(lines)]
    assert 0 < int(said[1]) == written.count("grey") < FRAMES


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
        status, [line] = stream.stop(number)
        assert status == expected
        assert re.fullmatch(form, line), line


@pytest.mark.timeout(120)
def test_watching_says_where_to_go_on(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/records"
    with Writer(tmp_path / "r.db") as log, Publisher(log, endpoint) as publisher:
        log.append([build(frame("door", index), Config(), "d") for index in range(1)])
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
            return got.count(b"\n") == 1

        watch.wait_for(served)
        status, [line] = watch.stop(signal.SIGINT)
        named = log.ask(id_of).hex()
    assert status == 130
    assert line == (
        f"stopped: SIGINT; 1 record was received; `--since 1 --log {named}` continues there"
    )


@pytest.mark.timeout(200)
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_terminal_that_is_closed_while_processes_analyse_is_one_line(tmp_path: Path) -> None:
    """It sends SIGHUP to them all, also to the one that counts the semaphores of the others."""
    images = 50 * MIN_IMAGES_PER_PROCESS  # more than are done in the time
    chance = np.random.default_rng(1)
    for number in range(images):
        noise = chance.integers(0, 256, (96, 96)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), noise)
    indexing = Started(tmp_path, "collection", "index", "staff", str(tmp_path), "--jobs", "2")
    indexing.wait_for(lambda: len(offspring(indexing.process.pid)) >= 3)
    time.sleep(1.0)  # until they load models
    assert indexing.stop(signal.SIGHUP, all_=True) == (
        129,
        [
            f"stopped: SIGHUP; 0 of {images} images are indexed; the same command continues with "
            "the others"
        ],
    )


def has_open(process: int, path: Path) -> bool:
    """Return whether a process has a file open."""
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            if descriptor.readlink() == path:
                return True
    return False


@pytest.mark.timeout(200)
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    ("words", "there"),
    [
        (("backup", "copy.db"), False),
        (("backup", "copy.db"), True),
        (("export", "staff", "copy.jsonl"), True),
    ],
)
def test_a_copy_that_is_stopped_is_not_written(
    words: tuple[str, ...], there: bool, tmp_path: Path
) -> None:
    """It is stopped while it waits for a store that another program has locked."""
    assert onlooker("collection", "create", "staff", cwd=tmp_path).returncode == 0
    copy, lock = tmp_path / words[-1], tmp_path / "data" / "faces.db.lock"
    if there:
        copy.write_text("the user's own")
    with FileLock(lock):
        writing = Started(tmp_path, "collection", *words)
        writing.wait_for(lambda: has_open(writing.process.pid, lock))
        assert writing.stop(signal.SIGTERM) == (
            143,
            [f"stopped: SIGTERM; {copy.name} was not written"],
        )
    assert copy.exists() == there
    assert not there or copy.read_text() == "the user's own"


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("speed", "frames"), [("1x", 10), ("max", FRAMES)])
def test_a_replay_whose_output_nobody_reads_can_be_stopped(
    speed: str, frames: int, video: Path
) -> None:
    """It is stopped while it records, and when only its output is still to be written."""
    reader, writer = pipe_that_is_full()
    try:
        words = ("replay", video.name, "--out", "-", "--speed", speed)
        replay = Started(video.parent, *words, stdout=writer)
        os.close(writer)
        replay.wait_for(partial(more_than, frames - 1, video.with_suffix(".db")))
        time.sleep(1.0)  # until it writes
        status, lines = replay.stop(signal.SIGTERM)
    finally:
        os.close(reader)  # which ends it in any case
    assert status == 143
    said = re.fullmatch(r"stopped: SIGTERM; (\d+) frames are recorded in grey\.db; .*", lines[-1])
    assert said is not None, lines
    assert frames <= int(said[1]) <= FRAMES


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
