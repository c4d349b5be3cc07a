"""Formats of files: marks, refusals, and upgrades that happen wholly or not at all."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from onlooker.file_format import FileFormat, FormatError, statements

STEPS = {1: "ALTER TABLE a ADD COLUMN y;\nUPDATE a SET y = x + 1", 2: "ALTER TABLE a ADD COLUMN z"}
KIND = FileFormat("a thing", 77, 3, statements(STEPS))


def file(path: Path, version: int = 1, owner: int = 77) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.executescript(
        f"CREATE TABLE a (x); INSERT INTO a VALUES (41);"
        f"PRAGMA application_id = {owner}; PRAGMA user_version = {version};"
    )
    return database


def test_every_step_is_made_in_turn(tmp_path: Path) -> None:
    with closing(file(tmp_path / "old.db")) as database:
        assert KIND.upgrade(database) == 1
        assert database.execute("SELECT x, y, z FROM a").fetchall() == [(41, 42, None)]
        assert KIND.found(database) == KIND.upgrade(database) == 3


def test_steps_before_the_format_found_are_left_out(tmp_path: Path) -> None:
    with closing(file(tmp_path / "old.db", 2)) as database:
        assert KIND.upgrade(database) == 2
        assert [name for _, name, *_ in database.execute("PRAGMA table_info(a)")] == ["x", "z"]


@pytest.mark.parametrize(
    ("version", "owner", "cause"),
    [
        (4, 77, "a thing of format 4, made by a newer Onlooker, and this one reads up to 3"),
        (1, 78, "not a thing; name another file"),
        (0, 77, "a thing without a format"),
    ],
)
def test_other_files_are_refused_and_left_alone(
    tmp_path: Path, version: int, owner: int, cause: str
) -> None:
    with closing(file(tmp_path / "other.db", version, owner)) as database:
        before = (tmp_path / "other.db").read_bytes()
        with pytest.raises(FormatError, match=cause):
            KIND.upgrade(database)
    assert (tmp_path / "other.db").read_bytes() == before


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    broken = FileFormat("a thing", 77, 3, statements({**STEPS, 2: "ALTER TABLE b ADD COLUMN z"}))
    with closing(file(tmp_path / "old.db")) as database:
        with pytest.raises(sqlite3.OperationalError, match="no such table: b"):
            broken.upgrade(database)
        assert KIND.found(database) == 1
        assert database.execute("SELECT * FROM a").fetchall() == [(41,)]


MADE = FileFormat("a thing", 77, 3, statements({}), "CREATE TABLE a (x);\nCREATE TABLE b (y);\n")


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)


def test_a_new_file_gets_its_tables_and_first_rows(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "new.db")) as database:
        MADE.open(database, 1.0, lambda made: made.execute("INSERT INTO a VALUES (1)"))
        assert MADE.found(database) == 3
        MADE.open(database, 1.0, lambda made: made.execute("INSERT INTO a VALUES (2)"))
        assert database.execute("SELECT x, y FROM a LEFT JOIN b").fetchall() == [(1, None)]
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_whose_first_rows_fail_stays_new(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "new.db")) as database:
        with pytest.raises(sqlite3.OperationalError, match="no such table: c"):
            MADE.make(database, lambda made: made.execute("INSERT INTO c VALUES (1)"))
        assert MADE.is_new(database)


def test_another_programs_file_gets_no_write_ahead_log(tmp_path: Path) -> None:
    with closing(file(tmp_path / "other.db", owner=78)) as database:
        before = (tmp_path / "other.db").read_bytes()
        with pytest.raises(FormatError, match="not a thing"):
            MADE.open(database, 1.0)
    assert (tmp_path / "other.db").read_bytes() == before


def test_of_processes_that_make_a_file_at_the_same_time_one_does(tmp_path: Path) -> None:
    barrier = threading.Barrier(6)
    failures: list[Exception] = []

    def make() -> None:
        with closing(opened(tmp_path / "new.db")) as database:
            barrier.wait()
            try:
                MADE.open(database, 60.0, lambda made: made.execute("INSERT INTO a VALUES (1)"))
            except sqlite3.Error as error:
                failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with closing(opened(tmp_path / "new.db")) as database:
        assert database.execute("SELECT x FROM a").fetchall() == [(1,)]


def test_of_processes_that_upgrade_at_the_same_time_one_does(tmp_path: Path) -> None:
    found: list[int] = []
    opened = [file(tmp_path / "old.db")]
    opened += [
        sqlite3.connect(tmp_path / "old.db", isolation_level=None, check_same_thread=False)
        for _ in range(3)
    ]
    threads = [
        threading.Thread(target=lambda each=each: found.append(KIND.upgrade(each)))
        for each in opened
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert opened[0].execute("SELECT x, y, z FROM a").fetchall() == [(41, 42, None)]
    for each in opened:
        each.close()
