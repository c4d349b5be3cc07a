"""`onlooker demo`: a folder of its own."""

from pathlib import Path

from tests.support.commands import onlooker


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
