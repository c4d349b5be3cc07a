"""The program: its version, its errors, and how it ends."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.commands import ONLOOKER, onlooker

from onlooker.cli import commands
from onlooker.cli import main as program
from onlooker.errors import OnlookerError

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Call the command line in this process, in an empty folder with no collections."""
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    hooks = sys.unraisablehook, threading.excepthook
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))

    def run(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["onlooker", *words])
        program.main()

    yield run
    sys.unraisablehook, threading.excepthook = hooks
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "nowhere"),
        ("faces", "nowhere"),
        ("text", "nowhere"),
        ("collection", "search", "staff", "nowhere"),
        ("collection", "restore", "nowhere"),
        ("collection", "import", "nowhere"),
        ("log", "tail", "--log", "nowhere"),
        ("log", "check", "--log", "nowhere"),
        ("keys", "show", "nowhere"),
        ("watch", "tcp://127.0.0.1:9", "--key", "nowhere", "--server", "x"),
        ("models", "import-paddle", "nowhere"),
        ("models", "info", "nowhere"),
        ("config", "check", "nowhere"),
        ("serve", "--config", "nowhere"),
    ],
)
def test_a_path_that_does_not_exist_is_one_line(
    words: tuple[str, ...], call: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        call(*words)
    assert ended.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "nowhere" in line


def test_a_missing_folder_of_people_is_one_line(
    call: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call("collection", "create", "staff")
    with pytest.raises(SystemExit) as ended:
        call("collection", "index", "staff", "nowhere")
    assert ended.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line == "error: nowhere: no such file or folder"


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), KeyError("gone"), OSError("gone")])
def test_a_defect_of_our_own_is_not_told_as_the_users_mistake(
    error: Exception, call: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(commands, "app", fail)
    with pytest.raises(type(error), match="gone"):
        call()


def test_every_expected_error_is_one_line(
    call: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class LensError(OnlookerError):
        pass

    def fail() -> None:
        raise LensError("[lens] cap: is on; take it off :fire:")

    monkeypatch.setattr(commands, "app", fail)
    with pytest.raises(SystemExit) as ended:
        call()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: [lens] cap: is on; take it off :fire:\n"


def test_the_version(tmp_path: Path) -> None:
    done = onlooker("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert re.fullmatch(r"onlooker \d+\.\d+\.\d+\n", done.stdout)


def test_output_that_nobody_reads_any_more_is_no_error(tmp_path: Path) -> None:
    command = "set -o pipefail; python -m onlooker config show | head -1"
    done = subprocess.run(
        ["bash", "-c", command.replace("python", sys.executable)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("#")
    assert done.stderr == ""


def catches(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Return whether a process has installed a handler for this signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at a process in /proc")
def test_sigterm_ends_a_command_in_the_usual_way(tmp_path: Path) -> None:
    command = [*ONLOOKER, "watch", f"ipc://{tmp_path}/records"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while not catches(process, signal.SIGTERM):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
