"""`onlooker migrate` on files of older, newer and other kinds."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from tests.support import people
from typer.testing import CliRunner

from onlooker.api.usage import Usage
from onlooker.cli import migrate as migrate_command
from onlooker.cli.commands import app
from onlooker.durable_file import FileLock
from onlooker.errors import OnlookerError
from onlooker.file_format import FileFormat, statements
from onlooker.identity.people import journal, journal_file
from onlooker.identity.store import Store
from onlooker.record.log import schema
from onlooker.record.log.reader import Log
from onlooker.stream import stream_table
from onlooker.stream.stream_table import StreamTable

TESTS = Path(__file__).parent.parent
OLD_STORE = (TESTS / "identity" / "formats" / "2.sql").read_text("utf-8")
OLD_LOG = (TESTS / "record" / "log" / "formats" / "4.sql").read_text("utf-8")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of data of a user with a configuration."""
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    (tmp_path / "onlooker.toml").touch()
    return tmp_path


def migrate(*options: str) -> list[str]:
    done = CliRunner().invoke(app, ["migrate", *options], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output.splitlines()


def make(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_a_dry_run_tells_and_changes_nothing(data: Path) -> None:
    make(data / "faces.db", OLD_STORE)
    make(data / "records.db", OLD_LOG)
    before = contents(data)
    configuration, store, log = migrate("--dry-run")
    assert configuration == f"{data}/onlooker.toml: can be used"
    assert store == (
        f"{data}/faces.db: a store of collections, format 2: would be copied, and brought to "
        "format 3"
    )
    assert "a log of records, format 4: would be copied" in log
    assert contents(data) == before


def test_older_files_are_copied_and_then_changed(data: Path) -> None:
    make(data / "faces.db", OLD_STORE)
    make(data / "records.db", OLD_LOG)
    make(data / "replay.db", OLD_LOG)
    _, *lines = migrate("--log", str(data / "replay.db"))
    assert len(lines) == 3
    for name, old, new in (("faces.db", 2, 3), ("records.db", 4, 6), ("replay.db", 4, 6)):
        [copy] = data.glob(f"{name}.2*")
        assert (version(copy), version(data / name)) == (old, new)
        assert any(line.endswith(f"format {new}; the old one is {copy}") for line in lines)
    with Store(data / "faces.db") as store, Log(data / "records.db") as log:
        assert store.collection("staff").faces == 2
        assert log.check() == []
    assert all(line.endswith(": up to date") for line in migrate()[1:])
    assert len(list(data.glob("*.db.2*"))) == 3


def test_a_step_that_a_later_version_brings(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    person = people.join(data, people.visitor(1, 0))
    step = statements({1: "ALTER TABLE hidden ADD COLUMN since REAL NOT NULL DEFAULT 0"})
    later = FileFormat(journal_file.FILE.kind, journal_file.FILE.application_id, 2, step)
    monkeypatch.setattr(journal_file, "FILE", later)
    assert "people.db: a journal of people, format 1: would be" in migrate("--dry-run")[2]
    migrate()
    [copy] = data.glob("people.db.2*")
    assert (version(copy), version(data / "people.db")) == (1, 2)
    with journal.Journal(data / "people.db") as opened:
        assert opened.person_of(people.visit(1, 0)) == person[0]


def test_a_newer_file_is_refused_and_all_others_are_left(data: Path) -> None:
    make(data / "faces.db", OLD_STORE)
    make(data / "records.db", OLD_LOG)
    make(data / "records.db", f"PRAGMA user_version = {schema.FORMAT + 1}")
    before = contents(data)
    with pytest.raises(OnlookerError, match="made by a newer Onlooker") as told:
        migrate()
    assert "records.db" in str(told.value)
    assert "install the newer Onlooker, or restore a backup" in str(told.value)
    assert str(told.value).endswith("; nothing was changed")
    assert contents(data) == before


def test_what_is_no_database_of_ours(data: Path) -> None:
    (data / "faces.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(OnlookerError, match=r"faces\.db: file is not a database"):
        migrate("--dry-run")
    (data / "faces.db").unlink()
    make(data / "streams.db", "CREATE TABLE mine (a)")
    with pytest.raises(OnlookerError, match=r"streams\.db: not a table of streams"):
        migrate()


def test_a_wrong_setting_and_a_missing_log_are_told_first(data: Path) -> None:
    with pytest.raises(OnlookerError, match="no such file; name a log"):
        migrate("--log", str(data / "none.db"))
    (data / "onlooker.toml").write_text("[pipeline]\nworker = 2\n")
    with pytest.raises(OnlookerError, match="worker"):
        migrate()


def test_a_copy_can_be_read_by_those_who_could_read_the_file(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StreamTable(data / "streams.db").close()
    with Usage(data / "faces.db") as usage:
        usage.count("DetectFaces")
    later = FileFormat("a table of streams", stream_table.APPLICATION_ID, 2, statements({}))
    monkeypatch.setattr(stream_table, "FILE", later)
    migrate()
    [copy] = data.glob("streams.db.2*")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_file_that_is_given_twice_is_changed_once(data: Path) -> None:
    make(data / "records.db", OLD_LOG)
    (data / "other").symlink_to(data)
    again = ("--log", str(data / "records.db"), "--log", str(data / "other" / "records.db"))
    _, *lines = migrate(*again)
    assert len(lines) == 1
    assert len(list(data.glob("records.db.2*"))) == 1


@pytest.mark.parametrize(
    ("name", "old", "lock"),
    [("faces.db", OLD_STORE, "faces.db.lock"), ("records.db", OLD_LOG, "records.db-writer")],
)
def test_a_file_that_a_program_uses_is_not_even_copied(
    data: Path, name: str, old: str, lock: str
) -> None:
    make(data / name, old)
    with FileLock(data / lock, shared=name == "faces.db"):
        before = contents(data)
        with pytest.raises(OnlookerError, match=r"stop .*first"):
            migrate()
        assert contents(data) == before
    migrate()
    assert len(list(data.glob(f"{name}.2*"))) == 1


@pytest.mark.parametrize(("name", "old"), [("faces.db", OLD_STORE), ("records.db", OLD_LOG)])
def test_nobody_writes_between_the_copy_and_the_change(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str, old: str
) -> None:
    """What somebody wrote there would be lost to those who go back to the copy."""
    make(data / name, old)
    copied, attempts = migrate_command._copy, []

    def copy(path: Path) -> Path:
        found = copied(path)
        attempts.append(path)
        other = sqlite3.connect(path, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("CREATE TABLE late (a)")
        other.close()
        return found

    monkeypatch.setattr(migrate_command, "_copy", copy)
    migrate()
    assert attempts == [data / name]
