"""The journal of people, as a file and in PostgreSQL."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support import postgres
from tests.support.stores import Place

from onlooker.identity.people.journal import Journal
from onlooker.identity.people.person_changes import Change, Move, Visitor
from onlooker.identity.store import Store

VISITOR = Visitor(
    appearance="a", stream="door", start=1.0, end=2.0, frames=9, clarity=50.0, vector=b"secret"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return path and URL of an empty journal of each kind."""
    if request.param == "sqlite":
        return tmp_path / "people.db", None
    url = postgres.database()
    Store(tmp_path / "faces.db", url).close()  # which makes the tables
    return tmp_path / "people.db", url


def test_what_was_recorded_is_there_for_another_process(place: Place) -> None:
    with Journal(*place) as one, Journal(*place) as other:
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


def test_a_failed_transaction_leaves_nothing(place: Place) -> None:
    with Journal(*place) as journal:

        def add_and_fail() -> None:
            with journal.transaction():
                journal.add(VISITOR, None)
                raise LookupError

        with pytest.raises(LookupError):
            add_and_fail()
        assert not journal.knows("a")


def test_ids_stand_for_others_along_any_number_of_steps(place: Place) -> None:
    with Journal(*place) as journal:
        with journal.transaction():
            for number, (person, target) in enumerate([("a", "b"), ("b", "c"), ("x", "y")]):
                journal.redirect(person, target, number)
            journal.redirect("y", "x", 9)  # a circle, which undoing and merging again can make
        assert [journal.resolve(each) for each in "abcd"] == ["c", "c", "c", "d"]
        assert journal.resolve("x") in "xy"
        with journal.transaction():
            journal.remove_redirects(1)
        assert journal.resolve("a") == "b"


def test_the_last_appearances_and_the_last_change(place: Place) -> None:
    with Journal(*place) as journal:
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


def test_a_forgotten_person_leaves_nothing(place: Place) -> None:
    """Nor do the ids that stood for it."""
    with Journal(*place) as journal:
        with journal.transaction():
            journal.add(VISITOR, "f")
            journal.give("a", "ada")
            journal.record(Change(kind="name", person="ada"))
            for number, (person, target) in enumerate([("u1", "u2"), ("u2", "ada")]):
                journal.redirect(person, target, number)
            for person in ("u1", "ada", "bert"):
                journal.recognise("a", f"r-{person}", person)
            journal.refuse([("a", "ada"), ("a", "ada"), ("a", "bert")], 1)
            journal.apply(1, Change(kind="hide", person="ada"), False)
        assert [row[0] for row in journal.people()] == ["ada"]
        with journal.transaction():
            assert journal.forget("ada") == 1
        assert journal.people() == []
        assert [journal.recognised("a", f"r-{each}") for each in ("u1", "ada", "bert")] == [
            None,
            None,
            ("bert",),
        ]
        assert journal.refused("ada") == set()
        assert journal.refused("bert") == set(), "the appearance is no more"
        assert [each.change.kind for each in journal.changes(9)] == ["forgotten"]


def test_a_log_has_its_own_position_on_each_machine(place: Place) -> None:
    with Journal(*place) as journal:
        name = journal.name_of(Path("log.db"))
        assert name.endswith(str(Path("log.db").resolve()))
        assert (name == str(Path("log.db").resolve())) == (place[1] is None)
        for position in (7, 9):
            with journal.transaction():
                journal.set_position(name, position)
            assert journal.position(name) == position
