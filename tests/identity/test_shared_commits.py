"""Threads that write at the same time, into a file; PostgreSQL's are in its own tests."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.garbage import none_left
from tests.support.stores import face as new
from tests.support.writing import Group, committing, insert, limit, numbers, writer

from onlooker.identity.database import Database
from onlooker.identity.errors import (
    CollectionNotFound,
    StoreError,
    StoreFull,
)
from onlooker.identity.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "faces.db") as opened:
        yield opened


class TestWriting:
    def test_a_change_is_made_wholly_or_not_at_all(self, database: Database) -> None:
        def change(each: sqlite3.Connection) -> None:
            insert(each, 1)
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            database.write(change)
        assert numbers(database) == []
        assert database.write(lambda each: insert(each, 2)) == 2
        assert numbers(database) == [2]

    def test_a_failed_change_does_not_wait_for_the_garbage_collector(
        self, database: Database
    ) -> None:
        def change(each: sqlite3.Connection) -> None:
            raise CollectionNotFound("no")

        with none_left(Exception), suppress(CollectionNotFound):
            database.write(change)

    def test_a_change_that_fails_is_the_only_one_that_does(self, database: Database) -> None:
        group = Group(database, 8, insert)

        def lead(each: sqlite3.Connection) -> None:
            group.start()
            insert(each, 5)

        database.write(lead)
        group.join()
        assert isinstance(group.outcomes.pop(5), StoreError)
        assert group.outcomes == {n: n for n in range(8) if n != 5}
        assert numbers(database) == list(range(8))

    @pytest.mark.parametrize("interruption", [SystemExit, KeyboardInterrupt])
    def test_an_interrupted_thread_leaves_the_changes_of_others_to_them(
        self, database: Database, interruption: type[BaseException]
    ) -> None:
        """A signal handler raises in the thread that carries out the changes of all."""
        interrupted = threading.Event()

        def change(each: sqlite3.Connection, number: int) -> int:
            if number == 3 and not interrupted.is_set():
                interrupted.set()
                raise interruption
            return insert(each, number)

        group = Group(database, 6, change)
        database.write(lambda _: group.start())  # so that they all wait for one commit
        group.join()
        [victim] = [n for n, outcome in group.outcomes.items() if type(outcome) is interruption]
        left = [n for n in range(6) if n != victim]
        assert numbers(database) == left
        assert [group.outcomes[n] for n in left] == left
        database.write(lambda each: insert(each, 7))
        assert 7 in numbers(database)

    def test_an_interruption_after_the_commit_repeats_nothing(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Interrupted:
            """A connection whose second commit returns into a signal handler."""

            def __init__(self, real: sqlite3.Connection) -> None:
                self.real = real
                self.commits = 0

            def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
                cursor = self.real.execute(statement, values)
                self.commits += statement == "COMMIT"
                if self.commits == 2:
                    monkeypatch.undo()
                    raise SystemExit
                return cursor

            def __getattr__(self, name: str) -> object:
                return getattr(self.real, name)

        group = Group(database, 4, insert)

        def lead(_: sqlite3.Connection) -> None:
            group.start()
            monkeypatch.setattr(database, "_writer", Interrupted(database._writer))

        database.write(lead)
        group.join()
        assert numbers(database) == list(range(4))
        [victim] = [n for n, outcome in group.outcomes.items() if isinstance(outcome, SystemExit)]
        assert all(group.outcomes[n] == n for n in range(4) if n != victim)


class TestSharedCommits:
    def test_threads_share_commits(self, store: Store) -> None:
        """An error of one change does not affect the others."""
        store.make_collection("staff", "m")
        commits = 0

        def count(statement: str) -> None:
            nonlocal commits
            commits += statement == "COMMIT"

        writer(store).set_trace_callback(count)
        ready = threading.Barrier(16)
        failed = []

        def index(number: int) -> None:
            ready.wait(30)
            for turn in range(20):
                store.add("staff", [new(number, f"{number}.{turn}")])
                try:
                    store.add("nobody", [new(number)])
                except CollectionNotFound:
                    failed.append(number)

        threads = [threading.Thread(target=index, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.faces("staff").faces) == store.collection("staff").faces == 320
        assert len(failed) == 320
        assert commits < 500  # of 640

    def test_a_full_disk_fails_only_the_large_change(self, store: Store) -> None:
        store.make_collection("staff", "m")
        limit(store, 2)
        outcomes: dict[str, str] = {}

        def index(name: str, count: int) -> None:
            try:
                store.add("staff", [new(seed) for seed in range(count)])
                outcomes[name] = "added"
            except StoreFull:
                outcomes[name] = "full"

        threads = [
            threading.Thread(target=index, args=("big", 2000)),
            threading.Thread(target=index, args=("small", 1)),
        ]
        with committing(store):  # so that both wait for the same commit
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == {"big": "full", "small": "added"}
        assert store.collection("staff").faces == 1
