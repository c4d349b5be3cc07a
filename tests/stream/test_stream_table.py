"""Streams beside the configuration: what is added, changed, paused and kept, and by whom."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from onlooker.config.schema import SourceConfig
from onlooker.stream.stream_table import (
    StreamExists,
    StreamNotFound,
    StreamTable,
    StreamTableError,
)

DOOR = SourceConfig(url="rtsp://user:secret@10.0.0.7/1", fps=5, policy="live")
YARD = SourceConfig(url="test://moving")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "streams.db"


def test_streams_are_added_changed_and_removed(path: Path) -> None:
    with StreamTable(path) as table:
        table.add("door", DOOR)
        table.add("yard", YARD, taken={"cellar"})
        assert table.added() == {"door": DOOR, "yard": YARD}
        table.change("door", YARD)
        table.remove("yard")
        with pytest.raises(StreamExists, match="'door' already; choose another name"):
            table.add("door", DOOR)
        with pytest.raises(StreamExists, match="'cellar'"):
            table.add("cellar", DOOR, taken={"cellar"})
        with pytest.raises(StreamNotFound, match="changed there"):
            table.remove("yard")
        with pytest.raises(StreamNotFound, match="changed there"):
            table.change("yard", DOOR)
    with StreamTable(path) as table:
        assert table.added() == {"door": YARD}


def test_a_stream_is_paused_until_it_is_resumed(path: Path) -> None:
    with StreamTable(path) as table:
        table.add("door", DOOR)
        for name in ("door", "of the file", "door"):
            table.pause(name)
        assert table.paused() == {"door", "of the file"}
        table.resume("of the file")
        table.remove("door")
        assert table.paused() == set()


def test_every_change_and_nothing_else_has_a_new_revision(path: Path) -> None:
    with StreamTable(path) as table, StreamTable(path) as other:
        seen = [table.revision]
        changes: list[Callable[[], None]] = [
            lambda: other.add("door", DOOR),
            lambda: other.pause("door"),
            lambda: other.resume("door"),
            lambda: other.change("door", YARD),
            lambda: other.remove("door"),
        ]
        for change in changes:
            change()
            seen.append(table.revision)
        assert seen == sorted(set(seen))
        other.write_troubles({"door": "no answer"})
        with pytest.raises(StreamNotFound):
            other.remove("door")
        assert table.revision == seen[-1]
        assert table.troubles() == {"door": "no answer"}
        other.write_troubles({})
        assert table.troubles() == {}


def test_the_secret_is_kept_and_differs_by_table(path: Path, tmp_path: Path) -> None:
    with StreamTable(path) as table, StreamTable(path) as same:
        assert table.secret == same.secret
        assert len(table.secret) == 32
    with StreamTable(path) as later, StreamTable(tmp_path / "other.db") as other:
        assert later.secret == same_secret(path) != other.secret


def same_secret(path: Path) -> bytes:
    with StreamTable(path) as table:
        return table.secret


def test_nobody_else_can_read_the_passwords(path: Path) -> None:
    with StreamTable(path) as table:
        table.add("door", DOOR)
        modes = {
            file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("streams.db*")
        }
    assert set(modes.values()) == {0o600}, modes


def test_only_one_process_runs_the_streams(path: Path) -> None:
    with StreamTable(path) as table, StreamTable(path) as other:
        assert not other.has_runner
        with table.runner() as ours:
            assert ours
            assert other.has_runner
            with other.runner() as theirs:
                assert not theirs
        assert not other.has_runner
        with other.runner() as theirs:
            assert theirs


def test_the_lock_of_a_process_that_is_killed_is_free(path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from onlooker.stream.stream_table import StreamTable\n"
        "with StreamTable(Path(sys.argv[1])) as table, table.runner() as ours:\n"
        "    print(ours, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with StreamTable(path) as table:
            assert table.has_runner
            process.kill()
            process.wait()
            assert not table.has_runner


def test_threads_and_processes_change_it_together(path: Path) -> None:
    tables = [StreamTable(path) for _ in range(2)]

    def add(number: int) -> None:
        for each in range(10):
            tables[number % 2].add(f"s{number}-{each}", YARD)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tables[0].added()) == 40
    for table in tables:
        table.close()


def test_a_table_may_be_made_by_several_at_once(path: Path) -> None:
    made: list[StreamTable] = []
    threads = [threading.Thread(target=lambda: made.append(StreamTable(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({table.secret for table in made}) == 1
    assert len(made) == 8
    for table in made:
        table.close()


def test_another_file_is_left_alone(path: Path, tmp_path: Path) -> None:
    path.write_text("my notes")
    with pytest.raises(StreamTableError, match="is not a table of streams"):
        StreamTable(path)
    assert path.read_text() == "my notes"
    other = tmp_path / "other.db"
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE notes (text)")
    database.close()
    with pytest.raises(StreamTableError, match="not a table of streams"):
        StreamTable(other)
    with pytest.raises(StreamTableError, match="cannot be kept"):
        StreamTable(tmp_path / "missing" / "streams.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StreamTableError, match="is a folder"):
        StreamTable(tmp_path / "folder")
