import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from onlooker.identity import copies, tables
from onlooker.identity.collection import InvalidName
from onlooker.identity.copies import CopyError
from onlooker.identity.index import FaceIndex
from onlooker.identity.store import (
    CollectionExists,
    CollectionNotFound,
    InvalidToken,
    NewFace,
    Store,
    StoreDamaged,
    StoreError,
    StoreLocked,
)


def new(seed: int, name: str | None = None) -> NewFace:
    vector = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    return NewFace(
        picture=b"%d" % seed,
        external_image_id=name,
        box=(-0.1, 0.2, 0.3, 0.4),
        confidence=99.5,
        vector=vector / np.linalg.norm(vector),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "data" / "faces.db") as opened:
        opened.create_collection("staff", "m", {"team": "red"}, "exact")
        faces = opened.add("staff", [new(seed, f"face{seed % 7}") for seed in range(50)])
        opened.add("staff", [new(100)])
        opened.delete_faces("staff", [faces[3].face_id])
        for user_id in ("ann", "bob", "nobody"):
            opened.create_user("staff", user_id)
        alike = lambda face, user: 100.0  # noqa: E731
        opened.associate("staff", "ann", [faces[0].face_id, faces[7].face_id], alike)
        opened.associate("staff", "bob", [faces[1].face_id], alike)
        opened.create_collection("guests", "m")
        yield opened


def everything(store: Store, name: str) -> dict[str, Any]:
    collection = store.collection(name)
    faces = store.faces(name).faces
    return {
        "collection": msgspec.structs.replace(collection, name=""),
        "tags": store.tags(name),
        "faces": faces,
        "vectors": store.vectors(name, [face.face_id for face in faces]).tolist(),
        "users": store.users(name).users,
        "ann": store.user_vector(name, "ann").tolist(),  # type: ignore[union-attr]
    }


class TestBackup:
    def test_and_back(self, store: Store, tmp_path: Path) -> None:
        before, path = everything(store, "staff"), store.path
        copies.backup(store, tmp_path / "copy.db")
        token = store.faces("staff", limit=1).token
        assert store.faces("staff", token=token).faces
        store.delete_collection("staff")
        store.add("guests", [new(1)])
        key = store.key
        store.close()
        old = copies.restore(path, tmp_path / "copy.db")
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
        copies.backup(store, tmp_path / "copy.db")
        path = tmp_path / "other" / "faces.db"
        assert copies.restore(path, tmp_path / "copy.db") is None
        with Store(path) as back:
            assert everything(back, "staff") == everything(store, "staff")

    def test_of_one_that_others_write_to(self, store: Store, tmp_path: Path) -> None:
        with Store(store.path) as other:
            other.add("guests", [new(5)])
            copies.backup(store, tmp_path / "copy.db")
            other.add("guests", [new(6)])
        copies.restore(tmp_path / "other.db", tmp_path / "copy.db")
        with Store(tmp_path / "other.db") as back:
            assert back.collection("guests").faces == 1

    def test_never_writes_over_a_file(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "copy.db").write_text("mine")
        with pytest.raises(CopyError, match=r"copy\.db: is there already"):
            copies.backup(store, tmp_path / "copy.db")
        assert (tmp_path / "copy.db").read_text() == "mine"

    def test_where_it_cannot_be_written(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"copy\.db"):
            copies.backup(store, tmp_path / "nowhere" / "copy.db")

    def test_is_not_put_back_under_a_process(self, store: Store, tmp_path: Path) -> None:
        copies.backup(store, tmp_path / "copy.db")
        with pytest.raises(StoreLocked, match="a process has it open; stop `onlooker`"):
            copies.restore(store.path, tmp_path / "copy.db")
        assert store.collection("staff").faces == 50
        assert len(list(store.path.parent.glob("*.part*"))) == 0

    def test_a_broken_one_changes_nothing(self, store: Store, tmp_path: Path) -> None:
        copies.backup(store, tmp_path / "copy.db")
        data = bytearray((tmp_path / "copy.db").read_bytes())
        for start in range(4096, len(data), 4096):
            data[start : start + 100] = os.urandom(100)
        broken = tmp_path / "broken.db"
        broken.write_bytes(data)
        (tmp_path / "text.db").write_text("no database" * 1000)
        sqlite3.connect(tmp_path / "strange.db").execute("CREATE TABLE recipes (name)").close()
        before, path = everything(store, "staff"), store.path
        store.close()
        for name in ("broken.db", "text.db", "strange.db", "nothing.db"):
            with pytest.raises(StoreError):
                copies.restore(path, tmp_path / name)
        with Store(path) as back:
            assert everything(back, "staff") == before

    def test_in_the_place_of_a_damaged_one(self, store: Store, tmp_path: Path) -> None:
        copies.backup(store, tmp_path / "copy.db")
        before, path = everything(store, "staff"), store.path
        store.close()
        path.write_bytes(b"damaged" * 1000)
        copies.restore(path, tmp_path / "copy.db")
        with Store(path) as back:
            assert everything(back, "staff") == before


class TestExport:
    def test_and_import(self, store: Store, tmp_path: Path) -> None:
        assert copies.export(store, "staff", tmp_path / "staff.jsonl") == 50
        before = everything(store, "staff")
        assert copies.import_(store, tmp_path / "staff.jsonl", "twin") == 50
        assert everything(store, "twin") == before
        with Store(tmp_path / "other.db") as other:
            copies.import_(other, tmp_path / "staff.jsonl")
            assert everything(other, "staff") == before
            assert list(copies.verify(other)) == []
            vectors = other.vectors("staff", [other.faces("staff").faces[4].face_id])
            [[best]] = FaceIndex(other, "staff", "m").search(vectors, 1)
            assert best.what == other.faces("staff").faces[4]

    def test_is_in_amazons_words(self, store: Store, tmp_path: Path) -> None:
        copies.export(store, "staff", tmp_path / "staff.jsonl")
        head, *lines = map(
            msgspec.json.decode, (tmp_path / "staff.jsonl").read_bytes().splitlines()
        )
        assert (head["CollectionId"], head["FaceModelVersion"]) == ("staff", "m")
        assert (head["FaceCount"], head["Tags"]) == (50, {"team": "red"})
        first = store.faces("staff").faces[0]
        assert lines[0] == {
            "FaceId": first.face_id,
            "ImageId": first.image_id,
            "BoundingBox": {"Left": -0.1, "Top": 0.2, "Width": 0.3, "Height": 0.4},
            "Confidence": 99.5,
            "ExternalImageId": "face0",
            "UserId": "ann",
        }
        vectors = np.load(tmp_path / "staff.npy")
        assert vectors.dtype == np.float32
        np.testing.assert_array_equal(vectors[0], store.vectors("staff", [first.face_id])[0])
        assert len(vectors) == len(lines)

    def test_of_an_empty_one(self, store: Store, tmp_path: Path) -> None:
        copies.export(store, "guests", tmp_path / "guests.jsonl")
        assert copies.import_(store, tmp_path / "guests.jsonl", "twin") == 0
        assert store.collection("twin").faces == 0

    def test_what_cannot_be(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(CollectionNotFound):
            copies.export(store, "nobody", tmp_path / "nobody.jsonl")
        with pytest.raises(CopyError, match=r"name a file that ends in \.jsonl"):
            copies.export(store, "staff", tmp_path / "staff.json")
        copies.export(store, "staff", tmp_path / "staff.jsonl")
        with pytest.raises(CopyError, match="is there already"):
            copies.export(store, "staff", tmp_path / "staff.jsonl")
        with pytest.raises(CollectionExists, match="import under another name"):
            copies.import_(store, tmp_path / "staff.jsonl")
        with pytest.raises(InvalidName):
            copies.import_(store, tmp_path / "staff.jsonl", "/gone/1")
        with pytest.raises(CopyError, match="No such file"):
            copies.import_(store, tmp_path / "nothing.jsonl")

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda lines: lines[:-1], "it says 50 faces and has 49, with 50 vectors"),
            (lambda lines: [*lines, lines[-1]], "line 2 on: no finite vectors for all faces"),
            (lambda lines: [b"{}", *lines[1:]], "line 1: Object missing required field"),
            (lambda lines: [*lines[:9], b"{nonsense", *lines[10:]], "line 10: JSON is malformed"),
            (lambda lines: [*lines[:9], lines[8], *lines[10:]], "UNIQUE constraint failed"),
        ],
        ids=["short", "long", "headless", "broken", "twice"],
    )
    def test_a_spoiled_one_leaves_nothing(
        self,
        store: Store,
        tmp_path: Path,
        spoil: Callable[[list[bytes]], list[bytes]],
        message: str,
    ) -> None:
        file = tmp_path / "staff.jsonl"
        copies.export(store, "staff", file)
        file.write_bytes(b"\n".join(spoil(file.read_bytes().splitlines())) + b"\n")
        with pytest.raises(StoreError, match=message):
            copies.import_(store, file, "twin")
        assert [one.name for one in store.collections().collections] == ["staff", "guests"]
        with store.database.reading() as database:
            assert database.execute("SELECT count(*) FROM collections").fetchone() == (2,)
            assert database.execute("SELECT count(*) FROM faces").fetchone() == (50,)

    def test_one_that_was_killed_is_swept_away_some_day(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        head = copies.Head(
            CollectionId="x",
            FaceModelVersion="m",
            CreationTimestamp=1.0,
            FaceCount=1,
            Tags={},
            Users=[],
        )
        store.database.write(lambda database: copies._begin(database, "x", head))
        assert len(store.collections().collections) == 2
        store.create_collection("y", "m")
        store.delete_collection("y")
        with store.database.reading() as database:
            assert database.execute("SELECT count(*) FROM collections").fetchone() == (3,)
        monkeypatch.setattr(tables, "GIVEN_UP", -1)
        store.create_collection("y", "m")
        store.delete_collection("y")
        with store.database.reading() as database:
            assert database.execute("SELECT count(*) FROM collections").fetchone() == (2,)


class TestVerify:
    def test_a_whole_one(self, store: Store) -> None:
        assert list(copies.verify(store)) == []

    def test_what_does_not_agree(self, store: Store) -> None:
        database = store.database._writer
        database.execute("UPDATE collections SET faces = 7 WHERE name = 'staff'")
        database.execute("UPDATE faces SET vector = X'0000C07F' WHERE number = 4")
        said = "\n".join(copies.verify(store))
        assert "staff: it has 50 faces and 3 users, and says 7 and 3" in said
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
        with Store(store.path) as damaged, pytest.raises(StoreDamaged, match="put a copy of it"):
            list(copies.verify(damaged))
