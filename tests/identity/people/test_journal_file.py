"""The journal of people as a file."""

import sqlite3
from pathlib import Path

import pytest

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
