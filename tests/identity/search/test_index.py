import random
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.support.indexes import (
    DIM,
    QUERIES,
    VECTORS,
    InThisProcess,
    by,
    files,
    ids,
    is_mapped,
    new,
    people,
    recall,
)

from onlooker.identity.errors import CollectionNotFound, ModelMismatch
from onlooker.identity.faces import Method, NewFace
from onlooker.identity.search import index_file, replica
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store


class TestSearch:
    def test_nearest_first(self, store: Store) -> None:
        vectors = people(1, 20)
        faces = store.add("staff", [new(vector) for vector in vectors])
        index = FaceIndex(store, "staff", "m")
        for query, results in zip(vectors, index.search(vectors, 10), strict=True):
            order = np.argsort(-(vectors @ query), kind="stable")[:10]
            assert ids(results) == [faces[row].face_id for row in order]
            np.testing.assert_allclose(
                [hit.value for hit in results], (vectors @ query)[order], atol=1e-6
            )

    def test_by_distance(self, store: Store) -> None:
        vectors = people(1, 20) * 1.4
        store.make_collection("far", "m", metric="euclidean")
        faces = store.add("far", [new(vector) for vector in vectors])
        results = FaceIndex(store, "far", "m", "euclidean").search(vectors[:1], 5)[0]
        distances = np.linalg.norm(vectors - vectors[0], axis=1)
        order = np.argsort(distances)[:5]
        assert ids(results) == [faces[row].face_id for row in order]
        np.testing.assert_allclose([hit.value for hit in results], distances[order], atol=1e-6)

    def test_fewer_if_there_are_fewer(self, store: Store) -> None:
        index = FaceIndex(store, "staff", "m")
        assert index.search(people(2, 1), 5) == [[]] * 8
        store.add("staff", [new(people(1, 1)[0])])
        assert [len(results) for results in index.search(people(2, 1), 5)] == [1] * 8
        assert index.search(np.empty((0, DIM), np.float32), 5) == []

    def test_of_equal_faces_the_first_comes_first(self, store: Store) -> None:
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
    """An index that searches now and then agrees with the store after any history."""

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
    def create_again(self) -> None:
        self.store.delete_collection("staff")
        self.store.make_collection("staff", "m")

    @rule()
    def compare(self) -> None:
        there = {face.face_id for face in self.store.faces("staff").faces}
        found = self.index.search(self.pool[:1], 1000)[0]
        assert set(ids(found)) == there
        assert len(found) == len(there) == len(self.index)
        values = [hit.value for hit in found]
        assert values == sorted(values, reverse=True)

    def teardown(self) -> None:
        self.compare()
        self.store.close()
        self.folder.cleanup()


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


class TestMethods:
    @pytest.mark.parametrize("method", ["auto", "annoy"])
    def test_finds_what_the_exact_search_finds(
        self, filed: Store, method: Method, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index_file, "MIN_VISITED", 0)  # as hard as for many faces
        truth = by(filed, "exact").search(QUERIES, 10)
        found = by(filed, method).search(QUERIES, 10)
        assert recall(truth, found) >= (0.95 if method == "annoy" else 0.99)
        assert (
            recall([results[:1] for results in truth], [results[:1] for results in found]) >= 0.99
        )
        # A face that both found has the same value, to the last bit.
        values = {(row, hit.entry.face_id): hit.value for row, t in enumerate(truth) for hit in t}
        for row, results in enumerate(found):
            assert all(values.get((row, h.entry.face_id), h.value) == h.value for h in results)
            assert [h.value for h in results] == sorted((h.value for h in results), reverse=True)

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
        values = [[hit.value for hit in results] for results in found]
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

    @pytest.mark.parametrize("method", ["auto", "exact", "annoy"])
    def test_what_is_left_after_most_were_deleted(
        self, store: Store, method: Method, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Deleted faces displace nobody, also before a new file is written."""
        monkeypatch.setattr(replica, "MIN_FILE_CHANGES", 1000)
        monkeypatch.setattr("onlooker.identity.search.index.Builder", InThisProcess)
        store.set_method("staff", method)
        faces = store.add("staff", [new(vector) for vector in VECTORS])
        index = by(store, method)
        assert is_mapped(index)
        monkeypatch.setattr(replica, "MIN_FILE_CHANGES", 10**6)
        left = np.arange(0, len(VECTORS), 10)
        gone = [face.face_id for row, face in enumerate(faces) if row % 10]
        store.delete_faces("staff", gone)
        found = index.search(QUERIES, 20)
        right = 0
        for query, results in zip(QUERIES, found, strict=True):
            best = left[np.argsort(-(VECTORS[left] @ query))[:20]]
            right += len({*ids(results)} & {faces[row].face_id for row in best})
        assert right / (20 * len(QUERIES)) >= (0.98 if method == "annoy" else 1.0)
        assert len(index.search(QUERIES[:1], 1000)[0]) == len(left) == len(index)


class TestBackground:
    def test_a_process_of_its_own_writes_the_file(self, store: Store) -> None:
        vectors = people(15, 1300)
        store.add("staff", [new(vector) for vector in vectors])
        index = FaceIndex(store, "staff", "m")
        assert not is_mapped(index)
        assert ids(index.search(vectors[:1], 1)[0])  # no search waits
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
