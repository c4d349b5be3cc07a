"""Checks of sources: the cause that each reports, and the time that they take."""

import time
from pathlib import Path

import pytest
from tests.support import cameras
from typer.testing import CliRunner

from onlooker.cli.commands import app
from onlooker.config.schema import SourceConfig
from onlooker.media import check_source
from onlooker.media.check_source import MAX_TIMEOUTS, check_sources


def test_each_source_has_its_cause(tmp_path: Path) -> None:
    with cameras.Rtsp("well", password="geheim") as door, cameras.Http("stall") as still:
        sources = {
            "door": SourceConfig(url=door.url),
            "wrong": SourceConfig(url=door.url.replace("geheim", "falsch")),
            "still": SourceConfig(url=still.url),
            "nobody": SourceConfig(url="http://127.0.0.1:9/video", timeout=1),
            "device": SourceConfig(url="/dev/video99"),
            "video": SourceConfig(url=str(tmp_path / "gone.mp4")),
            "pictures": SourceConfig(url=str(tmp_path / "*.jpg")),
            "pattern": SourceConfig(url="test://moving"),
        }
        found = check_sources(sources)
    assert found["door"] is found["still"] is found["pattern"] is None
    assert "the user name or password is wrong" in (found["wrong"] or "")
    assert "falsch" not in (found["wrong"] or "")
    assert found["nobody"] == "http://127.0.0.1:9/...: Connection refused"
    assert found["device"] == "/dev/video99: No such file or directory"
    assert found["video"] == f"{tmp_path / 'gone.mp4'}: No such file or directory"
    assert "no image found" in (found["pictures"] or "")


def test_sources_are_checked_at_once() -> None:
    with cameras.Camera("well") as silent:
        silent.serve = lambda peer: silent.hang()  # type: ignore[method-assign]
        url = f"http://127.0.0.1:{silent.port}/video"
        began = time.monotonic()
        found = check_sources(
            {str(number): SourceConfig(url=url, timeout=0.5) for number in range(8)}
        )
    assert time.monotonic() - began < MAX_TIMEOUTS * 0.5 + 2
    assert all(cause and "no data for 0.5 s" in cause for cause in found.values())


def test_a_defect_is_not_reported_as_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, source: SourceConfig) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(check_source, "check_source", fail)
    found = check_sources({"door": SourceConfig(url="rtsp://a:b@door/1", timeout=0.1)})
    assert found == {"door": "rtsp://door/...: RuntimeError: broken"}


def test_a_configuration_is_checked_with_its_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "onlooker.toml"
    path.write_text('[streams.door]\nurl = "gone.mp4"\n[streams.yard]\nurl = "test://moving"\n')
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["config", "check", str(path)])
    assert done.exit_code == 1
    assert "error: [streams.door] gone.mp4: No such file or directory" in done.stderr
    assert "yard" not in done.stderr
    done = CliRunner().invoke(app, ["config", "check", "--no-sources", str(path)])
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[runtime]\nprovider = "cuda"\n', "has no cuda provider"),
        ('[publish]\nendpoint = "tcp://*:5560"\n', "could read the records"),
    ],
)
def test_a_configuration_that_would_not_run_is_not_fine(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "onlooker.toml"
    path.write_text(text)
    done = CliRunner().invoke(app, ["config", "check", str(path)])
    assert done.exit_code == 1
    assert says in str(done.exception)
