"""The journal of people as a file."""

import sqlite3
import threading
from pathlib import Path

import pytest

from onlooker.file_format import FileFormat
from onlooker.identity.errors import StoreError
from onlooker.identity.people.journal import Journal
from onlooker.identity.people.person_changes import Visitor

VISITOR = Visitor(
    appearance="a", stream="door", start=1.0, end=2.0, frames=9, clarity=50.0, vector=b"secret"
)


def test_the_vector_is_not_in_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "people.db") as journal, journal.transaction():
        journal.add(VISITOR, None)
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())


def test_another_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (a)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a journal of people"):
        Journal(path)
    assert path.read_bytes() == before
    (tmp_path / "text").write_text("a text " * 200)
    with pytest.raises(StoreError, match="text"):
        Journal(tmp_path / "text")


def test_another_process_that_makes_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite waits for no lock when a file's journal mode is set."""
    path = tmp_path / "people.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    release = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    is_new = FileFormat.is_new

    def locked_since(self: FileFormat, database: sqlite3.Connection) -> bool:
        found = is_new(self, database)
        if not release.is_alive() and not release.finished.is_set():
            other.execute("BEGIN IMMEDIATE")
            release.start()
        return found

    monkeypatch.setattr(FileFormat, "is_new", locked_since)
    with Journal(path) as journal:
        assert journal.last_change() == 0
    release.join()
    other.close()
