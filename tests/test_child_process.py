"""Child processes over all their lives, and the loop that watches over groups of them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.processes import alive, wait_until

from onlooker.child_process import (
    MAX_RESTART_SECONDS,
    Child,
    ProcessStatus,
    command,
    environment,
    every,
    signals,
    stop,
    stop_event,
    supervise,
)

MODULE = "tests.support.patient_child"
"""Takes how to behave as an argument."""


def ended(child: Child, seconds: float = 20.0) -> str:
    """How it ended, which `check` says once."""
    said: list[str] = []

    def check() -> bool:
        how = child.check(time.monotonic())
        if how is not None:
            said.append(how)
        return bool(said)

    assert wait_until(check, seconds)
    return said[0]


def heard(child: Child, text: bytes) -> bool:
    got = b""

    def read() -> bool:
        nonlocal got
        got += child.read()
        return text in got

    return wait_until(read, 60)


def test_a_child_has_another_name_in_each_life_and_is_told_it() -> None:
    child = Child("worker", MODULE, "say-name", piped=True)
    for life in (1, 2):
        assert child.check(0.0) is None
        assert heard(child, f"worker.{life}".encode())
        assert child.name == f"worker.{life}"
        assert ended(child) == "exit status 3"
        assert child.restart(0.0, progress=True) == 0.0
    assert child.status == ProcessStatus("worker", 0, "waiting", 1)


def test_restarts_come_later_and_later_until_there_is_progress() -> None:
    child = Child("worker", MODULE)
    waits = [child.restart(100.0, progress=False) for _ in range(9)]
    assert waits == [0, 1, 2, 4, 8, 16, 32, 32, 32]
    assert waits[-1] == MAX_RESTART_SECONDS
    assert child.check(131.9) is None
    assert not child.running
    assert child.restart(200.0, progress=True) == 0


def test_a_child_that_was_late_has_twice_as_long_the_next_time() -> None:
    child = Child("worker", MODULE, "quick")
    assert not child.late(1e9, 60)  # it does not run
    for allowed in (60, 120, 240, 480, 960, 960):
        child.start()
        assert not child.late(child.started + allowed, 60)
        assert child.late(child.started + allowed + 1, 60)
        child.kill("it is silent")
        assert ended(child, 60) == "SIGKILL"
        child.restart(0.0, progress=False)
    child.restart(0.0, progress=True)
    child.start()
    assert child.late(child.started + 61, 60)
    stop([child], 5)


def test_a_child_that_was_not_late_has_no_longer_the_next_time() -> None:
    child = Child("worker", MODULE, "quick")
    for _ in range(2):
        child.start()
        child.ready = True
        child.kill("it is silent")
        assert ended(child, 60) == "SIGKILL"
        child.restart(0.0, progress=False)
    for _ in range(4):  # crashes
        child.restart(0.0, progress=False)
    child.start()
    assert not child.late(child.started + 60, 60)
    assert child.late(child.started + 61, 60)
    stop([child], 5)


def test_what_cannot_be_started_counts_as_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/none")
    child = Child("worker", MODULE)
    how = child.check(0.0)
    assert how is not None
    assert "cannot be started: " in how
    assert "/none" in how


def test_files_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are they if this process was started by `python -c`, which imports from there."""
    (tmp_path / "queue.py").write_text("open('imported', 'w')")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.chdir(tmp_path)
    child = Child("worker", MODULE, "import-queue")
    child.start()
    assert ended(child) == "exit status 0"
    assert not (tmp_path / "imported").exists()
    assert command("queue")[:3] == [sys.executable, "-P", "-m"]
    assert str(tmp_path) not in environment()["PYTHONPATH"].split(os.pathsep)


def test_a_child_that_does_not_stop_is_killed() -> None:
    deaf, quick = (Child(name, MODULE, name, piped=True) for name in ("deaf", "quick"))
    for child in (deaf, quick):
        child.start()
        assert heard(child, b"started")
    began = time.monotonic()
    assert stop([deaf, quick, Child("never", MODULE)], 0.5) == [-signal.SIGKILL, 0, 0]
    assert time.monotonic() - began < 5
    assert deaf.check(time.monotonic()) is None
    assert not deaf.running, "what was to stop is not started again"


def test_check_kills_what_was_to_stop_and_has_not() -> None:
    child = Child("deaf", MODULE, "deaf", piped=True, stop_seconds=0.2)
    child.start()
    assert heard(child, b"started")
    child.stop(time.monotonic())
    assert child.status.state == "stopping"
    assert ended(child) == "SIGKILL"
    assert child.status.state == "stopped"


def test_a_child_that_takes_its_time_to_die_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    child = Child("slow", MODULE, "quick", piped=True)
    child.start()
    assert child.process is not None
    with monkeypatch.context() as patched:
        patched.setattr(child.process, "kill", lambda: None)
        for _ in range(3):
            child.kill("it is silent")
    child.kill("it is silent")
    assert ended(child, 60) == "SIGKILL"
    assert [each.getMessage() for each in caplog.records] == [
        "child killed name=slow.1 cause=it is silent"
    ]


def test_a_child_does_not_get_the_signals_of_the_terminal() -> None:
    child = Child("quick", MODULE, "quick", piped=True)
    child.start()
    assert heard(child, b"started")
    assert child.process is not None
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(child.process.pid, number)
    time.sleep(0.2)
    assert alive(child.process.pid)
    stop([child])


class Group:
    """A group without processes that is finished after some rounds."""

    def __init__(self, rounds: float, on_round: Callable[[], None] = lambda: None) -> None:
        self.rounds = rounds
        self.on_round = on_round
        self.stopped = False

    @property
    def finished(self) -> bool:
        return self.rounds <= 0

    def wait(self, seconds: float) -> None:
        self.rounds -= 1
        self.on_round()

    def watch(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True

    def processes(self) -> list[ProcessStatus]:
        return []


def test_a_program_lasts_until_all_its_groups_have_finished() -> None:
    rounds: list[int] = []
    groups = [Group(2), Group(5)]
    assert supervise(groups, [], lambda: rounds.append(1)) is None
    assert len(rounds) == 5
    assert not any(group.stopped for group in groups)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all_groups(number: signal.Signals) -> None:
    with signals() as received:
        groups = [Group(float("inf"), lambda: os.kill(os.getpid(), number)), Group(0)]
        assert supervise(groups, received, lambda: None) == number
    assert all(group.stopped for group in groups)


def test_a_program_that_can_reload_does_so_on_sighup() -> None:
    reloaded: list[int] = []
    with signals() as received:
        group = Group(2, lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert supervise([group], received, lambda: None, lambda: reloaded.append(1)) is None
    assert len(reloaded) == 2
    assert not group.stopped


def test_every_calls_again_only_after_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = 10.0, []
    monkeypatch.setattr("time.monotonic", lambda: now)
    maybe = every(1.0, lambda: calls.append(now))
    for now in (10.5, 11.5, 12.0, 12.6):  # noqa: B007
        maybe()
    assert calls == [11.5, 12.6]


def test_a_process_that_leaves_does_not_take_itself_apart() -> None:
    """As a worker, whose models take longer to free than it has time to stop."""
    program = """
import atexit, logging, sys, time
from onlooker.child_process import leave
class Model:
    def __del__(self):
        time.sleep(600)
def main():
    logging.basicConfig()
    atexit.register(time.sleep, 600)
    model = Model()
    logging.warning("last line")
    sys.stdout.write("last result")
    leave(3)
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.returncode == 3
    assert done.stdout == b"last result"
    assert b"last line" in done.stderr


def test_a_second_order_to_stop_while_the_first_is_being_obeyed_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As from a supervisor that stops a source that has ended, and then all processes."""
    taken: list[bool] = []

    class Interrupted(threading.Event):
        lock = threading.Lock()

        def set(self) -> None:
            taken.append(self.lock.acquire(timeout=2))
            if len(taken) == 1:
                signal.raise_signal(signal.SIGTERM)
            super().set()
            if taken[-1]:
                self.lock.release()

    before = signal.getsignal(signal.SIGTERM)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(threading, "Event", Interrupted)
            stop = stop_event("worker")
        signal.raise_signal(signal.SIGTERM)
        assert wait_until(lambda: len(taken) == 2, 60)
        assert stop.wait(60)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert taken == [True, True]
