"""What happens when the server goes, comes back, or is full of others."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.support import postgres
from tests.support.stores import face
from tests.support.writing import Group

from onlooker.identity import backup
from onlooker.identity.errors import (
    CopyError,
    StoreClosed,
    StoreError,
    StoreLocked,
    StoreReadOnly,
    StoreUnreachable,
)
from onlooker.identity.postgres import postgres_connection, postgres_database
from onlooker.identity.postgres.postgres_connection import PostgresConnection
from onlooker.identity.postgres.postgres_database import PostgresDatabase
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store
from onlooker.types import StoredFace

NOWHERE = Path("no file")


@pytest.fixture
def url() -> str:
    return postgres.database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(NOWHERE, url) as opened:
        opened.make_collection("staff", "m")
        yield opened


def test_a_server_that_was_away_is_used_again(store: Store) -> None:
    store.add("staff", [face(1)])
    server = postgres.server()
    server.stop()
    try:
        for call in (lambda: store.add("staff", [face(2)]), lambda: store.faces("staff")):
            with pytest.raises(StoreUnreachable, match="check that the server runs"):
                call()
    finally:
        server.start()
    store.add("staff", [face(2)])
    assert len(store.faces("staff").faces) == 2


def test_a_restart_between_two_calls_is_not_noticed(store: Store) -> None:
    store.faces("staff")
    postgres.server().restart()
    store.add("staff", [face(1)])
    postgres.server().restart()
    assert len(store.faces("staff").faces) == 1


def kill(database: PostgresConnection) -> None:
    [(pid,)] = database.execute("SELECT pg_backend_pid()").fetchall()
    postgres.server().run(f"SELECT pg_terminate_backend({pid})")
    database.execute("SELECT 1")


def test_a_change_whose_connection_dies_is_undone(store: Store) -> None:
    def change(database: PostgresConnection) -> None:
        database.execute("UPDATE collections SET faces = 99")
        kill(database)

    with pytest.raises(StoreUnreachable):
        store.database.write(change)  # type: ignore[arg-type]
    assert store.collection("staff").faces == 0
    store.add("staff", [face(1)])
    assert list(backup.verify(store)) == []


def test_a_lock_of_another_process(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**postgres_connection.SETTINGS, "lock_timeout": "100ms"}
    monkeypatch.setattr(postgres_connection, "SETTINGS", settings)
    with Store(NOWHERE, url) as hasty, psycopg.connect(url) as other:
        other.execute("SELECT * FROM onlooker.counter FOR UPDATE")
        with pytest.raises(StoreLocked, match="try again when that process is done"):
            hasty.add("staff", [face(1)])
        assert hasty.faces("staff").faces == []  # readers never wait
        other.rollback()
        hasty.add("staff", [face(1)])


def test_a_server_without_room(store: Store, url: str) -> None:
    others = []
    try:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                others.append(psycopg.connect(url, application_name="full"))
        with pytest.raises(StoreLocked, match="no connection left"):
            Store(NOWHERE, url)
        store.add("staff", [face(1)])  # by the connection that it has
    finally:
        for other in others:
            other.close()
    assert len(store.faces("staff").faces) == 1


def test_more_readers_than_connections(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_database, "LOCK_SECONDS", 0.1)
    inside, leave = threading.Barrier(postgres_database.MAX_READERS + 1), threading.Event()

    def read() -> None:
        with store.database.reading():
            inside.wait(30)
            leave.wait(30)

    threads = [threading.Thread(target=read) for _ in range(postgres_database.MAX_READERS)]
    for thread in threads:
        thread.start()
    inside.wait(30)
    with pytest.raises(StoreLocked, match="8 others have read"):
        store.faces("staff")
    leave.set()
    for thread in threads:
        thread.join()
    assert store.faces("staff").faces == []


def test_a_replica_cannot_be_written(store: Store, url: str) -> None:
    postgres.server().run(
        f"ALTER DATABASE {url.split('/')[3].split('?')[0]} SET default_transaction_read_only = on"
    )
    with Store(NOWHERE, url) as copy, pytest.raises(StoreReadOnly, match="name the primary"):
        copy.make_collection("guests", "m")


def test_a_user_who_may_not_create_tables(url: str) -> None:
    server, name = postgres.server(), url.split("/")[3].split("?")[0]
    server.run(f"CREATE ROLE visitor_{name} LOGIN")
    with pytest.raises(StoreError, match="create the schema onlooker"):
        Store(NOWHERE, url.replace("postgres@", f"visitor_{name}@"))
    server.run(f"GRANT CREATE ON DATABASE {name} TO visitor_{name}")
    with Store(NOWHERE, url.replace("postgres@", f"visitor_{name}@")) as store:
        store.make_collection("staff", "m")
        store.add("staff", [face(1)])
    # Nor does a host that keeps the server's timeline to itself stop it.
    server.run("REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC", name)
    with Store(NOWHERE, url.replace("postgres@", f"visitor_{name}@")) as store:
        assert len(store.faces("staff").faces) == 1


def test_a_backup_is_the_servers_affair(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CopyError, match="pg_dump"):
        backup.backup(store, tmp_path / "copy.db")


def test_a_closed_one(url: str) -> None:
    store = Store(NOWHERE, url)
    store.close()
    with pytest.raises(StoreClosed):
        store.collections()
    with pytest.raises(StoreClosed):
        store.make_collection("staff", "m")


def test_after_a_failover_to_a_copy_without_the_last_changes(tmp_path: Path) -> None:
    """A replica that took over may lack changes, and give their numbers to others."""
    server = postgres.Server({"fsync": "off"})
    with Store(tmp_path / "faces.db", server.new_database()) as store:
        store.make_collection("staff", "m")
        kept = store.add("staff", [face(1), face(2)])
        index = FaceIndex(store, "staff", "m")
        server.stop()
        server.copy()
        server.start()
        lost = store.add("staff", [face(3), face(4)])
        assert index.search(face(4).vector[None], 1)[0][0].entry == lost[1]
        server.stop()
        server.promote_copy()
        [new] = store.add("staff", [face(5)])
        [another] = store.add("staff", [face(6)])
        found = index.search(face(5).vector[None], 10)[0]
        assert found[0].entry == new
        expected = {one.face_id for one in (*kept, new, another)}
        assert {hit.entry.face_id for hit in found} == expected
        assert len(index) == 4
    server.remove()


def numbers(store: Store) -> list[int]:
    found = store.database.rows("SELECT born FROM collections WHERE name LIKE 'n%' ORDER BY 1", ())
    return [number for (number,) in found]


def insert(database: PostgresConnection, number: int) -> int:
    if number == 6:
        raise ValueError("no")
    database.execute(
        "INSERT INTO collections (name, model, created, born, change) VALUES (?, 'm', 0, ?, 0)",
        (f"n{number}", number),
    )
    return number


def test_threads_share_a_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of one change does not affect the others."""
    commits: list[PostgresDatabase] = []
    end = PostgresDatabase._end

    def counted(self: PostgresDatabase) -> None:
        commits.append(self)
        end(self)

    monkeypatch.setattr(PostgresDatabase, "_end", counted)
    group = Group(store.database, 8, insert)
    store.database.write(lambda _: group.start())
    group.join()
    assert isinstance(group.outcomes.pop(6), ValueError)
    assert group.outcomes == {n: n for n in (0, 1, 2, 3, 4, 5, 7)}
    assert numbers(store) == [0, 1, 2, 3, 4, 5, 7]
    assert len(commits) == 2  # the first one, during which the others came, and theirs


def test_what_the_server_refuses_is_the_only_change_that_fails(store: Store) -> None:
    group = Group(store.database, 8, insert)

    def lead(database: PostgresConnection) -> None:
        insert(database, 5)
        group.start()

    store.database.write(lead)  # type: ignore[arg-type]
    group.join()
    assert isinstance(group.outcomes.pop(5), StoreError)
    assert isinstance(group.outcomes.pop(6), ValueError)
    assert group.outcomes == {n: n for n in (0, 1, 2, 3, 4, 7)}
    assert numbers(store) == [0, 1, 2, 3, 4, 5, 7]


def test_a_group_whose_connection_dies(store: Store) -> None:
    """All are told, nothing is changed, and the next change succeeds."""

    def change(database: PostgresConnection, number: int) -> int:
        if number == 3:
            kill(database)
        return insert(database, number)

    group = Group(store.database, 6, change)
    store.database.write(lambda _: group.start())
    group.join()
    assert isinstance(group.outcomes[3], StoreUnreachable)
    assert numbers(store) == [n for n in range(6) if group.outcomes[n] == n]
    store.add("staff", [face(1)])


def test_many_faces_take_about_as_few_statements_as_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a round trip, during which other machines wait to write."""
    statements: list[str] = []
    execute, executemany = PostgresConnection.execute, PostgresConnection.executemany

    def counted(self: PostgresConnection, query: str, values: Any = (), /) -> Any:
        statements.append(query)
        return execute(self, query, values)

    def counted_many(self: PostgresConnection, query: str, values: Any, /) -> Any:
        statements.append(query)
        return executemany(self, query, values)

    monkeypatch.setattr(PostgresConnection, "execute", counted)
    monkeypatch.setattr(PostgresConnection, "executemany", counted_many)

    def count(call: Callable[[], object]) -> int:
        statements.clear()
        call()
        return len(statements)

    faces: list[StoredFace] = []
    assert count(lambda: faces.extend(store.add("staff", [face(1)]))) < 10
    many = [face(seed, picture=b"%d" % seed) for seed in range(600)]
    assert count(lambda: faces.extend(store.add("staff", many))) < 12
    names = [one.face_id for one in faces]
    assert count(lambda: store.faces("staff", face_ids=names)) < 10
    assert count(lambda: store.delete_faces("staff", names)) < 14
    assert store.collection("staff").faces == 0
    assert list(backup.verify(store)) == []
