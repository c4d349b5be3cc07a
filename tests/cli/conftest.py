"""The command line in the process of the tests, which has what it imports already."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onlooker import program_log
from onlooker.cli import ending
from onlooker.cli import main as program

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Call the command line in this process, in an empty folder with no collections."""
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    hooks = sys.unraisablehook, threading.excepthook
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(program_log, "_form", program_log._form)

    def run(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["onlooker", *words])
        program.main()

    yield run
    # A signal that it sends again would reach the process without the command's handlers.
    for thread in threading.enumerate():
        if thread.name == ending.AGAIN:
            thread.join(60)
    sys.unraisablehook, threading.excepthook = hooks
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def refused(
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[int | str | None, str]]:
    """Call it so, with a command that ends with an error; return its status and stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*words: str) -> tuple[int | str | None, str]:
        with pytest.raises(SystemExit) as ended:
            call(*words)
        return ended.value.code, capsys.readouterr().err

    return run
