import fcntl
import multiprocessing
import random
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from numpy.typing import NDArray

from onlooker.identity.errors import CollectionNotFound, ModelMismatch
from onlooker.identity.faces import Kind, Method, Metric, NewFace
from onlooker.identity.search import index_builder, index_file, replica
from onlooker.identity.search.index import FaceIndex, Found
from onlooker.identity.store import Store
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
    return [hit.entry.face_id for hit in hits]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "faces.db") as opened:
        opened.make_collection("staff", "m")
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
        store.make_collection("far", "m", metric="euclidean")
        faces = store.add("far", [new(vector) for vector in vectors])
        hits = FaceIndex(store, "far", "m", "euclidean").search(vectors[:1], 5)[0]
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
        with pytest.raises(ValueError, match=r"length 3\.0000"):
            store.add("staff", [new(3 * vector)])

    def test_a_collection_compared_in_another_way(self, store: Store) -> None:
        with pytest.raises(ModelMismatch, match="compared by cosine"):
            FaceIndex(store, "staff", "m", "euclidean")


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
        store.make_collection("staff", "m")
        assert index.search(vectors[:1], 1) == [[]]
        store.delete_collection("staff")
        store.make_collection("staff", "other")
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
        self.store.make_collection("staff", "m")
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
        self.store.make_collection("staff", "m")

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
    """A folder with a store of VECTORS, to be searched by Annoy, and the files over them."""
    folder = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch, Store(folder / "faces.db") as store:
        patch.setattr(replica, "MIN_FILE_CHANGES", 1000)
        store.make_collection("staff", "m", method="annoy")
        store.add("staff", [new(vector) for vector in VECTORS])
        index_builder.build(store, "staff", "m", "cosine", "faces")
    return folder


@pytest.fixture
def filed(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A copy of it, in a world where a thousand changes are many."""
    monkeypatch.setattr(replica, "MIN_FILE_CHANGES", 1000)
    monkeypatch.setattr("onlooker.identity.search.index.Builder", InThisProcess)
    shutil.copytree(planted, tmp_path, dirs_exist_ok=True)
    with Store(tmp_path / "faces.db") as opened:
        yield opened


class InThisProcess:
    """A builder without a process."""

    def __init__(
        self, store: Path, collection: str, model: str, metric: Metric, kind: Kind
    ) -> None:
        self.store = store
        self.key = collection, model, metric, kind

    def run(self) -> None:
        with Store(self.store) as opened:
            index_builder.build(opened, *self.key)

    def stop(self) -> None: ...


def files(store: Store, ending: str) -> list[Path]:
    return sorted((store.path.parent / "index").glob(f"*{ending}"))


def by(store: Store, method: Method) -> FaceIndex:
    """An index that searches in this way, with a file as new as it gets."""
    store.set_method("staff", method)
    index = FaceIndex(store, "staff", "m")
    index.wait()
    return index


def is_mapped(index: FaceIndex) -> bool:
    return index.replica.is_mapped


def recall(truth: list[list[Found[StoredFace]]], found: list[list[Found[StoredFace]]]) -> float:
    shares = [len({*ids(a)} & {*ids(b)}) / len(a) for a, b in zip(truth, found, strict=True) if a]
    return float(np.mean(shares))


class TestMethods:
    @pytest.mark.parametrize("method", ["auto", "annoy"])
    def test_finds_what_the_exact_search_finds(
        self, filed: Store, method: Method, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index_file, "MIN_VISITED", 0)  # as hard as for many faces
        truth = by(filed, "exact").search(QUERIES, 10)
        found = by(filed, method).search(QUERIES, 10)
        assert recall(truth, found) >= (0.95 if method == "annoy" else 0.99)
        assert recall([hits[:1] for hits in truth], [hits[:1] for hits in found]) >= 0.99
        # Where both found a face they say the same of it, to the last bit.
        values = {(row, hit.entry.face_id): hit.value for row, t in enumerate(truth) for hit in t}
        for row, hits in enumerate(found):
            assert all(values.get((row, h.entry.face_id), h.value) == h.value for h in hits)
            assert [h.value for h in hits] == sorted((h.value for h in hits), reverse=True)

    def test_annoy_by_distance(self, filed: Store) -> None:
        with Store(filed.path) as store:
            store.make_collection("far", "m", method="annoy", metric="euclidean")
            store.add("far", [new(vector) for vector in VECTORS])
            annoy = FaceIndex(store, "far", "m", "euclidean")
            annoy.wait()
            assert annoy.replica.views().trees is not None
            found = annoy.search(QUERIES, 10)
            store.set_method("far", "exact")
            assert recall(annoy.search(QUERIES, 10), found) >= 0.95

    def test_exact_values(self, filed: Store) -> None:
        found = by(filed, "exact").search(QUERIES, 10)
        products = np.sort(QUERIES @ VECTORS.T)[:, :-11:-1]
        values = [[hit.value for hit in hits] for hits in found]
        np.testing.assert_allclose(values, products, atol=1e-6)

    def test_a_method_is_changed_while_others_search(self, filed: Store) -> None:
        index = by(filed, "auto")
        assert index.replica.views().trees is None
        filed.set_method("staff", "annoy")
        index.search(QUERIES, 1)
        assert index.replica.views().trees is not None
        filed.set_method("staff", "exact")
        index.search(QUERIES, 1)
        assert index.replica.views().exact

    @pytest.mark.parametrize("method", ["auto", "exact", "annoy"])
    def test_an_added_face_is_found_a_deleted_one_is_not(
        self, filed: Store, method: Method
    ) -> None:
        index = by(filed, method)
        before = files(filed, ".vectors")
        for query in QUERIES[:20]:
            [face] = filed.add("staff", [new(query)])
            best, *others = index.search(query[None], 9)[0]
            assert best.entry == face
            gone = [face.face_id, *ids(others)]
            filed.delete_faces("staff", gone)
            left = ids(index.search(query[None], 9)[0])
            assert len(left) == 9
            assert not {*left} & {*gone}
        assert is_mapped(index)
        assert files(filed, ".vectors") == before  # so few changes never made a new one


class TestFile:
    def test_holds_what_the_store_does(self, filed: Store) -> None:
        index = by(filed, "exact")
        mapped = index.replica.views().mapped
        assert mapped is not None
        np.testing.assert_array_equal(mapped.vectors, VECTORS)
        assert not mapped.vectors.flags.writeable
        assert len(index) == len(VECTORS)

    def test_is_used_as_it_is(self, filed: Store) -> None:
        before = [file.stat().st_mtime_ns for file in files(filed, "")]
        by(filed, "annoy").search(QUERIES, 1)
        assert [file.stat().st_mtime_ns for file in files(filed, "")] == before

    def test_many_changes_make_a_new_one(self, filed: Store) -> None:
        index = by(filed, "annoy")
        [old] = files(filed, ".vectors")
        more = people(12, 200)
        filed.add("staff", [new(vector) for vector in more])
        filed.delete_faces("staff", [face.face_id for face in filed.faces("staff").faces[:2000:2]])
        found = index.search(more[::16], 10)
        index.wait()
        [file] = files(filed, ".vectors")
        assert file != old
        assert len(files(filed, ".ann")) == 1
        assert index.replica.seen == index_file.read_manifest(index.replica.base)
        assert len(index) == 4000 + 1600 - 1000
        assert recall(index.search(more[::16], 10), found) >= 0.95
        truth = by(filed, "exact").search(more[::16], 10)
        assert recall(truth, found) >= 0.95

    def test_another_process_takes_the_new_one(self, filed: Store) -> None:
        mine, other = by(filed, "auto"), FaceIndex(filed, "staff", "m")
        old = other.replica.seen
        filed.add("staff", [new(vector) for vector in people(12, 200)])
        mine.search(QUERIES, 1)
        mine.wait()
        other.search(QUERIES, 1)
        other.wait()
        assert old != mine.replica.seen == other.replica.seen

    def test_small_collections_need_none(self, store: Store) -> None:
        store.add("staff", [new(vector) for vector in VECTORS[:500]])
        index = FaceIndex(store, "staff", "m")
        index.wait()
        assert len(index.search(VECTORS[:3], 5)[0]) == 5
        assert not (store.path.parent / "index").exists()

    def test_goes_with_its_collection(self, filed: Store) -> None:
        filed.delete_collection("staff")
        assert [*files(filed, ".vectors"), *files(filed, ".ann"), *files(filed, "manifest")] == []

    @pytest.mark.parametrize("ending", [".vectors", ".ann", ".manifest"])
    @pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
    def test_damage_is_seen_before_it_is_used(self, filed: Store, ending: str, damage: str) -> None:
        for seed in range(3 if damage == "flip" else 1):
            [file] = files(filed, ending)
            data = bytearray(file.read_bytes())
            bad = bytearray(data)
            bad[random.Random(seed).randrange(len(bad))] ^= 1 << seed
            changed = {"flip": bad, "cut": data[: len(data) // 2], "empty": b"", "gone": None}
            content = changed[damage]
            file.unlink()
            if content is not None:
                file.write_bytes(content)
            assert not replica.Replica(filed, "staff", "m", "cosine", "faces").is_mapped
            index = FaceIndex(filed, "staff", "m")
            assert ids(index.search(VECTORS[:1], 1)[0])  # at once, without it
            index.wait()
            assert is_mapped(index)  # made anew
            assert [len(files(filed, each)) for each in (".vectors", ".ann", ".manifest")] == [
                1
            ] * 3

    def test_another_stores_file_is_not_believed(self, filed: Store, tmp_path: Path) -> None:
        """The store was deleted and filled again: the same numbers, other faces."""
        other = tmp_path / "other"
        with Store(other / "faces.db") as store:
            store.make_collection("staff", "m")
            vectors = people(13, 500)
            store.add("staff", [new(vector) for vector in vectors])
            shutil.copytree(filed.path.parent / "index", other / "index")
            assert not replica.Replica(store, "staff", "m", "cosine", "faces").is_mapped

    def test_one_of_a_future_that_was_undone_is_not_believed(
        self, filed: Store, planted: Path
    ) -> None:
        """An older copy of the store was put back by hand, and went on in another way."""
        filed.add("staff", [new(vector) for vector in people(12, 200)])
        by(filed, "auto")
        filed.close()
        shutil.copy(planted / "faces.db", filed.path)
        with Store(filed.path) as store:
            assert not replica.Replica(store, "staff", "m", "cosine", "faces").is_mapped
            store.add("staff", [new(vector) for vector in people(13, 250)])
            assert not replica.Replica(store, "staff", "m", "cosine", "faces").is_mapped

    def test_is_replaced_while_others_have_it_mapped(self, filed: Store) -> None:
        index = by(filed, "annoy")
        found = index.search(QUERIES, 10)
        for file in files(filed, ""):
            file.unlink()
        by(filed, "annoy")
        assert index.search(QUERIES, 10) == found

    def test_only_one_process_makes_it(self, filed: Store) -> None:
        [manifest] = files(filed, ".manifest")
        manifest.unlink()
        with manifest.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            index = FaceIndex(filed, "staff", "m")
            assert not is_mapped(index)  # it searches and inserts meanwhile
            [face] = filed.add("staff", [new(QUERIES[0])])
            assert ids(index.search(QUERIES[:1], 1)[0]) == [face.face_id]
        index.wait()
        assert is_mapped(index)

    def test_full_disk_leaves_the_search_without(
        self, filed: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        for file in [*files(filed, ".manifest"), *files(filed, ".vectors"), *files(filed, ".ann")]:
            file.unlink()
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
        try:
            index = FaceIndex(filed, "staff", "m")
            index.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert ids(index.search(VECTORS[:1], 1)[0])
        assert "no new index file, searching without: [Errno 27] File too large" in caplog.text
        assert files(filed, ".vectors") == files(filed, ".ann") == []

    def test_killed_while_making_it(self, filed: Store) -> None:
        """Whatever instant: the next process finds a whole file, or none, and goes on."""
        context = multiprocessing.get_context("spawn")
        truth = by(filed, "exact").search(QUERIES, 10)
        filed.set_method("staff", "annoy")
        for seed in range(4):
            for manifest in files(filed, ".manifest"):
                manifest.unlink()
            reader, end = context.Pipe(duplex=False)
            maker = context.Process(target=_make_for_ever, args=(filed.path, end))
            maker.start()
            reader.recv()
            time.sleep(random.Random(seed).uniform(0, 0.5))
            maker.kill()
            maker.join(10)
            annoy = by(filed, "annoy")
            assert is_mapped(annoy)
            assert recall(truth, annoy.search(QUERIES, 10)) >= 0.95
            assert len(files(filed, ".ann")) == 1, "what the dead one left is tidied away"


class TestBackground:
    def test_a_process_of_its_own_writes_the_file(self, store: Store) -> None:
        vectors = people(15, 1300)
        store.add("staff", [new(vector) for vector in vectors])
        index = FaceIndex(store, "staff", "m")
        assert not is_mapped(index)
        assert ids(index.search(vectors[:1], 1)[0])  # nobody waits
        index.wait()
        assert is_mapped(index)
        assert len(index) == len(vectors)
        assert index.search(vectors[:1], 1)[0][0].value > 0.9999

    def test_a_store_that_is_closed_meanwhile(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Store(tmp_path / "faces.db") as store:
            store.make_collection("staff", "m")
            store.add("staff", [new(vector) for vector in people(15, 1300)])
            index = FaceIndex(store, "staff", "m")
        index.wait()
        assert caplog.text == ""

    def test_a_collection_that_is_deleted_while_its_file_is_written(
        self, filed: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = index_file.write

        def slowly(*arguments: Any) -> None:
            write(*arguments)
            filed.delete_collection("staff")
            write(*arguments)  # as if it had been deleted a moment before

        monkeypatch.setattr(index_file, "write", slowly)
        filed.add("staff", [new(vector) for vector in people(12, 200)])
        with pytest.raises(CollectionNotFound):
            index_builder.build(filed, "staff", "m", "cosine", "faces")
        assert [*files(filed, ".vectors"), *files(filed, ".ann"), *files(filed, "manifest")] == []

    def test_what_it_says_is_handed_on(self, tmp_path: Path) -> None:
        (tmp_path / "faces.db").write_text("no database" * 100)
        with pytest.raises(index_builder.BuildError, match="it is not a face store"):
            index_builder.Builder(tmp_path / "faces.db", "staff", "m", "cosine", "faces").run()


def _make_for_ever(path: Path, end: Connection) -> None:
    replica.MIN_FILE_CHANGES = 1000
    with Store(path) as store:
        end.send("begins")
        while True:
            for manifest in files(store, ".manifest"):
                manifest.unlink()
            index_builder.build(store, "staff", "m", "cosine", "faces")
