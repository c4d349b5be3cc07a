"""The journal of people as a file."""

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from onlooker.identity.errors import StoreError
from onlooker.identity.people.journal import Journal
from onlooker.identity.people.person_changes import Change, Move, Visitor

VISITOR = Visitor(
    appearance="a", stream="door", start=1.0, end=2.0, frames=9, clarity=50.0, vector=b"secret"
)


def test_what_was_recorded_is_there_for_another_process(tmp_path: Path) -> None:
    with Journal(tmp_path / "people.db") as one, Journal(tmp_path / "people.db") as other:
        with one.transaction():
            one.add(VISITOR, "f")
            one.record(Change(kind="join", person="p", moves=(Move("a", "f", None, "p"),)))
            one.give("a", "p")
            one.set_position("log", 7)
        assert other.person_of("a") == "p"
        assert other.face_of("a") == "f"
        assert [each.appearance for each in other.visitors("p")] == ["a"]
        assert other.position("log") == 7
        [(number, change, undone)] = other.pending()
        assert (number, change.person, undone) == (1, "p", False)


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "people.db") as journal:

        def add_and_fail() -> None:
            with journal.transaction():
                journal.add(VISITOR, None)
                raise LookupError

        with pytest.raises(LookupError):
            add_and_fail()
        assert not journal.knows("a")


def test_the_vector_is_not_in_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "people.db") as journal, journal.transaction():
        journal.add(VISITOR, None)
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())


def test_ids_stand_for_others_along_any_number_of_steps(tmp_path: Path) -> None:
    with Journal(tmp_path / "people.db") as journal:
        with journal.transaction():
            for number, (person, target) in enumerate([("a", "b"), ("b", "c"), ("x", "y")]):
                journal.redirect(person, target, number)
            journal.redirect("y", "x", 9)  # a circle, which undoing and merging again can make
        assert [journal.resolve(each) for each in "abcd"] == ["c", "c", "c", "d"]
        assert journal.resolve("x") in "xy"
        with journal.transaction():
            journal.remove_redirects(1)
        assert journal.resolve("a") == "b"


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


def test_the_last_appearances_and_the_last_change(tmp_path: Path) -> None:
    with Journal(tmp_path / "people.db") as journal:
        assert journal.last_change() == 0
        with journal.transaction():
            for photo in range(4):
                visitor = replace(VISITOR, appearance=f"a-1-{photo}", end=float(photo))
                journal.add(visitor, None)
                journal.give(f"a-1-{photo}", "ada")
            journal.record(Change(kind="name", person="ada"))
        assert journal.last_appearances("ada", 2) == ["a-1-3", "a-1-2"]
        assert journal.last_appearances("bert", 2) == []
        assert journal.last_change() == 1
