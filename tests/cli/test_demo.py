"""`onlooker demo`: a folder of its own."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.commands import environment, onlooker
from tests.support.console import Visitor
from tests.support.processes import wait_until


def test_the_demo_leaves_a_folder_with_other_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "faces.db").write_text("mine")
    done = onlooker("demo", "--folder", str(folder), cwd=tmp_path)
    assert done.returncode == 1
    assert "has files that are not the demo's" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["faces.db"]
    assert (folder / "faces.db").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = onlooker("demo", "--folder", "file/demo", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: file/demo: Not a directory; name another with --folder\n"


SHOW = """
from pathlib import Path
from msgspec.structs import replace
from onlooker.cli.demo import show
from onlooker.config.schema import Config, Faces, Text
from onlooker.stream.outputs import Outputs

settings = Config(faces=Faces(enabled=False), text=Text(enabled=False))
folder = Path.cwd()
outputs = Outputs(records=folder / "r.jsonl")
show("test://moving?frames=50&size=64x36", settings, outputs, folder / "f.db")
"""


def test_the_console_is_opened_in_the_users_browser(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path / "opened"}\n')
    browser.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-c", SHOW],
        cwd=tmp_path,
        env={**environment(tmp_path / "data"), "BROWSER": str(browser)},
    ) as process:
        try:
            opened = tmp_path / "opened"
            assert wait_until(lambda: opened.exists() and bool(opened.read_text().strip()), 60)
            url = opened.read_text().strip()
            visitor = Visitor(url)
            assert wait_until(lambda: "again" in visitor.get("/live").text, 60)
            assert wait_until(lambda: "ended" in visitor.get("/streams").text, 60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
