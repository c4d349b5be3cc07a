"""`onlooker run`: streams, publisher, API and metrics as one program."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.ports import free_port
from tests.support.processes import alive, descendants, wait_until

from onlooker.cli import run
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.config.serving import Metrics, Serve
from onlooker.record.log.reader import Log

ONLOOKER = [sys.executable, "-m", "onlooker"]
CONFIG = """
[faces]
enabled = false
[text]
enabled = false
[log]
path = "r.db"
[publish]
endpoint = "ipc://records"
[streams.door]
url = "test://moving?size=64x36&fps=10"
policy = "live"
[serve]
port = 0
threads = 1
[metrics]
listen = "127.0.0.1:{port}"
"""


def read(url: str) -> str:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())
    return ""


def onlooker(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ONLOOKER_DATA": str(folder), "COLUMNS": "200"}
    return subprocess.run(
        [*ONLOOKER, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.timeout(180)
def test_one_program_runs_all_that_the_configuration_names(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "onlooker.toml").write_text(CONFIG.format(port=port))
    out = tmp_path / "out.txt"
    with (
        out.open("w") as said,
        subprocess.Popen(
            [*ONLOOKER, "run"],
            cwd=tmp_path,
            env={**os.environ, "ONLOOKER_DATA": str(tmp_path), "COLUMNS": "200"},
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            assert wait_until(lambda: "listening at" in out.read_text(), 120), out.read_text()
            [line] = [each for each in out.read_text().splitlines() if "listening at" in each]
            url = line.removeprefix("listening at ")
            assert read(f"{url}/readyz") == "ready\n"
            metrics = f"http://127.0.0.1:{port}/metrics"
            frames = 'onlooker_frames_analysed_total{stream="door"}'
            assert wait_until(lambda: frames in read(metrics), 60)
            assert "onlooker_body_bytes" in read(metrics), "what the API counts"
            status = ""

            def known() -> bool:
                nonlocal status
                status = onlooker(tmp_path, "status", "--once").stdout
                return "door" in status and "api-0" in status

            assert wait_until(known, 60), status
            # Other tests' servers are listed too.
            rows = [each for each in status.splitlines() if "api-0" in each]
            assert all("running" in row for row in rows), status
            children = descendants(process.pid)
            kinds = {name.partition(".")[0] for name in children}
            assert {"hub", "detect-0", "record-0", "source-0", "publisher", "api-0"} <= kinds
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, out.read_text()
            assert time.monotonic() - began < 15
            assert not any(map(alive, children.values()))
        finally:
            process.kill()
    assert "door" in out.read_text().splitlines()[-2], "how the streams ended"
    with Log(tmp_path / "r.db") as log:
        assert log.newest("door") is not None


def test_a_configuration_that_names_nothing_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text("[faces]\nenabled = false\n")
    done = onlooker(tmp_path, "run")
    assert done.returncode == 1
    assert "there is nothing to run: write [streams.door]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["run"], ["config", "check"]])
def test_metrics_and_the_server_cannot_share_an_address(tmp_path: Path, command: list[str]) -> None:
    text = '[serve]\nport = 9464\n[metrics]\nlisten = "127.0.0.1:9464"\n'
    (tmp_path / "onlooker.toml").write_text(text)
    done = onlooker(tmp_path, *command)
    assert done.returncode == 1
    assert "[metrics] listen: 127.0.0.1:9464 is an address of [serve] too" in done.stderr


def test_jobs_need_a_server_and_buckets(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text("[jobs]\n[streams.a]\nurl = 'test://moving'\n")
    done = onlooker(tmp_path, "run")
    assert done.returncode == 1
    assert "[jobs] needs [serve]" in done.stderr
    (tmp_path / "onlooker.toml").write_text("[jobs]\n[serve]\n")
    done = onlooker(tmp_path, "run")
    assert done.returncode == 1
    assert "[jobs] needs buckets" in done.stderr


def test_a_server_that_others_could_reach_is_refused(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text('[serve]\nhost = "0.0.0.0"\n')
    done = onlooker(tmp_path, "run")
    assert done.returncode == 1
    assert "[serve] host: 0.0.0.0 can be reached from other machines" in done.stderr


def test_a_file_that_is_empty_for_a_moment_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editors empty a file before they write it; the program would end, as if all were done."""
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    file = tmp_path / "onlooker.toml"
    stream = '[streams.door]\nurl = "rtsp://10.0.0.7/1"\n'
    file.write_text(stream)

    def change(reload: Callable[[], Config], watched: Path | None, **_: object) -> None:
        file.write_text("")
        with pytest.raises(ConfigError, match="there is nothing to run"):
            reload()
        file.write_text(stream)
        assert list(reload().streams) == ["door"]

    monkeypatch.setattr(run, "run_program", change)
    run.run(config=file)


def test_an_empty_host_is_told() -> None:
    """It equals that of no address for metrics."""
    run.check_ports(Config(serve=Serve(host="")))
    with pytest.raises(ConfigError, match="name another port"):
        run.check_ports(Config(serve=Serve(port=9464), metrics=Metrics(listen="127.0.0.1:9464")))
