import errno
import shutil
import tempfile
from pathlib import Path

import pytest

from onlooker.config.schema import Config, Faces, SourceConfig
from onlooker.durable_file import FileLock
from onlooker.stream import run_directory
from onlooker.stream.feeds import Feed
from onlooker.stream.messages import Counts, StreamStatus
from onlooker.stream.outputs import Outputs
from onlooker.stream.run_directory import DirectoryError, Plan
from onlooker.stream.stage import Stage, maker, row
from onlooker.stream.stages import STAGES


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan(
        parent=12,
        hub="ipc://hub",
        config=Config(faces=Faces(size=320)),
        store=tmp_path / "faces.db",
        stages=tuple(row(stage, Config()) for stage in STAGES),
    )
    run_directory.write(tmp_path, plan)
    assert run_directory.read(tmp_path) == plan


def test_a_feed_is_read_as_it_was_written(tmp_path: Path) -> None:
    source = SourceConfig(url="rtsp://door/1", region=(0.0, 0.25, 1.0, 0.5), fps=5)
    outputs = Outputs(records=tmp_path / "r.jsonl", publish="tcp://127.0.0.1:5555")
    feed = Feed(
        stream="Größe",
        source=source,
        outputs=outputs,
        number=4,
        digest="d",
        start=3,
        width=4,
        height=2,
    )
    run_directory.write_feed(tmp_path, feed)
    assert run_directory.read_feed(tmp_path, 4) == feed
    assert run_directory.read_feeds(tmp_path) == [feed]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_is_found_by_its_row(stage: Stage) -> None:
    assert maker(row(stage, Config())) is stage.make


def test_a_directory_goes_with_its_run() -> None:
    with run_directory.directory(0) as run:
        (run / "ring").write_bytes(b"x")
        assert run.stat().st_mode & 0o777 == 0o700
    assert not run.exists()


def test_a_run_that_needs_more_than_there_is_memory_goes_to_the_disk_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with run_directory.directory(0):
        assert caplog.messages == []
    with run_directory.directory(1 << 60) as run:
        assert run.parent == tmp_path
    [said] = caplog.messages
    assert "/dev/shm has" in said
    assert "--shm-size=" in said


def test_only_directories_that_no_process_holds_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "MEMORY", tmp_path)
    for name in ("1-left", "2-used", "3-half"):
        (tmp_path / f"{run_directory.PREFIX}{name}").mkdir()
    (tmp_path / f"{run_directory.PREFIX}1-left" / "lock").touch()
    other = tmp_path / "onlooker-metrics-1"
    other.mkdir()
    with FileLock(tmp_path / f"{run_directory.PREFIX}2-used" / "lock"), run_directory.directory(0):
        names = {path.name.removeprefix(run_directory.PREFIX) for path in tmp_path.iterdir()}
    assert "2-used" in names
    assert not {"1-left", "3-half"} & names
    assert other.is_dir(), "it is no run's"


def test_another_process_cannot_remove_a_directory_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes what it can at the worst moment: when the lock's file is there, not yet locked."""
    monkeypatch.setattr(run_directory, "MEMORY", tmp_path)
    real = FileLock.change

    def change(self: FileLock, *, shared: bool, wait: bool = True) -> None:
        run_directory._sweep(tmp_path)
        real(self, shared=shared, wait=wait)

    monkeypatch.setattr(FileLock, "change", change)
    with run_directory.directory(0) as run:
        assert (run / "lock").exists()
        assert run_directory.runs() == [run]


def test_a_run_that_ends_while_runs_are_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "MEMORY", tmp_path)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    def locked_and_gone(path: Path) -> bool:
        shutil.rmtree(path.parent)
        return True

    with run_directory.directory(0):
        monkeypatch.setattr(run_directory, "is_locked", locked_and_gone)
        assert run_directory.runs() == []


def test_a_path_too_long_for_a_socket_is_an_error_at_once() -> None:
    with pytest.raises(DirectoryError, match="TMPDIR"):
        run_directory.endpoint(Path("/" + "x" * 120))


def test_memory_that_cannot_be_written_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = tempfile.mkdtemp

    def refuse(*, prefix: str, dir: Path) -> str:
        if dir == run_directory.MEMORY:
            raise OSError(errno.EROFS, "Read-only file system")
        return made(prefix=prefix, dir=dir)

    monkeypatch.setattr(run_directory, "MEMORY", tmp_path)
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with run_directory.directory(1) as run:
        assert run.parent == Path(tempfile.gettempdir())
    assert "Read-only file system" in caplog.text
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    with (
        pytest.raises(DirectoryError, match="Read-only file system; set TMPDIR to a folder"),
        run_directory.directory(1),
    ):
        pass


def test_streams_that_have_finished_are_written_down(tmp_path: Path) -> None:
    assert run_directory.read_finished(tmp_path) == ()
    streams = (
        StreamStatus("door", Counts(received=3, done=3), "source-1.1", 0, 3, True, None, 0.5),
    )
    run_directory.write_finished(tmp_path, streams)
    assert run_directory.read_finished(tmp_path) == streams


def test_names_that_are_not_utf8_come_back(tmp_path: Path) -> None:
    feed = Feed(stream="door", source=SourceConfig(url="caf\udce9.mp4"), number=2)
    run_directory.write_feed(tmp_path, feed)
    assert run_directory.read_feed(tmp_path, 2) == feed
