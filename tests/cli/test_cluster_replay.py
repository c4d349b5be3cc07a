"""`onlooker replay --cluster`: what it prints, refuses, and how it ends."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from onlooker.cli import cluster_replay
from onlooker.cli.commands import app
from onlooker.stream import ray_replay
from onlooker.stream.errors import RunError
from onlooker.stream.ray_replay import Progress


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """The calls of the replay, whose second video fails."""
    found: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster_replay, "pull_models", lambda _: None)

    def replay(videos, settings, folder, cluster, show, store):  # type: ignore[no-untyped-def]
        found.append((videos, folder, cluster))
        failed = {"b": "b.mp4: damaged"} if len(videos) > 1 else {}
        progress = Progress(len(videos), done=["a"], failed=failed)
        show(progress)
        return progress

    monkeypatch.setattr(ray_replay, "replay_on_cluster", replay)
    return found


def test_failed_videos_are_listed(asked: list[Any]) -> None:
    shown = CliRunner().invoke(app, ["replay", "a.mp4", "b.mp4", "--cluster", "local"])
    assert asked == [([Path("a.mp4"), Path("b.mp4")], Path("records"), "local")]
    assert "b failed: b.mp4: damaged" in shown.output
    assert isinstance(shown.exception, RunError)
    assert "1 of 2 videos failed" in str(shown.exception)


def test_a_replay_that_has_all_ends_well(asked: list[Any]) -> None:
    words = ["replay", "a.mp4", "--cluster", "ray://127.0.0.1:10001", "--out", "there"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert asked == [([Path("a.mp4")], Path("there"), "ray://127.0.0.1:10001")]


@pytest.mark.parametrize("more", [["--inline"], ["--log", "a.db"], ["--speed", "2x"]])
def test_options_of_one_machine_are_refused(more: list[str], asked: list[Any]) -> None:
    shown = CliRunner().invoke(app, ["replay", "a.mp4", "--cluster", "local", *more])
    assert shown.exit_code == 2
    assert asked == []
