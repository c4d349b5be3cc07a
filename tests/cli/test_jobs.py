"""`onlooker jobs`, as a user has it."""

import json
from pathlib import Path

import pytest
from tests.support.stored_videos import started, store
from typer.testing import CliRunner

from onlooker.cli import terminal
from onlooker.cli.commands import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    monkeypatch.setattr(terminal.plain, "width", 200)  # it was made with the width of then
    (tmp_path / "onlooker.toml").write_text("[jobs]\n")
    return tmp_path


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["jobs", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_list_show_and_cancel(folder: Path) -> None:
    with store(folder) as jobs:
        first, second = started(jobs), started(jobs, "TextDetection", tag="t")
        jobs.begin(first.id)
        jobs.advance(first.id, 0.423, 7)
    rows = [line for line in run("list").splitlines() if "films/short.mp4" in line]
    assert "TextDetection" in rows[0]
    assert "42%" in rows[1]
    assert first.id[:12] in rows[1]
    assert len([line for line in run("list", "--limit", "1").splitlines() if "films" in line]) == 1
    shown = json.loads(run("show", first.id[:10]))
    assert (shown["id"], shown["frames"], shown["state"]) == (first.id, 7, "IN_PROGRESS")
    assert shown["request"] == {"kind": "FaceDetection", "bucket": "films", "name": "short.mp4"}
    assert shown["seconds"] >= 0
    assert json.loads(run("show", second.id))["seconds"] is None
    assert "is cancelled" in run("cancel", first.id[:10])
    assert "has ended already: FAILED" in run("cancel", first.id)
    assert "cancelled" in json.loads(run("show", first.id))["message"]


def test_what_is_not_there(folder: Path) -> None:
    done = CliRunner().invoke(app, ["jobs", "list"])
    assert "write a section [jobs]" in str(done.exception)
    assert not (folder / "jobs").exists()
    with store(folder) as jobs:
        started(jobs)
        started(jobs)
    for beginning, says in (("x", "no job begins with 'x'"), ("", "2 jobs begin with ''")):
        done = CliRunner().invoke(app, ["jobs", "show", beginning])
        assert says in str(done.exception)
