import gc
import multiprocessing
import os
import resource
import sqlite3
import weakref
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.support.stores import face as new
from tests.support.writing import Group, insert, limit, locked, numbers, pragma, writer

from onlooker.identity.database import JOURNAL, Database, exclusive
from onlooker.identity.errors import (
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)
from onlooker.identity.store import Store

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "faces.db") as opened:
        yield opened


class TestFile:
    def test_is_durable_and_shared(self, store: Store) -> None:
        asked = {
            name: store.database.write(partial(pragma, name=name))
            for name in ("journal_mode", "synchronous", "foreign_keys", "user_version")
        }
        assert asked == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "user_version": 3,
        }

    def test_text_file(self, tmp_path: Path) -> None:
        (tmp_path / "faces.db").write_text("these are not the faces that you look for" * 100)
        with pytest.raises(StoreError, match=r"faces.db: .* it is not a face store; move"):
            Store(tmp_path / "faces.db")

    def test_the_name_of_the_journal_beside_it(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"people\.db, which is the name of the journal"):
            Store(tmp_path / JOURNAL)
        assert [*tmp_path.iterdir()] == []

    def test_another_programs_database_stays_untouched(self, tmp_path: Path) -> None:
        path = tmp_path / "faces.db"
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE recipes (name)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="not a store of collections"):
            Store(path)
        assert path.read_bytes() == before

    def test_newer_format(self, store: Store, tmp_path: Path) -> None:
        store.database.write(lambda each: each.execute("PRAGMA user_version = 99"))
        with pytest.raises(StoreError, match="format 99, made by a newer Onlooker"):
            Store(tmp_path / "faces.db")

    def test_folder_where_the_file_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "faces.db").mkdir()
        with pytest.raises(StoreError, match=r"cannot be opened.*ONLOOKER_DATA"):
            Store(tmp_path / "faces.db")

    def test_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("")
        with pytest.raises(StoreError, match=r"data: .*cannot be made.*ONLOOKER_DATA"):
            Store(tmp_path / "data" / "faces.db")

    def test_full_disk_changes_nothing(self, store: Store) -> None:
        store.make_collection("staff", "m")
        [kept] = store.add("staff", [new(1)])
        limit(store, 0)
        with pytest.raises(StoreFull, match="disk is full, and nothing was changed; free some"):
            store.add("staff", [new(seed) for seed in range(2, 2000)])
        assert store.faces("staff").faces == [kept]
        limit(store, 1_000_000)
        store.add("staff", [new(2)])
        assert len(store.faces("staff").faces) == 2

    def test_read_only(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.database.write(lambda each: each.execute("PRAGMA query_only = 1"))
        with pytest.raises(StoreReadOnly, match="cannot be written; make the file and its folder"):
            store.add("staff", [new(1)])
        assert store.faces("staff").faces == []

    def test_a_damaged_file(self, tmp_path: Path) -> None:
        path = tmp_path / "faces.db"
        with Store(path) as store:
            store.make_collection("staff", "m")
            store.add("staff", [new(seed) for seed in range(500)])
        data = bytearray(path.read_bytes())
        for start in range(4096, len(data), 4096):
            data[start : start + 100] = os.urandom(100)
        path.write_bytes(data)
        with (
            pytest.raises(StoreDamaged, match="damaged; restore a backup"),
            Store(path) as store,
        ):
            store.faces("staff")

    def test_locked(self, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("onlooker.identity.database.LOCK_SECONDS", 0.1)
        store.make_collection("staff", "m")
        with Store(tmp_path / "faces.db") as hasty:
            with locked(store):
                with pytest.raises(StoreLocked, match="another process has kept it locked"):
                    hasty.add("staff", [new(1)])
                assert hasty.faces("staff").faces == []  # readers never wait
            hasty.add("staff", [new(1)])

    def test_writes_that_wait_together_wait_for_the_lock_once(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onlooker.identity.database.LOCK_SECONDS", 0.1)
        with Store(store.path) as hasty:
            statements: list[str] = []
            writer(hasty).set_trace_callback(statements.append)
            group = Group(hasty.database, 5, lambda *_: 0)
            with locked(store):
                group.start()
                group.join()
            assert 1 <= statements.count("BEGIN IMMEDIATE") <= 3  # of 5
            assert [type(error) for error in group.outcomes.values()] == [StoreLocked] * 5

    def test_the_file_is_replaced_by_another(self, store: Store) -> None:
        with store.database.reading():  # so that the next one opens the file again
            for ending in ("", "-wal", "-shm"):
                store.path.with_name(store.path.name + ending).unlink()
            store.path.write_bytes(b"nonsense" * 1000)
            with pytest.raises(StoreDamaged, match="is not a face store"):
                store.collections()

    def test_a_disk_that_fails(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A limit to the size of files: neither a full disk nor a broken one, to SQLite."""
        store.make_collection("staff", "m")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        try:
            with pytest.raises(StoreError, match="nothing was changed; check the disk"):
                store.add("staff", [new(seed) for seed in range(3000)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert store.faces("staff").faces == []
        store.add("staff", [new(1)])
        assert store.collection("staff").faces == 1

    @pytest.mark.parametrize("damaged", [False, True])
    def test_after_an_unclean_stop_the_whole_file_is_checked(
        self, tmp_path: Path, damaged: bool
    ) -> None:
        path = tmp_path / "faces.db"
        reader, end = SPAWN.Pipe(duplex=False)
        writer = SPAWN.Process(target=_add_for_ever, args=(path, end))
        with Store(path) as store:
            store.make_collection("staff", "m")
            store.add("staff", [new(seed) for seed in range(500)])
        writer.start()
        reader.recv()
        writer.kill()
        writer.join(10)
        assert (tmp_path / "faces.db-wal").stat().st_size > 0
        if damaged:
            with path.open("r+b") as file:
                for page in range(20, path.stat().st_size // 4096):  # some are in the log too
                    file.seek(page * 4096 + 8)
                    file.write(b"\xff" * 400)
            with pytest.raises(StoreDamaged, match=r"faces\.db: .*restore a backup"):
                Store(path)
        else:
            with Store(path) as store:
                assert store.collection("staff").faces > 500

    def test_while_others_have_it_open_no_check_is_made(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.make_collection("staff", "m")

        def never(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr("onlooker.identity.database.check", never)
        Store(store.path).close()

    def test_a_child_process_must_open_its_own(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(StoreClosed, match="open a Store in each process"):
            store.collections()

    def test_a_closed_store(self, store: Store) -> None:
        store.close()
        for call in (store.collections, lambda: store.make_collection("staff", "m")):
            with pytest.raises(StoreClosed, match=r"faces\.db: was closed"):
                call()

    def test_reading_shows_one_moment(self, database: Database) -> None:
        database.write(lambda each: insert(each, 1))
        with database.reading() as reader:
            before = reader.execute("SELECT count(*) FROM numbers").fetchone()
            database.write(lambda each: insert(each, 2))
            assert reader.execute("SELECT count(*) FROM numbers").fetchone() == before == (1,)
        assert numbers(database) == [1, 2]

    def test_exclusive_access_needs_every_process_closed(self, database: Database) -> None:
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


def _add_for_ever(path: Path, end: Connection) -> None:
    with Store(path) as store:
        while True:
            [stored] = store.add("staff", [new(1)])
            end.send(stored.face_id)


def test_a_change_that_is_on_the_disk_is_not_kept_in_memory(database: Database) -> None:
    def change(writer: sqlite3.Connection) -> None:
        writer.execute("INSERT INTO numbers VALUES (1)")

    kept = weakref.ref(change)
    database.write(change)
    del change
    gc.collect()
    assert kept() is None
    assert numbers(database) == [1]
