"""The journal of people in PostgreSQL, whose server goes and comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import postgres

from onlooker.identity.errors import StoreUnreachable
from onlooker.identity.people.journal import Journal
from onlooker.identity.people.person_changes import Change
from onlooker.identity.store import Store


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    url = postgres.database()
    Store(tmp_path / "faces.db", url).close()
    with Journal(tmp_path / "people.db", url) as opened:
        yield opened


def test_a_restart_between_two_calls_is_not_noticed(journal: Journal) -> None:
    with journal.transaction():
        journal.record(Change(kind="name", person="ada"))
    postgres.server().restart()
    assert journal.last_change() == 1
    postgres.server().restart()
    with journal.transaction():
        journal.record(Change(kind="name", person="bob"))
    assert journal.last_change() == 2


def test_a_transaction_whose_connection_dies_is_undone(journal: Journal) -> None:
    def change() -> None:
        with journal.transaction():
            journal.record(Change(kind="name", person="ada"))
            postgres.server().restart()
            journal.record(Change(kind="name", person="bob"))

    with pytest.raises(StoreUnreachable):
        change()
    assert journal.last_change() == 0
    with journal.transaction():
        journal.record(Change(kind="name", person="cid"))
    assert len(journal.changes(10)) == 1


def test_a_commit_whose_connection_dies_is_told(journal: Journal) -> None:
    def change() -> None:
        with journal.transaction():
            journal.record(Change(kind="name", person="ada"))
            postgres.server().restart()

    with pytest.raises(StoreUnreachable, match="it is not known whether the change was made"):
        change()
    assert journal.last_change() == 0
