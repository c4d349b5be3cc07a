"""Files that are whole or not there, and locks."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from onlooker import durable_file
from onlooker.durable_file import (
    FileLock,
    Occupied,
    abandoned,
    claim,
    is_locked,
    replacing,
    write,
)


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(path, b"one")
    write(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as part:
            assert part.suffix == ".mp4"
            part.write_bytes(b"half")
            assert list(abandoned(tmp_path)) == [part]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_a_file_of_the_user_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"

    def write_too_late() -> None:
        with replacing(path, overwrite=False) as part:
            part.write_bytes(b"new")
            path.write_bytes(b"came meanwhile")

    with pytest.raises(FileExistsError):
        write_too_late()
    assert path.read_bytes() == b"came meanwhile"
    path.unlink()
    with replacing(path, overwrite=False) as part:
        part.write_bytes(b"new")
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "new"
    with replacing(path, overwrite=False) as part:
        part.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    with (
        pytest.raises(FileExistsError),
        replacing(path, overwrite=False) as part,
    ):
        part.write_bytes(b"other")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    done: list[tuple[str, bool]] = []
    real = durable_file.to_disk

    def to_disk(what: Path) -> None:
        done.append(("folder" if what == tmp_path else "file", path.exists()))
        real(what)

    monkeypatch.setattr(durable_file, "to_disk", to_disk)
    write(path, b"data")
    assert done == [("file", False), ("folder", True)]


def test_a_lock_excludes_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys; from pathlib import Path; from onlooker.durable_file import FileLock\n"
        f"FileLock(Path({str(path)!r}), wait=False)"
    )
    command = [sys.executable, "-c", script]
    with FileLock(path):
        assert is_locked(path)
        done = subprocess.run(command, capture_output=True, check=False)
        assert b"BlockingIOError" in done.stderr
    assert not is_locked(path)
    assert subprocess.run(command, check=False).returncode == 0


def test_shared_locks_go_together(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    one = FileLock(path, shared=True)
    with one, FileLock(path, shared=True), pytest.raises(BlockingIOError):
        one.change(shared=False, wait=False)
    with pytest.raises(FileNotFoundError):
        is_locked(tmp_path / "none")


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = FileLock(path)
    taken: list[FileLock] = []
    waiting = threading.Thread(target=lambda: taken.append(FileLock(path)))
    waiting.start()
    while waiting.is_alive():
        first.close(remove=True)
        waiting.join(1)
    assert is_locked(path), "it holds the file that others would find"
    taken[0].close(remove=True)
    assert not path.exists()


def test_a_folder_can_be_locked(tmp_path: Path) -> None:
    with FileLock(tmp_path), pytest.raises(BlockingIOError):
        FileLock(tmp_path, wait=False)


class TestClaim:
    """The one decision whether a name may be written to."""

    def test_a_free_name(self, tmp_path: Path) -> None:
        assert not claim(tmp_path / "new")
        assert list(tmp_path.iterdir()) == []

    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "notes"
        path.write_text("mine")
        (tmp_path / "link").symlink_to(path)
        for name in (path, tmp_path / "link"):
            with pytest.raises(Occupied, match="is there already; delete it, or name another file"):
                claim(name)
            with pytest.raises(Occupied, match="is not a diary; name another file"):
                claim(name, lambda file: file.read() != b"mine", "a diary")
            assert claim(name, lambda file: file.read() == b"mine")

    def test_what_is_no_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "dangling").symlink_to("nowhere")
        kinds = {
            tmp_path: "is a folder",
            tmp_path / "fifo": "is a FIFO",
            tmp_path / "dangling": "is a link that leads nowhere",
            Path("/dev/null"): "is a device",
        }
        for path, text in kinds.items():
            with pytest.raises(Occupied, match=text):
                claim(path, lambda _: True)
            with pytest.raises(Occupied, match=text):
                write(path, b"replaced")
            assert path.exists() or path.is_symlink()
        with pytest.raises(NotADirectoryError):
            claim(Path("/dev/null/x"))

    def test_parts_of_others_are_not_taken_for_ours(self, tmp_path: Path) -> None:
        for name in (".movie.mp4.part", ".partly", ".x.12345678.party", "x.0123abcd.part"):
            (tmp_path / name).touch()
        assert list(abandoned(tmp_path)) == []
