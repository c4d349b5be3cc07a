import fcntl
from pathlib import Path

import pytest

from onlooker.config.schema import Config, Faces, SourceConfig
from onlooker.stream import run_directory
from onlooker.stream.feeds import Feed
from onlooker.stream.outputs import Outputs
from onlooker.stream.run_directory import Plan
from onlooker.stream.stage import Stage, maker, row
from onlooker.stream.stages import STAGES


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan(
        parent=12,
        hub="ipc://hub",
        config=Config(faces=Faces(size=320)),
        store=tmp_path / "faces.db",
        stages=tuple(map(row, STAGES)),
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
    assert maker(row(stage)) is stage.make


def test_a_directory_goes_with_its_run() -> None:
    with run_directory.directory(0) as run:
        (run / "ring").write_bytes(b"x")
        assert run.stat().st_mode & 0o777 == 0o700
    assert not run.exists()


def test_a_run_that_needs_more_than_there_is_memory_goes_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with run_directory.directory(1 << 60) as run:
        assert run.parent == tmp_path


def test_only_what_nobody_uses_is_swept_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "MEMORY", tmp_path)
    for name in ("1-left", "2-used", "3-begun"):
        (tmp_path / f"{run_directory.PREFIX}{name}").mkdir()
    (tmp_path / f"{run_directory.PREFIX}1-left" / "lock").touch()
    with (tmp_path / f"{run_directory.PREFIX}2-used" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with run_directory.directory(0):
            names = {
                path.name.removeprefix(run_directory.PREFIX)[:6] for path in tmp_path.iterdir()
            }
    assert "2-used" in names
    assert "3-begu" in names
    assert "1-left" not in names


def test_a_path_too_long_for_a_socket_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="TMPDIR"):
        run_directory.endpoint(Path("/" + "x" * 120))


def test_rings_are_reckoned_by_the_largest_videos() -> None:
    source = SourceConfig(url="a.mp4")
    feeds = [Feed(stream="a", source=source, width=2, height=2 * n) for n in (1, 3, 2)]
    assert run_directory.ring_bytes(feeds, window=10, at_once=2) == 10 * (18 + 12)
