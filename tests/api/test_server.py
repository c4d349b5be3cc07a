"""The server's processes: what becomes of those that cannot start, die or hang."""

import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.support.processes import wait_until
from tests.support.server import running as program

from onlooker.api import server
from onlooker.api.listener import ServeError
from onlooker.api.process_protocol import ProcessSettings
from onlooker.api.server import Processes, running
from onlooker.config.schema import Config, Faces, Text
from onlooker.config.serving import Serve
from onlooker.piped_process import pack, unpack

CONFIG = Config(serve=Serve(port=0, threads=1, request_timeout=0.5))
LIGHT = "tests.support.light_server"
STUCK = "tests.support.stuck_server"
LOOP_HANGS = "its event loop hangs since [45] s"
"""After 4 s, as `started` has it, and the time between two rounds of the server: one that takes
more than a second does not count."""

pytestmark = pytest.mark.timeout(280)


@contextmanager
def started(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: str = LIGHT, config: Config = CONFIG
) -> Iterator[tuple[Processes, Callable[[Callable[[], bool], float], bool]]]:
    """Processes that listen, and a way to watch over them until something is true."""
    monkeypatch.setattr(server, "MODULE", module)
    monkeypatch.setattr(server, "MAX_LOOP_SILENCE_SECONDS", 4.0)
    monkeypatch.setattr(server, "MAX_THREADS_SILENCE_SECONDS", 7.0)
    ready: list[str] = []
    with running(config, folder / "faces.db", ready.append) as processes:

        def watch_until(true: Callable[[], bool], seconds: float) -> bool:
            def watched() -> bool:
                processes.wait(0.05)
                processes.watch()
                return true()

            return wait_until(watched, seconds)

        assert watch_until(lambda: bool(ready), 60)
        assert ready == [processes.url]
        yield processes, watch_until


def ask(url: str, path: str, seconds: float = 5.0) -> str:
    """What is answered; nothing if that takes too long."""
    with suppress(OSError), urllib.request.urlopen(url + path, timeout=seconds) as answer:
        return str(answer.read().decode())
    return ""


def pid(processes: Processes) -> int:
    [child] = processes._children
    return child.process.pid if child.process is not None else 0


def killed_in_time(caplog: pytest.LogCaptureFixture, cause: str) -> None:
    """Assert that the first process was killed for this cause, and replaced at once."""
    assert re.fullmatch(f"child killed name=api-0.1 cause={cause}", caplog.messages[0])
    assert "process died name=api-0.1 how=SIGKILL restart_in=0" in caplog.messages


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    settings = ProcessSettings(
        config=CONFIG, store=tmp_path / "f.db", address=("::1", 7), threads=2, replacement=True
    )
    line = pack(settings)
    assert line.index(b"\n") == len(line) - 1
    assert unpack(line, ProcessSettings) == settings


def test_a_process_that_cannot_be_started_is_an_error_at_first_and_retried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(CONFIG, tmp_path / "faces.db", lambda _: None) as processes:
        monkeypatch.setattr(sys, "executable", "/none")
        with pytest.raises(ServeError, match="No such file"):
            processes.watch()
        [child] = processes._children
        processes._announced = True
        processes.watch()
        processes.watch()
        assert not child.running
        tried, deaths = child.due, child.deaths
        assert deaths >= 2
        processes.watch()
        assert (child.due, child.deaths) == (tried, deaths), "not before its time"


def test_files_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uvicorn.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(tmp_path)
    config = Config(faces=Faces(embedder="none"), text=Text(detector="none"), serve=Serve(port=0))
    with running(config, tmp_path / "faces.db", lambda _: None) as processes:

        def end() -> None:
            while True:
                processes.wait(0.1)
                processes.watch()

        with pytest.raises(ServeError, match="exit status 1"):
            end()
    assert not (tmp_path / "imported").exists()


def test_a_process_that_dies_is_replaced_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with started(tmp_path, monkeypatch) as (processes, watch_until):
        first = pid(processes)
        os.kill(first, signal.SIGKILL)
        assert watch_until(lambda: pid(processes) not in (0, first), 60)
        assert watch_until(lambda: ask(processes.url, "/replacement", 0.5) == "True", 60)
    assert "process died name=api-0.1 how=SIGKILL restart_in=0" in caplog.messages


def test_a_process_that_is_well_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the server itself has not run for a while."""
    with started(tmp_path, monkeypatch) as (processes, watch_until):
        first = pid(processes)
        assert not watch_until(lambda: pid(processes) != first, 10)
        time.sleep(6)
        assert not watch_until(lambda: pid(processes) != first, 1)


@pytest.mark.parametrize(
    ("what", "cause"),
    [("/loop", LOOP_HANGS), ("/threads", "its threads hang since [89] s")],
)
def test_a_process_whose_loop_or_threads_hang_is_replaced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
    cause: str,
) -> None:
    with started(tmp_path, monkeypatch) as (processes, watch_until):
        first = pid(processes)
        ask(processes.url, what, 0.5)
        assert watch_until(lambda: pid(processes) not in (0, first), 60)
        assert watch_until(lambda: ask(processes.url, "/replacement", 0.5) == "True", 60)
    killed_in_time(caplog, cause)


@pytest.mark.parametrize("how", ["stopped", "event loop"])
def test_a_real_process_that_hangs_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """The one that is stopped has its models; of the other /healthz hangs the event loop."""
    module = "onlooker.api.server_process" if how == "stopped" else STUCK
    with started(tmp_path, monkeypatch, module) as (processes, watch_until):
        assert ask(processes.url, "/readyz") == "ready\n"
        first = pid(processes)
        if how == "stopped":
            os.kill(first, signal.SIGSTOP)
        else:
            ask(processes.url, "/healthz", 0.5)
        assert ask(processes.url, "/readyz", 1.0) == ""
        assert watch_until(lambda: pid(processes) not in (0, first), 60)
        assert watch_until(lambda: ask(processes.url, "/readyz", 1.0) == "ready\n", 60)
        if how == "stopped":
            assert "onlooker_worker_restarts_total 1.0" in ask(processes.url, "/metrics")
    killed_in_time(caplog, LOOP_HANGS)


def test_no_process_remains_if_the_parent_is_killed(tmp_path: Path) -> None:
    cold = [sys.executable, "-m", "tests.support.cold_server"]
    with program(tmp_path, "[serve]\nthreads = 1\nworkers = 2\n", cold) as one:
        workers = one.workers()
        assert len(workers) == 2
        one.process.kill()
        end = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
