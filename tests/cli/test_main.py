"""The program: its version, its errors, and how it ends."""

import codecs
import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.commands import ONLOOKER, onlooker

from onlooker.cli import commands, ending
from onlooker.cli.ending import Interrupted, Interruption
from onlooker.cli.standard_streams import _readable
from onlooker.cli.terminal import counted
from onlooker.errors import OnlookerError
from onlooker.identity.store import Store, default_path


def test_a_name_commands_no_terminal_and_breaks_no_line(
    call: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call("faces", "red\x1b[31m\nline.jpg")
    assert capsys.readouterr().err == (
        "error: red\\x1b[31m\\nline.jpg: No such file or directory\n"
    )


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
    if words[0] == "collection":
        Store(default_path()).close()
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


@pytest.mark.parametrize("words", [("--version",), ("keys", "generate", "key"), ("nonsense",)])
def test_a_command_loads_only_what_it_needs(words: tuple[str, ...], tmp_path: Path) -> None:
    code = "from onlooker.cli.main import main; import sys\ntry: main()\nfinally: "
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print(*sys.modules)", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    loaded = done.stdout.splitlines()[-1].split()
    assert "onlooker.cli.commands" in loaded
    others = {"run", "replay", "collection", "doctor"}
    assert not {"numpy", "cv2", "av", *(f"onlooker.cli.{name}" for name in others)} & set(loaded)


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EROFS])
def test_a_system_without_room_is_no_defect_of_our_own(
    number: int,
    call: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "place")

    monkeypatch.setattr(commands, "app", fail)
    with pytest.raises(SystemExit) as ended:
        call()
    assert ended.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: place: {os.strerror(number)}; ")


@pytest.mark.parametrize("again", [0.0, ending.AGAIN_SECONDS])
def test_a_signal_where_exceptions_are_ignored_comes_again(
    again: float,
    call: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As during a destructor: Python prints the exception and goes on.

    At once it comes while the one before is seen to, as it does on a busy machine.
    """
    monkeypatch.setattr(ending, "AGAIN_SECONDS", again)

    class Doomed:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def command() -> None:
        Doomed()
        time.sleep(10)

    ends: list[int] = []
    monkeypatch.setattr(commands, "app", command)
    monkeypatch.setattr(os, "_exit", ends.append)
    with pytest.raises(SystemExit):
        call()
    assert ends == [130]
    assert capsys.readouterr().err == "stopped: SIGINT\n"


def test_a_signal_that_a_library_makes_an_error_of_is_still_a_signal(
    call: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ONNX Runtime, which says then that it cannot be imported."""

    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit as error:
            raise OnlookerError("cannot be imported") from error

    ends: list[int] = []
    monkeypatch.setattr(commands, "app", command)
    monkeypatch.setattr(os, "_exit", ends.append)
    with pytest.raises(SystemExit):
        call()
    assert ends == [143]
    assert capsys.readouterr().err == "stopped: SIGTERM\n"


def test_cleaning_up_is_interrupted_only_if_it_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    for patience, expected in ((60.0, []), (0.0, [130])):
        interruption = Interruption(patience)
        with pytest.raises(Interrupted):
            interruption(signal.SIGINT, None)
        time.sleep(0.01)
        interruption(signal.SIGINT, None)
        assert ends == expected


def test_the_outputs_take_any_name() -> None:
    codecs.register_error("readable", _readable)
    name = "Müller caf\udce9 \ud800"
    assert name.encode("utf-8", "readable") == b"M\xc3\xbcller caf\xe9 \\ud800"
    assert name.encode("ascii", "readable") == b"M\\xfcller caf\xe9 \\ud800"


def test_names_that_are_not_utf8_are_escaped_in_errors() -> None:
    assert str(OnlookerError("caf\udce9 \ud800 é: gone")) == "caf\\xe9 \\ud800 é: gone"


@pytest.mark.parametrize(
    ("redirection", "status", "text"),
    [
        ("> /dev/full", 1, "error: stdout: No space left on device; "),
        (">&-", 1, "error: stdout: it is closed; "),
        ("2>&- <&-", 0, ""),
        ("| true", 141, ""),
    ],
)
def test_outputs_that_cannot_be_written(
    redirection: str, status: int, text: str, tmp_path: Path
) -> None:
    command = f"{sys.executable} -m onlooker --version {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status
    assert done.stderr.startswith(text)
    assert len(done.stderr.splitlines()) == bool(text)


def test_surroundings_in_which_no_command_works(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for script, text in (
        (f"cd {gone}; rmdir {gone}", "error: the current folder: No such file or directory; `cd`"),
        ("ulimit -n 50", "error: only 50 files may be open, and 100 are needed; allow more with"),
    ):
        gone.mkdir(exist_ok=True)
        command = f"{script}; exec {sys.executable} -c 'from onlooker.cli.main import main; main()'"
        done = subprocess.run(
            ["bash", "-c", f"{command} --version"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert done.stderr.startswith(text)
        assert len(done.stderr.splitlines()) == 1


def test_numbers_agree_with_their_nouns() -> None:
    assert [counted(number, "face") for number in (0, 1, 2)] == ["0 faces", "1 face", "2 faces"]
    found = [counted(number, "frame is", "frames are") for number in (0, 1, 2)]
    assert found == ["0 frames are", "1 frame is", "2 frames are"]


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
