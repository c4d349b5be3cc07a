import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.support import postgres
from tests.support.stores import Place, everything, filled

from onlooker.durable_file import Occupied
from onlooker.identity import backup, schema, transfer
from onlooker.identity.errors import (
    CollectionExists,
    CollectionNotFound,
    CopyError,
    InvalidName,
    StoreError,
)
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store

TAGS = ",".join(f'"{number}":""' for number in range(201)).encode()


def edit(line: int, old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    """Return a function that replaces `old` by `new` in one line."""

    def spoil(lines: list[bytes]) -> list[bytes]:
        assert old in lines[line]
        return [*lines[:line], lines[line].replace(old, new, 1), *lines[line + 1 :]]

    return spoil


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    yield from filled(*place)


class TestExport:
    def test_and_import(self, store: Store, tmp_path: Path) -> None:
        assert transfer.export(store, "staff", tmp_path / "staff.jsonl") == 50
        before = everything(store, "staff")
        assert transfer.import_(store, tmp_path / "staff.jsonl", "twin") == 50
        assert everything(store, "twin") == before
        with Store(tmp_path / "other.db") as other:
            transfer.import_(other, tmp_path / "staff.jsonl")
            assert everything(other, "staff") == before
            assert list(backup.verify(other)) == []
            vectors = other.vectors("staff", [other.faces("staff").faces[4].face_id])
            [[best]] = FaceIndex(other, "staff", "m").search(vectors, 1)
            assert best.entry == other.faces("staff").faces[4]

    def test_is_in_amazons_words(self, store: Store, tmp_path: Path) -> None:
        transfer.export(store, "staff", tmp_path / "staff.jsonl")
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
        transfer.export(store, "guests", tmp_path / "guests.jsonl")
        assert transfer.import_(store, tmp_path / "guests.jsonl", "twin") == 0
        assert store.collection("twin").faces == 0

    def test_what_cannot_be(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(CollectionNotFound):
            transfer.export(store, "nobody", tmp_path / "nobody.jsonl")
        with pytest.raises(CopyError, match=r"name a file that ends in \.jsonl"):
            transfer.export(store, "staff", tmp_path / "staff.json")
        transfer.export(store, "staff", tmp_path / "staff.jsonl")
        with pytest.raises(Occupied, match="is there already"):
            transfer.export(store, "staff", tmp_path / "staff.jsonl")
        with pytest.raises(CollectionExists, match="import under another name"):
            transfer.import_(store, tmp_path / "staff.jsonl")
        with pytest.raises(InvalidName):
            transfer.import_(store, tmp_path / "staff.jsonl", "/gone/1")
        with pytest.raises(CopyError, match="No such file"):
            transfer.import_(store, tmp_path / "nothing.jsonl")
        with pytest.raises(CopyError, match=r"/dev/zero: name a file that ends in \.jsonl"):
            transfer.import_(store, Path("/dev/zero"))  # whose first line has no end

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda lines: lines[:-1], "it says 50 faces and has 49"),
            (lambda lines: [*lines, lines[-1]], "line 52: there are fewer vectors than faces"),
            (lambda lines: [b"{}", *lines[1:]], "line 1: Object missing required field"),
            (lambda lines: [*lines[:9], b"{nonsense", *lines[10:]], "line 10: JSON is malformed"),
            (lambda lines: [*lines[:9], lines[8], *lines[10:]], "the name is taken already"),
            (edit(0, b'"nobody"', b'"no body"'), r"line 1: .* matching regex .*Users"),
            (edit(0, b'"FaceCount":50', b'"FaceCount":20000001'), "line 1: .*FaceCount"),
            (edit(0, b'"team":"red"', TAGS), r"line 1: .* length <= 200 .*Tags"),
            (edit(0, b'"ann",', b""), "line 2: the user ann is not among the Users of line 1"),
            (edit(1, b'"face0"', b'"face 0"'), "line 2: .*ExternalImageId"),
            (edit(1, b'"FaceId":"', b'"FaceId":"x'), "line 2: .*FaceId"),
        ],
        ids=[
            *("short", "long", "headless", "broken", "twice"),
            *("user's name", "faces", "tags", "user", "face's name", "face's id"),
        ],
    )
    def test_an_invalid_file_leaves_nothing(
        self,
        store: Store,
        tmp_path: Path,
        spoil: Callable[[list[bytes]], list[bytes]],
        message: str,
    ) -> None:
        file = tmp_path / "staff.jsonl"
        transfer.export(store, "staff", file)
        file.write_bytes(b"\n".join(spoil(file.read_bytes().splitlines())) + b"\n")
        with pytest.raises(StoreError, match=message):
            transfer.import_(store, file, "twin")
        assert [one.name for one in store.collections().collections] == ["staff", "guests"]
        with store.database.reading() as database:
            assert database.execute("SELECT count(*) FROM collections").fetchone() == (2,)
            assert database.execute("SELECT count(*) FROM faces").fetchone() == (50,)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda data: data[:3], "not a complete NumPy array"),
            (lambda data: data[:40], "not a complete NumPy array"),
            (lambda data: data[:-1], "not a complete NumPy array"),
            (lambda data: data.replace(b"(", b"[", 1), "not a complete NumPy array"),
            (lambda data: data.replace(b"(50, 8)", b"(25, 8)"), "it has 25 vectors for 50 faces"),
            (lambda data: data.replace(b"<f4", b"<i4"), "not float32 of shape"),
            (lambda data: data[:-4] + b"\0\0\xc0\x7f", "line 51: .* not made of finite numbers"),
            (
                lambda data: data[:-4] + b"\0\0\0\x40",
                "line 51: its vector has length .* instead of 1",
            ),
        ],
    )
    def test_invalid_vectors(
        self, store: Store, tmp_path: Path, spoil: Callable[[bytes], bytes], message: str
    ) -> None:
        file, beside = tmp_path / "staff.jsonl", tmp_path / "staff.npy"
        transfer.export(store, "staff", file)
        file.write_bytes(file.read_bytes().replace(b'"m"', b'"mobilefacenet"', 1))
        beside.write_bytes(spoil(beside.read_bytes()))
        with pytest.raises(CopyError, match=message):
            transfer.import_(store, file, "twin")
        assert [one.name for one in store.collections().collections] == ["staff", "guests"]

    @pytest.mark.parametrize("failure", [OSError(28, "No space left"), KeyboardInterrupt()])
    def test_a_failed_one_leaves_nothing(
        self,
        store: Store,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        failure: BaseException,
    ) -> None:
        folder = tmp_path / "out"
        folder.mkdir()

        def fail(*_: object) -> None:
            assert not {"staff.jsonl", "staff.npy"} & {file.name for file in folder.iterdir()}
            raise failure

        monkeypatch.setattr(transfer, "_write", fail)
        with pytest.raises((CopyError, KeyboardInterrupt)):
            transfer.export(store, "staff", folder / "staff.jsonl")
        assert list(folder.iterdir()) == []

    def test_files_that_another_process_wrote_meanwhile_stay(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        monkeypatch.setattr(
            transfer, "_write", lambda *_: (folder / "staff.npy").write_bytes(b"another's")
        )
        with pytest.raises(Occupied, match="is there already"):
            transfer.export(store, "staff", folder / "staff.jsonl")
        assert [file.name for file in folder.iterdir()] == ["staff.npy"]
        assert (folder / "staff.npy").read_bytes() == b"another's"

    def test_a_killed_import_is_removed_later(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        head = transfer.Head(
            CollectionId="x",
            FaceModelVersion="m",
            CreationTimestamp=1.0,
            FaceCount=1,
            Tags={},
            Users=[],
        )
        store.database.write(lambda database: transfer._begin(database, "x", head, "cosine"))
        assert len(store.collections().collections) == 2
        store.make_collection("y", "m")
        store.delete_collection("y")
        with store.database.reading() as database:
            assert database.execute("SELECT count(*) FROM collections").fetchone() == (3,)
        monkeypatch.setattr(schema, "IMPORT_SECONDS", -1)
        store.make_collection("y", "m")
        store.delete_collection("y")
        with store.database.reading() as database:
            assert database.execute("SELECT count(*) FROM collections").fetchone() == (2,)


class TestCopy:
    @pytest.mark.parametrize("backwards", [False, True])
    def test_between_a_file_and_postgresql(self, tmp_path: Path, backwards: bool) -> None:
        places = [(tmp_path / "faces.db", None), (tmp_path / "no.db", postgres.database())]
        origin, other = reversed(places) if backwards else places
        for old in filled(*origin):
            new = Store(*other)
            assert list(transfer.copy(old, new)) == [("staff", 50), ("guests", 0)]
            assert everything(new, "staff") == everything(old, "staff")
            assert list(transfer.copy(old, new)) == [("staff", None), ("guests", None)]
            new.close()

    def test_an_interrupted_one_is_completed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transfer, "CHUNK_FACES", 20)
        url = postgres.database()
        path = tmp_path / "faces.db"
        for store in filled(path):
            before = everything(store, "staff")
        code = (
            "import sys, os; from pathlib import Path; from onlooker.identity import transfer\n"
            "from onlooker.identity.store import Store\n"
            "transfer.CHUNK_FACES, add, left = 20, transfer._add, [2]\n"
            "def dying(*args, **more):\n"
            "    left[0] -= 1\n"
            "    add(*args, **more) if left[0] else os._exit(9)\n"
            "transfer._add = dying\n"
            "with Store(Path(sys.argv[1])) as old, Store(Path('no'), sys.argv[2]) as new:\n"
            "    list(transfer.copy(old, new))\n"
        )
        killed = subprocess.run([sys.executable, "-c", code, str(path), url], check=False)
        assert killed.returncode == 9
        with Store(path) as old, Store(tmp_path / "no.db", url) as new:
            assert new.collections().collections == []
            assert list(transfer.copy(old, new, ["staff"])) == [("staff", 50)]
            assert everything(new, "staff") == before
