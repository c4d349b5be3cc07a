import fcntl
import multiprocessing
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from numpy.typing import NDArray

from onlooker.identity import forest
from onlooker.identity.collection import Method
from onlooker.identity.index import FaceIndex, Found, ModelMismatch
from onlooker.identity.rows import Metric
from onlooker.identity.store import CollectionNotFound, NewFace, Store
from onlooker.types import StoredFace

Vectors = NDArray[np.float32]
DIM = 64


def unit(vectors: NDArray[np.floating]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def people(seed: int, count: int, pictures: int = 8, cosine: float = 0.6) -> Vectors:
    """Pictures of `count` people: two of one person are at about `cosine`."""
    chance = np.random.default_rng(seed)
    centres = unit(chance.standard_normal((count, DIM)))
    spread = np.sqrt((1 / cosine - 1) / DIM)
    noise = spread * chance.standard_normal((count * pictures, DIM))
    return unit(np.repeat(centres, pictures, axis=0) + noise)


def new(vector: Vectors) -> NewFace:
    return NewFace(
        picture=b"", external_image_id=None, box=(0, 0, 1, 1), confidence=99, vector=vector
    )


def ids(hits: list[Found[StoredFace]]) -> list[str]:
    return [hit.what.face_id for hit in hits]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "faces.db") as opened:
        opened.create_collection("staff", "m")
        yield opened


class TestSearch:
    def test_nearest_first(self, store: Store) -> None:
        vectors = people(1, 20)
        faces = store.add("staff", [new(vector) for vector in vectors])
        index = FaceIndex(store, "staff", "m")
        for query, hits in zip(vectors, index.search(vectors, 10), strict=True):
            order = np.argsort(-(vectors @ query), kind="stable")[:10]
            assert ids(hits) == [faces[row].face_id for row in order]
            np.testing.assert_allclose(
                [hit.value for hit in hits], (vectors @ query)[order], atol=1e-6
            )

    def test_by_distance(self, store: Store) -> None:
        vectors = people(1, 20) * 1.4
        faces = store.add("staff", [new(vector) for vector in vectors])
        hits = FaceIndex(store, "staff", "m", "euclidean").search(vectors[:1], 5)[0]
        distances = np.linalg.norm(vectors - vectors[0], axis=1)
        order = np.argsort(distances)[:5]
        assert ids(hits) == [faces[row].face_id for row in order]
        np.testing.assert_allclose([hit.value for hit in hits], distances[order], atol=1e-6)

    def test_fewer_where_there_are_fewer(self, store: Store) -> None:
        index = FaceIndex(store, "staff", "m")
        assert index.search(people(2, 1), 5) == [[]] * 8
        store.add("staff", [new(people(1, 1)[0])])
        assert [len(hits) for hits in index.search(people(2, 1), 5)] == [1] * 8
        assert index.search(np.empty((0, DIM), np.float32), 5) == []

    def test_of_equals_the_first_to_come(self, store: Store) -> None:
        vector = people(1, 1)[0]
        first, second = store.add("staff", [new(vector), new(vector)])
        assert ids(FaceIndex(store, "staff", "m").search(vector[None], 2)[0]) == [
            first.face_id,
            second.face_id,
        ]

    def test_vectors_of_another_length(self, store: Store) -> None:
        store.add("staff", [new(people(1, 1)[0])])
        with pytest.raises(ValueError, match=r"shape \(1, 3\), but .* vectors of 64 numbers"):
            FaceIndex(store, "staff", "m").search(np.ones((1, 3), np.float32), 1)

    def test_vectors_that_are_not_of_length_one(self, store: Store) -> None:
        vector = people(1, 1)[0]
        store.add("staff", [new(vector)])
        with pytest.raises(ValueError, match=r"length 2\.0000; .* by cosine it needs 1"):
            FaceIndex(store, "staff", "m").search(2 * vector[None], 1)
        store.add("staff", [new(3 * vector)])
        with pytest.raises(ValueError, match=r"length 3\.0000"):
            FaceIndex(store, "staff", "m")


class TestCatchingUp:
    def test_an_added_face_is_found_a_deleted_one_is_not(self, store: Store) -> None:
        index = FaceIndex(store, "staff", "m")
        for vector in people(3, 30):
            [face] = store.add("staff", [new(vector)])
            assert ids(index.search(vector[None], 1)[0]) == [face.face_id]
            if random.Random(face.face_id).random() < 0.5:
                store.delete_faces("staff", [face.face_id])
                assert face.face_id not in ids(index.search(vector[None], 300)[0])
        assert len(index) == len(store.faces("staff").faces)

    def test_a_face_that_was_added_again(self, store: Store) -> None:
        vector = people(1, 1)[0]
        named = NewFace(
            picture=b"", external_image_id="anna", box=(0, 0, 1, 1), confidence=99, vector=vector
        )
        index = FaceIndex(store, "staff", "m")
        [face] = store.add("staff", [named])
        for _ in range(3):
            store.delete_faces("staff", [face.face_id])
            store.add("staff", [named])
            assert ids(index.search(vector[None], 5)[0]) == [face.face_id]

    def test_a_collection_that_was_made_again(self, store: Store) -> None:
        vectors = people(1, 2)
        store.add("staff", [new(vector) for vector in vectors])
        index = FaceIndex(store, "staff", "m")
        store.delete_collection("staff")
        with pytest.raises(CollectionNotFound):
            index.search(vectors, 1)
        store.create_collection("staff", "m")
        assert index.search(vectors[:1], 1) == [[]]
        store.delete_collection("staff")
        store.create_collection("staff", "other")
        with pytest.raises(ModelMismatch, match="holds vectors of other"):
            index.search(vectors, 1)

    def test_threads_search_while_others_change(self, store: Store) -> None:
        """The one face that always stays is found by every search."""
        vectors = people(4, 100)
        [kept] = store.add("staff", [new(vectors[0])])
        index = FaceIndex(store, "staff", "m")
        stop, missed = threading.Event(), []

        def search() -> None:
            while not stop.is_set():
                if ids(index.search(vectors[:1], 1)[0]) != [kept.face_id]:
                    missed.append(1)

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        for start in range(1, 800, 80):
            added = store.add("staff", [new(vector) for vector in vectors[start : start + 80]])
            store.delete_faces("staff", [face.face_id for face in added[::2]])
            store.delete_faces("staff", [face.face_id for face in added[1::2]])
        stop.set()
        for thread in threads:
            thread.join()
        assert not missed


class History(RuleBasedStateMachine):
    """Whatever happens to a collection, an index that looks now and then agrees with the store."""

    pool = people(7, 10)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "faces.db")
        self.store.create_collection("staff", "m")
        self.index = FaceIndex(self.store, "staff", "m")

    @rule(rows=st.lists(st.integers(0, len(pool) - 1), max_size=40))
    def add(self, rows: list[int]) -> None:
        self.store.add(
            "staff",
            [
                NewFace(
                    picture=bytes([row]),
                    external_image_id=f"face{row}",
                    box=(0, 0, 1, 1),
                    confidence=99,
                    vector=self.pool[row],
                )
                for row in rows
            ],
        )

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        there = [face.face_id for face in self.store.faces("staff").faces]
        if there:
            self.store.delete_faces("staff", data.draw(st.lists(st.sampled_from(there))))

    @rule()
    def begin_anew(self) -> None:
        self.store.delete_collection("staff")
        self.store.create_collection("staff", "m")

    @rule()
    def look(self) -> None:
        there = {face.face_id for face in self.store.faces("staff").faces}
        found = self.index.search(self.pool[:1], 1000)[0]
        assert set(ids(found)) == there
        assert len(found) == len(there) == len(self.index)
        values = [hit.value for hit in found]
        assert values == sorted(values, reverse=True)

    def teardown(self) -> None:
        self.look()
        self.store.close()
        self.folder.cleanup()


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


PICTURES = people(11, 500, pictures=9).reshape(500, 9, DIM)
VECTORS = PICTURES[:, :8].reshape(4000, DIM)
QUERIES = PICTURES[::5, 8]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of VECTORS and the Annoy file over them."""
    folder = tmp_path_factory.mktemp("planted")
    with Store(folder / "faces.db") as store:
        store.create_collection("staff", "m")
        store.add("staff", [new(vector) for vector in VECTORS])
        FaceIndex(store, "staff", "m", method="annoy")
    return folder


@pytest.fixture
def forested(planted: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copytree(planted, tmp_path, dirs_exist_ok=True)
    with Store(tmp_path / "faces.db") as opened:
        yield opened


def files(store: Store, ending: str) -> list[Path]:
    return sorted((store.folder / "index").glob(f"*{ending}"))


def both(store: Store, metric: Metric = "cosine") -> tuple[FaceIndex, FaceIndex]:
    return (
        FaceIndex(store, "staff", "m", metric, method="exact"),
        FaceIndex(store, "staff", "m", metric, method="annoy"),
    )


def recall(truth: list[list[Found[StoredFace]]], found: list[list[Found[StoredFace]]]) -> float:
    shares = [len({*ids(a)} & {*ids(b)}) / len(a) for a, b in zip(truth, found, strict=True) if a]
    return float(np.mean(shares))


class TestAnnoy:
    def test_finds_what_the_exact_search_finds(
        self, forested: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forest, "VISITED_LEAST", 0)  # as hard as for many faces
        exact, annoy = both(forested)
        truth, found = exact.search(QUERIES, 10), annoy.search(QUERIES, 10)
        assert annoy._trees is not None
        assert exact._trees is None
        assert recall(truth, found) >= 0.95
        assert recall([hits[:1] for hits in truth], [hits[:1] for hits in found]) >= 0.99
        # Where both found a face they say the same of it, to the last bit.
        values = {(row, hit.what.face_id): hit.value for row, t in enumerate(truth) for hit in t}
        for row, hits in enumerate(found):
            assert all(values.get((row, h.what.face_id), h.value) == h.value for h in hits)
            assert [h.value for h in hits] == sorted((h.value for h in hits), reverse=True)

    def test_by_distance(self, forested: Store) -> None:
        exact, annoy = both(forested, "euclidean")
        assert annoy._trees is not None
        assert recall(exact.search(QUERIES, 10), annoy.search(QUERIES, 10)) >= 0.95

    def test_an_added_face_is_found_a_deleted_one_is_not(self, forested: Store) -> None:
        _, annoy = both(forested)
        for query in QUERIES[:20]:
            [face] = forested.add("staff", [new(query)])
            best, *others = annoy.search(query[None], 9)[0]
            assert best.what == face
            gone = [face.face_id, *ids(others)]
            forested.delete_faces("staff", gone)
            left = ids(annoy.search(query[None], 9)[0])
            assert len(left) == 9
            assert not {*left} & {*gone}
        [file] = files(forested, ".ann")  # so few changes never made a new one
        assert file.stat().st_size > VECTORS.nbytes

    def test_many_changes_make_a_new_file(self, forested: Store) -> None:
        exact, annoy = both(forested)
        [old] = files(forested, ".ann")
        more = people(12, 200)
        forested.add("staff", [new(vector) for vector in more])
        forested.delete_faces(
            "staff", [face.face_id for face in forested.faces("staff").faces[:2000:2]]
        )
        assert recall(exact.search(more[::16], 10), annoy.search(more[::16], 10)) >= 0.95
        [file] = files(forested, ".ann")
        assert file != old
        assert annoy._trees is not None
        assert annoy._trees.number >= forested.change("staff") - 1000

    def test_small_collections_need_no_file(self, store: Store) -> None:
        store.add("staff", [new(vector) for vector in VECTORS[:500]])
        index = FaceIndex(store, "staff", "m", method="annoy")
        assert len(index.search(VECTORS[:3], 5)[0]) == 5
        assert not (store.folder / "index").exists()

    @pytest.mark.parametrize("method", ["auto", "exact"])
    def test_only_who_asks_gets_one(self, forested: Store, method: Method) -> None:
        assert FaceIndex(forested, "staff", "m", method=method)._trees is None

    def test_auto_takes_it_when_there_are_very_many(
        self, forested: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onlooker.identity.index.ANNOY_FROM", len(VECTORS))
        index = FaceIndex(forested, "staff", "m")
        assert index._trees is not None
        forested.delete_faces("staff", [forested.faces("staff").faces[0].face_id])
        index.search(QUERIES, 1)
        assert index._trees is None


class TestAnnoyFile:
    def test_is_used_as_it_is(self, forested: Store) -> None:
        [file] = files(forested, ".ann")
        before = file.stat().st_mtime_ns
        FaceIndex(forested, "staff", "m", method="annoy")
        assert [one.stat().st_mtime_ns for one in files(forested, ".ann")] == [before]

    @pytest.mark.parametrize("ending", [".ann", ".manifest"])
    @pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
    def test_damage_is_seen_before_it_is_mapped(
        self, forested: Store, ending: str, damage: str
    ) -> None:
        [file] = files(forested, ending)
        data = bytearray(file.read_bytes())
        for seed in range(5):
            bad = bytearray(data)
            bad[random.Random(seed).randrange(len(bad))] ^= 1 << seed
            changed = {"flip": bad, "cut": data[: len(data) // 2], "empty": b"", "gone": None}
            content = changed[damage]
            file.unlink(missing_ok=True)
            if content is not None:
                file.write_bytes(content)
            index = FaceIndex(forested, "staff", "m", method="annoy")
            assert index._trees is not None  # made anew
            assert len(files(forested, ".ann")) == len(files(forested, ".manifest")) == 1
            [file] = files(forested, ending)
            data = bytearray(file.read_bytes())

    def test_another_stores_file_is_not_believed(self, forested: Store, tmp_path: Path) -> None:
        """The store was deleted and filled again: the same numbers, other faces."""
        other = tmp_path / "other"
        with Store(other / "faces.db") as store:
            store.create_collection("staff", "m")
            vectors = people(13, 500)
            store.add("staff", [new(vector) for vector in vectors])
            shutil.copytree(forested.folder / "index", other / "index")
            exact, annoy = both(store)
            assert recall(exact.search(vectors[:50], 10), annoy.search(vectors[:50], 10)) >= 0.95

    def test_is_replaced_while_others_have_it_mapped(self, forested: Store) -> None:
        _, mine = both(forested)
        [file] = files(forested, ".manifest")
        file.unlink()
        both(forested)
        assert len(mine.search(QUERIES, 10)) == len(QUERIES)

    def test_only_one_process_makes_it(self, forested: Store) -> None:
        [manifest] = files(forested, ".manifest")
        manifest.unlink()
        with manifest.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _, waiting = both(forested)
            assert waiting._trees is None  # it searches everything meanwhile
            assert ids(waiting.search(VECTORS[:1], 1)[0])
        waiting.search(VECTORS[:1], 1)
        assert waiting._trees is not None

    def test_full_disk_leaves_the_exact_search(
        self,
        forested: Store,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        [old] = files(forested, ".ann")
        [manifest] = files(forested, ".manifest")
        manifest.unlink()
        monkeypatch.setattr(forest, "_write", full)
        exact, annoy = both(forested)
        assert annoy.search(QUERIES, 3) == exact.search(QUERIES, 3)
        assert "searching exactly: [Errno 28] No space left" in caplog.text
        assert files(forested, ".ann") == [old]

    def test_killed_while_making_it(self, forested: Store) -> None:
        """Whatever instant: the next process finds a whole file, or none, and goes on."""
        context = multiprocessing.get_context("spawn")
        exact, _ = both(forested)
        truth = exact.search(QUERIES, 10)
        for seed in range(6):
            for manifest in files(forested, ".manifest"):
                manifest.unlink()
            reader, end = context.Pipe(duplex=False)
            maker = context.Process(target=_make_for_ever, args=(forested.path, end))
            maker.start()
            reader.recv()
            time.sleep(random.Random(seed).uniform(0, 0.5))
            maker.kill()
            maker.join(10)
            _, annoy = both(forested)
            assert annoy._trees is not None
            assert recall(truth, annoy.search(QUERIES, 10)) >= 0.95
            assert len(files(forested, ".ann")) == 1, "what the dead one left is tidied away"


def _make_for_ever(path: Path, end: Connection) -> None:
    with Store(path) as store:
        end.send("begins")
        while True:
            for manifest in files(store, ".manifest"):
                manifest.unlink()
            FaceIndex(store, "staff", "m", method="annoy")
