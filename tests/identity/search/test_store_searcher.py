import gc
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support import postgres
from tests.support.indexes import SPACE, VECTORS, InThisProcess, new, unit
from tests.support.stores import Place
from tests.support.vectors import at

from onlooker.identity.errors import CollectionNotFound, ModelMismatch
from onlooker.identity.faces import NewFace
from onlooker.identity.search import index_cache, replica
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.replica import Replica
from onlooker.identity.search.searcher import Searcher
from onlooker.identity.search.similarity import likeness, similarity
from onlooker.identity.search.store_searcher import StoreSearcher
from onlooker.identity.store import Store
from onlooker.models.card import space


@pytest.fixture
def searcher(tmp_path: Path) -> Iterator[Searcher]:
    with open_searcher(tmp_path / "faces.db", SPACE) as opened:
        yield opened


@pytest.fixture
def staff(place: Place) -> Iterator[StoreSearcher]:
    path, url = place
    with StoreSearcher(path, space("mobilefacenet"), url) as opened:
        opened.create_collection("staff")
        people = {"anna": 1.0, "bert": 0.7, "carl": 0.6, "dora": 0.3, "emil": -0.5}
        opened.add(
            "staff",
            [
                NewFace(
                    picture=name.encode(),
                    external_image_id=name,
                    box=(0, 0, 1, 1),
                    confidence=99,
                    vector=at(cosine),
                )
                for name, cosine in people.items()
            ],
        )
        yield opened


class TestSearch:
    def test_best_first_down_to_the_threshold(self, staff: StoreSearcher) -> None:
        [found] = staff.search_faces("staff", at(1.0)[None])
        assert [one.face.external_image_id for one in found] == ["anna", "bert", "carl"]
        assert found[0].similarity == 100.0
        assert 100 > found[1].similarity > found[2].similarity >= 80

    def test_most_faces(self, staff: StoreSearcher) -> None:
        [found] = staff.search_faces("staff", at(1.0)[None], 0, 2)
        assert [one.face.external_image_id for one in found] == ["anna", "bert"]

    def test_no_match(self, staff: StoreSearcher) -> None:
        assert staff.search_faces("staff", at(-1.0)[None]) == [()]
        assert staff.search_faces("staff", np.empty((0, 192), dtype=np.float32)) == []

    def test_each_vector_has_its_own(self, staff: StoreSearcher) -> None:
        vectors = np.stack([at(-0.5), at(0.0), at(0.7)])
        found = staff.search_faces("staff", vectors, threshold=100)
        names = [[one.face.external_image_id for one in identities] for identities in found]
        assert names == [["emil"], [], ["bert"]]

    def test_an_indexed_face_is_found_by_the_next_search(self, staff: StoreSearcher) -> None:
        for number in range(200):
            vector = np.zeros(192, dtype=np.float32)
            vector[number % 190 + 2] = -1 if number >= 190 else 1
            [stored] = staff.add(
                "staff",
                [
                    NewFace(
                        picture=bytes([number]),
                        external_image_id=None,
                        box=(0, 0, 1, 1),
                        confidence=99,
                        vector=vector,
                    )
                ],
            )
            [found] = staff.search_faces("staff", vector[None])
            assert [(one.similarity, one.face) for one in found] == [(100.0, stored)]
            staff.delete_faces("staff", [stored.face_id])
            assert staff.search_faces("staff", vector[None]) == [()]

    def test_another_models_collection(self, staff: StoreSearcher) -> None:
        staff.make_collection("guests", "dlib_resnet")
        advice = r'holds vectors of dlib_resnet.*mobilefacenet: set embedder = "dlib_resnet" under'
        with pytest.raises(ModelMismatch, match=advice):
            staff.prepare("guests")

    def test_unknown_collection(self, staff: StoreSearcher) -> None:
        with pytest.raises(CollectionNotFound, match="nobody does not exist"):
            staff.search_faces("nobody", at(1.0)[None])

    def test_all_matches_are_found(self, staff: StoreSearcher) -> None:
        """Also if there are more than the first search returns."""
        twins = [
            NewFace(
                picture=b"twins",
                external_image_id=None,
                box=(0, 0, 1, 1),
                confidence=99,
                vector=at(0.99),
            )
        ]
        staff.add("staff", twins * 300)
        [found] = staff.search_faces("staff", at(1.0)[None])
        assert len(found) == 303
        assert len(staff.search_faces("staff", at(1.0)[None], max_faces=280)[0]) == 280

    def test_a_collection_that_is_made_again(self, staff: StoreSearcher) -> None:
        staff.prepare("staff")
        staff.delete_collection("staff")
        with pytest.raises(CollectionNotFound):
            staff.search_faces("staff", at(1.0)[None])
        staff.make_collection("staff", "mobilefacenet")
        assert staff.search_faces("staff", at(1.0)[None]) == [()]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
class TestMemory:
    def test_of_many_collections_is_bounded(
        self,
        staff: StoreSearcher,
        monkeypatch: pytest.MonkeyPatch,
        request: pytest.FixtureRequest,
    ) -> None:
        """A collection for each tenant; each is searched once, and not all stay in memory."""
        monkeypatch.setattr(index_cache, "SWEEP_SECONDS", 0.0)
        loaded: list[weakref.ref[Replica]] = []
        load = Replica.__init__

        def counted(self: Replica, *arguments: Any) -> None:
            load(self, *arguments)
            loaded.append(weakref.ref(self))

        monkeypatch.setattr(Replica, "__init__", counted)
        faces = [new(at(0.5 + number / 1000)) for number in range(200)]
        for number in range(30):
            staff.make_collection(f"tenant{number}", "mobilefacenet")
            staff.add(f"tenant{number}", faces)
        nbytes = len(faces) * faces[0].vector.nbytes
        bounded = StoreSearcher(staff.path, staff.space, max_bytes=10 * nbytes)
        request.addfinalizer(bounded.close)
        for number in range(30):
            bounded.search_faces(f"tenant{number}", at(1.0)[None])
        gc.collect()
        alive = [replica() is not None for replica in loaded]
        assert 2 <= sum(alive) <= 10
        assert not any(alive[:20])
        bounded.search_faces("tenant29", at(1.0)[None])
        assert len(loaded) == 30  # it was still there
        [found] = bounded.search_faces("tenant0", at(1.0)[None])
        assert len(loaded) == 31
        assert len(found) == 153  # above the threshold, as before


class TestUsers:
    def test_are_found_by_the_mean_of_their_faces(self, staff: StoreSearcher) -> None:
        faces = {face.external_image_id: face.face_id for face in staff.faces("staff").faces}
        alike = likeness(staff.space)
        for user_id in ("ann", "em", "nobody"):
            staff.create_user("staff", user_id)
        assert staff.search_users("staff", at(0.6)[None]) == [()]
        staff.associate_alike("staff", "ann", [faces["anna"], faces["bert"]], alike)
        staff.associate_alike("staff", "em", [faces["emil"]], alike)
        [[found]] = staff.search_users("staff", at(0.6)[None])
        assert (found.user.user_id, found.user.status) == ("ann", "ACTIVE")
        mean = (at(1.0) + at(0.7)) / np.linalg.norm(at(1.0) + at(0.7))
        assert found.similarity == pytest.approx(
            similarity(float(mean @ at(0.6)), staff.space.calibration)
        )
        [everybody] = staff.search_users("staff", at(0.6)[None], threshold=0)
        assert [one.user.user_id for one in everybody] == ["ann", "em"]
        [[most]] = staff.search_users("staff", at(0.6)[None], threshold=0, max_users=1)
        assert most == everybody[0]

    def test_the_next_search_includes_all_changes(self, staff: StoreSearcher) -> None:
        [anna] = [one for one in staff.faces("staff").faces if one.external_image_id == "anna"]
        for _ in range(3):
            staff.create_user("staff", "ann")
            staff.associate_alike("staff", "ann", [anna.face_id], likeness(staff.space))
            [[found]] = staff.search_users("staff", at(1.0)[None])
            assert (found.similarity, found.user.faces) == (100.0, 1)
            assert staff.search_faces("staff", at(1.0)[None])[0][0].face.user_id == "ann"
            staff.disassociate("staff", "ann", [anna.face_id])
            assert staff.search_users("staff", at(1.0)[None]) == [()]
            assert staff.search_faces("staff", at(1.0)[None])[0][0].face.user_id is None
            staff.associate_alike("staff", "ann", [anna.face_id], likeness(staff.space))
            staff.delete_user("staff", "ann")
            assert staff.search_users("staff", at(1.0)[None]) == [()]


def test_a_slow_first_search_holds_up_no_other_collection(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First searches of several collections at once, of which one takes long to load."""
    names = [f"c{number}" for number in range(6)]
    for number, name in enumerate(names):
        searcher.create_collection(name)
        searcher.add(name, [new(VECTORS[100 * number])])
    loading, go_on, load = threading.Event(), threading.Event(), Replica.catch_up

    def slowly(self: Replica) -> bool:
        if self.collection == "c0" and not loading.is_set():
            loading.set()
            assert go_on.wait(60)
        return load(self)

    monkeypatch.setattr(Replica, "catch_up", slowly)
    found: dict[str, float] = {}

    def search(number: int) -> None:
        [[match]] = searcher.search_faces(names[number], VECTORS[100 * number][None])
        found[names[number]] = match.similarity

    first = threading.Thread(target=search, args=(0,))
    first.start()
    assert loading.wait(60)
    others = [threading.Thread(target=search, args=(number,)) for number in range(1, 6)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join(60)
    assert found == dict.fromkeys(names[1:], 100.0)
    go_on.set()
    first.join(60)
    assert found["c0"] == 100.0


def test_a_machine_does_not_keep_what_another_one_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies are files of each machine; here two folders stand for two machines."""
    monkeypatch.setattr(replica, "MIN_FILE_CHANGES", 1000)
    monkeypatch.setattr("onlooker.identity.search.index.Builder", InThisProcess)
    url = postgres.database()
    here, there = tmp_path / "here" / "faces.db", tmp_path / "there" / "faces.db"
    with open_searcher(here, SPACE, url) as ours, open_searcher(there, SPACE, url) as theirs:
        for name in ("asked", "unasked"):
            ours.create_collection(name)
            ours.add(name, [new(vector) for vector in VECTORS[:1200]])
            with open_searcher(there, SPACE, url, finish_seconds=60) as short:
                short.prepare(name)
        assert len(list(there.parent.rglob("*.vectors"))) == 2
        theirs.prepare("asked")
        for name in ("asked", "unasked"):
            ours.delete_collection(name)
        with pytest.raises(CollectionNotFound):
            theirs.search_faces("asked", VECTORS[:1])
        assert len(list(there.parent.rglob("*.vectors"))) == 1
    with open_searcher(there, SPACE, url):  # as the next start does
        assert list(there.parent.rglob("*.vectors")) == []


class TestClosing:
    @pytest.fixture
    def full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A store whose collection gets an index file by the first search."""
        path = tmp_path / "full.db"
        with Store(path) as store:
            store.make_collection("staff", "m")
            chance = np.random.default_rng(1)
            for _ in range(4):
                vectors = unit(chance.standard_normal((2500, 8)))
                store.add("staff", [new(vector) for vector in vectors])
        assert replica.MIN_FILE_CHANGES == 10_000
        return path

    def test_a_single_search_can_leave_a_file_for_the_next_one(self, full: Path) -> None:
        with open_searcher(full, SPACE, finish_seconds=60) as searcher:
            searcher.prepare("staff")
        assert len(list((full.parent / "index").glob("*.manifest"))) == 1

    def test_it_waits_no_longer_than_it_may(self, full: Path) -> None:
        with open_searcher(full, SPACE) as searcher:
            searcher.prepare("staff")
            began = time.monotonic()
        assert time.monotonic() - began < 10
        assert list((full.parent / "index").glob("*.manifest")) == []
