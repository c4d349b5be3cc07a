import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onlooker.identity.database import Database, exclusive
from onlooker.identity.errors import StoreClosed, StoreDamaged, StoreError, StoreLocked


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "faces.db")
    opened.write(lambda each: each.execute("CREATE TABLE numbers (number INTEGER UNIQUE)"))
    yield opened
    opened.close()


def numbers(database: Database) -> list[int]:
    return [number for (number,) in database.rows("SELECT number FROM numbers ORDER BY 1", ())]


def insert(database: sqlite3.Connection, number: int) -> int:
    database.execute("INSERT INTO numbers VALUES (?)", (number,))
    return number


class Group:
    """Threads that make `change` with their numbers at the same time, and the outcomes."""

    def __init__(
        self,
        database: Database,
        count: int,
        change: Callable[[sqlite3.Connection, int], int],
    ) -> None:
        self.outcomes: dict[int, object] = {}
        self._database = database
        self._change = change
        self._started = threading.Barrier(count + 1)
        self._threads = [
            threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        self._started.wait(30)
        time.sleep(0.1)  # until they wait for their turn

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads), "threads are stuck"

    def _write(self, number: int) -> None:
        self._started.wait(30)
        try:
            self.outcomes[number] = self._database.write(lambda each: self._change(each, number))
        except BaseException as error:
            self.outcomes[number] = error


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

    def test_threads_share_a_commit(self, database: Database) -> None:
        group = Group(database, 16, insert)
        statements: list[str] = []

        def lead(each: sqlite3.Connection) -> None:
            group.start()
            each.set_trace_callback(statements.append)

        database.write(lead)
        group.join()
        assert group.outcomes == {n: n for n in range(16)}
        assert statements.count("BEGIN IMMEDIATE") <= 8  # one, unless a thread comes late

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
            """A connection whose first commit returns into a signal handler."""

            def __init__(self, real: sqlite3.Connection) -> None:
                self.real = real

            def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
                cursor = self.real.execute(statement, values)
                if statement == "COMMIT":
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


class TestFile:
    def test_reading_shows_one_moment(self, database: Database) -> None:
        database.write(lambda each: insert(each, 1))
        with database.reading() as reader:
            before = reader.execute("SELECT count(*) FROM numbers").fetchone()
            database.write(lambda each: insert(each, 2))
            assert reader.execute("SELECT count(*) FROM numbers").fetchone() == before == (1,)
        assert numbers(database) == [1, 2]

    def test_an_exclusive_one_is_open_nowhere(self, database: Database) -> None:
        with pytest.raises(StoreLocked, match="a process has it open"), exclusive(database.path):
            pass
        database.close()
        with exclusive(database.path):
            pass

    def test_closed(self, database: Database) -> None:
        database.close()
        with pytest.raises(StoreClosed, match="was closed"):
            database.write(lambda each: None)
        with pytest.raises(StoreClosed, match="was closed"):
            database.rows("SELECT 1", ())

    def test_not_a_database(self, tmp_path: Path) -> None:
        (tmp_path / "text.db").write_text("these are letters" * 100)
        with pytest.raises(StoreDamaged, match="is not a face store"):
            Database(tmp_path / "text.db")
