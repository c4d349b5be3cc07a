import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.stores import everything, filled, new
from tests.support.writing import writer

from onlooker.durable_file import Occupied
from onlooker.identity import backup
from onlooker.identity.database import _Presence
from onlooker.identity.errors import CopyError, StoreDamaged, StoreError, StoreLocked
from onlooker.identity.store import Store
from onlooker.page_token import InvalidToken


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    yield from filled(tmp_path / "data" / "faces.db")


class TestBackup:
    def test_and_back(self, store: Store, tmp_path: Path) -> None:
        before, path = everything(store, "staff"), store.path
        backup.backup(store, tmp_path / "copy.db")
        token = store.faces("staff", limit=1).token
        assert store.faces("staff", token=token).faces
        store.delete_collection("staff")
        store.add("guests", [new(1)])
        key = store.key
        store.close()
        old = backup.restore(path, tmp_path / "copy.db")
        assert old is not None
        with Store(path) as back, Store(old) as kept:
            assert everything(back, "staff") == before
            assert back.collection("guests").faces == 0
            assert [one.name for one in kept.collections().collections] == ["guests"]
            assert back.key != key, "files derived from what was there are not its"
            with pytest.raises(InvalidToken):
                back.faces("staff", token=token)
        left = {file.name for file in path.parent.iterdir()}
        assert left == {"faces.db", "faces.db.lock", old.name, f"{old.name}.lock"}

    def test_into_nothing(self, store: Store, tmp_path: Path) -> None:
        backup.backup(store, tmp_path / "copy.db")
        path = tmp_path / "other" / "faces.db"
        assert backup.restore(path, tmp_path / "copy.db") is None
        with Store(path) as back:
            assert everything(back, "staff") == everything(store, "staff")

    def test_of_one_that_others_write_to(self, store: Store, tmp_path: Path) -> None:
        with Store(store.path) as other:
            other.add("guests", [new(5)])
            backup.backup(store, tmp_path / "copy.db")
            other.add("guests", [new(6)])
        backup.restore(tmp_path / "other.db", tmp_path / "copy.db")
        with Store(tmp_path / "other.db") as back:
            assert back.collection("guests").faces == 1

    def test_never_writes_over_a_file(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "copy.db").write_text("mine")
        with pytest.raises(Occupied, match=r"copy\.db: is there already"):
            backup.backup(store, tmp_path / "copy.db")
        assert (tmp_path / "copy.db").read_text() == "mine"

    def test_a_folder_that_does_not_exist(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"copy\.db"):
            backup.backup(store, tmp_path / "nowhere" / "copy.db")

    def test_no_restore_while_a_process_has_the_store_open(
        self, store: Store, tmp_path: Path
    ) -> None:
        backup.backup(store, tmp_path / "copy.db")
        with pytest.raises(StoreLocked, match="a process has it open; stop `onlooker`"):
            backup.restore(store.path, tmp_path / "copy.db")
        assert store.collection("staff").faces == 50
        assert len(list(store.path.parent.glob("*.part*"))) == 0

    def test_while_another_process_opens_it(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Just when that one lets others in, which it cannot do without a gap."""
        backup.backup(store, tmp_path / "copy.db")
        store.delete_collection("staff")
        path, settle = store.path, _Presence.settle
        store.close()

        def late(presence: _Presence) -> None:
            monkeypatch.setattr(_Presence, "settle", settle)
            assert presence._lock is not None
            fcntl.flock(presence._lock.file, fcntl.LOCK_UN)
            backup.restore(path, tmp_path / "copy.db")
            settle(presence)

        monkeypatch.setattr(_Presence, "settle", late)
        with Store(path) as opened:
            assert opened.collection("staff").faces == 50
            opened.add("guests", [new(1)])
        with Store(path) as opened:
            assert opened.collection("guests").faces == 1

    def test_a_damaged_backup_changes_nothing(self, store: Store, tmp_path: Path) -> None:
        backup.backup(store, tmp_path / "copy.db")
        data = bytearray((tmp_path / "copy.db").read_bytes())
        for start in range(4096, len(data), 4096):
            data[start : start + 100] = os.urandom(100)
        broken = tmp_path / "broken.db"
        broken.write_bytes(data)
        (tmp_path / "text.db").write_text("no database" * 1000)
        with closing(sqlite3.connect(tmp_path / "strange.db")) as strange:
            strange.execute("CREATE TABLE recipes (name)")
        before, path = everything(store, "staff"), store.path
        store.close()
        for name in ("broken.db", "text.db", "strange.db", "nothing.db"):
            with pytest.raises(StoreError):
                backup.restore(path, tmp_path / name)
        with Store(path) as back:
            assert everything(back, "staff") == before

    def test_a_file_that_is_no_backup(self, store: Store, tmp_path: Path) -> None:
        path = store.path
        store.close()
        (tmp_path / "no.jpg").write_bytes(b"\xff\xd8 a picture" * 1000)
        with pytest.raises(CopyError, match=r"no\.jpg: is no backup; name a file"):
            backup.restore(path, tmp_path / "no.jpg")

    def test_in_place_of_a_damaged_store(self, store: Store, tmp_path: Path) -> None:
        backup.backup(store, tmp_path / "copy.db")
        before, path = everything(store, "staff"), store.path
        store.close()
        path.write_bytes(b"damaged" * 1000)
        backup.restore(path, tmp_path / "copy.db")
        with Store(path) as back:
            assert everything(back, "staff") == before


class TestVerify:
    def test_a_sound_store(self, store: Store) -> None:
        assert list(backup.verify(store)) == []

    def test_contradictions(self, store: Store) -> None:
        database = writer(store)
        database.execute("UPDATE collections SET faces = 7 WHERE name = 'staff'")
        database.execute("UPDATE faces SET vector = X'0000C07F' WHERE number = 4")
        said = "\n".join(backup.verify(store))
        assert "staff: it has 50 faces and 3 users, but its counters say 7 and 3" in said
        assert "staff: its vectors are of 2 lengths" in said
        assert "face number 4: its vector is not made of finite numbers" in said

    def test_damage(self, store: Store, tmp_path: Path) -> None:
        store.close()
        data = bytearray(store.path.read_bytes())
        for start in range(2 * 4096, len(data), 4096):
            data[start + 200 : start + 300] = os.urandom(100)
        shutil.rmtree(store.path.parent)
        store.path.parent.mkdir()
        store.path.write_bytes(data)
        with Store(store.path) as damaged, pytest.raises(StoreDamaged, match="restore a backup"):
            list(backup.verify(damaged))
