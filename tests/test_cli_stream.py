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

ONLOOKER = [sys.executable, "-c", "from onlooker.cli import main; main()"]
CONFIG = """
[faces]
look = false
[text]
look = false
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


def status(folder: Path) -> str:
    done = subprocess.run(
        [*ONLOOKER, "status", "--once"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout + done.stderr


def test_status_tells_the_runs_apart(tmp_path: Path) -> None:
    with running(tmp_path, "door") as door, running(tmp_path, "yard") as yard:
        until = time.monotonic() + 60
        seen = re.compile(r"│ (door|yard) +│ +\S+ │ +\d+ │ +[1-9]\d* │")
        while {"door", "yard"} - set(seen.findall(said := status(tmp_path))):
            assert door.poll() is None
            assert yard.poll() is None
            assert time.monotonic() < until, said
        for name, process in (("door", door), ("yard", yard)):
            below = said[said.index(f"process {process.pid}, log {tmp_path}/{name}/r.db") :]
            assert seen.findall(below)[0] == name
        door.send_signal(signal.SIGTERM)
        out, err = door.communicate(timeout=60)
        assert door.returncode in (0, 128 + signal.SIGTERM), err
        assert seen.findall(out) == ["door"]
