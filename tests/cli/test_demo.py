"""`onlooker demo`: a folder of its own."""

import os
from pathlib import Path

import pytest
from tests.support.commands import onlooker

from onlooker.cli.demo import own_folder
from onlooker.config.schema import SourceConfig
from onlooker.durable_file import FileLock
from onlooker.stream import stream_table
from onlooker.stream.stream_table import StreamTable


def test_the_demo_leaves_a_folder_with_other_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "faces.db").write_text("mine")
    done = onlooker("demo", "--folder", str(folder), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: {folder}: the demo did not make it; name another --folder\n"
    assert [path.name for path in folder.iterdir()] == ["faces.db"]
    assert (folder / "faces.db").read_text() == "mine"


def test_an_empty_folder_does_not_become_the_demos(tmp_path: Path) -> None:
    """The user's own records.db may be in it by the next demo."""
    done = onlooker("demo", "--folder", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: .: the demo did not make it; name another --folder\n"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = onlooker("demo", "--folder", "file/demo", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: file/demo: Not a directory; name another with --folder\n"


def test_a_folder_in_which_another_demo_works_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "records.db").write_text("the other demo's")
    with FileLock(folder / ".onlooker-demo"):
        done = onlooker("demo", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: demo: another demo is at work in it; stop that one, or name another --folder\n"
    )
    assert (folder / "records.db").read_text() == "the other demo's"


def test_the_demo_starts_over_in_a_data_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "mine"))
    folder = tmp_path / "demo"
    with own_folder(folder):
        assert os.environ["ONLOOKER_DATA"] == str(folder)
        with StreamTable(stream_table.default_path()) as table:
            table.add("door", SourceConfig(url="test://moving"))
        assert table.path == folder / "streams.db"
        (folder / "video.mp4").touch()
    assert os.environ["ONLOOKER_DATA"] == str(tmp_path / "mine")
    monkeypatch.delenv("ONLOOKER_DATA")
    with own_folder(folder), StreamTable(stream_table.default_path()) as table:
        assert not table.added()
        assert (folder / "video.mp4").exists(), "the examples of the README use it"
    assert "ONLOOKER_DATA" not in os.environ
    assert not (tmp_path / "mine").exists()
