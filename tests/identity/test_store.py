import contextlib
import multiprocessing
import random
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
from tests.support.stores import Place
from tests.support.stores import face as new

from onlooker.identity import backup, schema
from onlooker.identity.duplicates import image_id
from onlooker.identity.errors import (
    CollectionExists,
    CollectionNotFound,
    FaceNotFound,
    InvalidName,
    StoreError,
    TooMany,
)
from onlooker.identity.faces import NewFace
from onlooker.identity.store import Store, default_path
from onlooker.page_token import InvalidToken

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(*place) as opened:
        yield opened


def test_without_the_client_of_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onlooker.identity.postgres.postgres_database", None)
    with pytest.raises(StoreError, match=r"pip install 'onlooker\[postgres\]'"):
        Store(Path("no file"), "postgresql://db/faces")


def test_a_vector_is_of_length_one_where_the_model_compares_by_cosine(store: Store) -> None:
    long = replace(new(), vector=2 * new().vector)
    store.make_collection("staff", "mobilefacenet")
    store.make_collection("guests", "dlib_resnet", metric="euclidean")
    with pytest.raises(ValueError, match=r"length 2\.0000; 'mobilefacenet' compares by cosine"):
        store.add("staff", [new(1), long])
    assert not store.faces("staff").faces
    assert len(store.add("guests", [long])) == 1


class TestCollections:
    def test_are_listed_in_the_order_of_creation(self, store: Store) -> None:
        store.make_collection("staff", "mobilefacenet")
        store.make_collection("Guests_2.1-a", "dlib_resnet")
        store.add("staff", [new(1), new(2)])
        listed = [(one.name, one.model, one.faces) for one in store.collections().collections]
        assert listed == [("staff", "mobilefacenet", 2), ("Guests_2.1-a", "dlib_resnet", 0)]
        assert store.collection("staff").created == pytest.approx(time.time(), abs=5)

    def test_names_are_case_sensitive(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.make_collection("Staff", "m")
        assert len(store.collections().collections) == 2

    def test_a_name_is_taken_once(self, store: Store) -> None:
        store.make_collection("staff", "m")
        with pytest.raises(CollectionExists, match="The collection id: staff already exists"):
            store.make_collection("staff", "other")

    @pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "a:b", "a" * 256, "a\n"])
    def test_names_follow_amazons_pattern(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidName, match="CollectionId"):
            store.make_collection(name, "m")

    def test_deletion_takes_the_faces_and_frees_the_name(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.add("staff", [new()])
        store.delete_collection("staff")
        assert store.collections().collections == []
        store.make_collection("staff", "m")
        assert store.faces("staff").faces == []

    def test_unknown_collection_says_what_to_do(self, store: Store) -> None:
        unknown = re.escape("The collection id: nobody does not exist. ListCollections")
        for call in (store.faces, store.collection, store.delete_collection):
            with pytest.raises(CollectionNotFound, match=unknown):
                call("nobody")
        with pytest.raises(CollectionNotFound, match=unknown):
            store.add("nobody", [new()])
        with pytest.raises(CollectionNotFound, match=unknown):
            store.delete_faces("nobody", [])

    def test_come_in_pages(self, store: Store) -> None:
        names = [f"c{number}" for number in range(7)]
        for name in names:
            store.make_collection(name, "m")
        page = store.collections(limit=3)
        seen = [one.name for one in page.collections]
        store.delete_collection("c2")  # the token's own
        store.delete_collection("c4")
        while page.token:
            page = store.collections(limit=2, token=page.token)
            seen += [one.name for one in page.collections]
        assert seen == ["c0", "c1", "c2", "c3", "c5", "c6"]

    def test_a_large_collection_is_deleted_in_parts(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onlooker.identity.schema.SWEEP_FACES", 10)
        store.make_collection("staff", "m")
        store.make_collection("guests", "m")
        store.add("staff", [new(seed) for seed in range(35)])
        [kept] = store.add("guests", [new(1)])
        sweep = schema.sweep
        monkeypatch.setattr(schema, "sweep", lambda database: False)  # killed over it
        store.delete_collection("staff")
        store.make_collection("staff", "m")
        assert store.faces("staff").faces == []
        monkeypatch.setattr(schema, "sweep", sweep)
        store.delete_collection("staff")
        assert [one.name for one in store.collections().collections] == ["guests"]
        with store.database.reading() as database:
            left = database.execute("SELECT face_id FROM faces").fetchall()
        assert left == [(kept.face_id,)]


class TestTags:
    def test_are_added_changed_and_removed(self, store: Store) -> None:
        store.make_collection("staff", "m", {"team": "red", "site": "Köln"})
        assert store.tags("staff") == {"site": "Köln", "team": "red"}
        store.tag("staff", {"team": "blue", "floor": ""})
        store.untag("staff", ["site", "unknown"])
        assert store.tags("staff") == {"floor": "", "team": "blue"}
        store.delete_collection("staff")
        store.make_collection("staff", "m")
        assert store.tags("staff") == {}

    def test_at_most_two_hundred(self, store: Store) -> None:
        store.make_collection("staff", "m", {str(number): "" for number in range(200)})
        with pytest.raises(TooMany, match="at most 200 tags; this would make 201"):
            store.tag("staff", {"x": ""})
        store.tag("staff", {"1": "changed"})
        assert len(store.tags("staff")) == 200
        with pytest.raises(TooMany):
            store.make_collection("guests", "m", {str(number): "" for number in range(201)})
        assert len(store.collections().collections) == 1

    def test_unknown_collection(self, store: Store) -> None:
        with pytest.raises(CollectionNotFound):
            store.tags("nobody")
        with pytest.raises(CollectionNotFound):
            store.tag("nobody", {})
        with pytest.raises(CollectionNotFound):
            store.untag("nobody", [])


class TestPages:
    def test_faces_by_id(self, store: Store) -> None:
        store.make_collection("staff", "m")
        faces = store.add("staff", [new(seed) for seed in range(6)])
        ids = [faces[place].face_id for place in (4, 1, 3, 1)]
        page = store.faces("staff", face_ids=[*ids, "unknown"], limit=2)
        assert page.faces == [faces[1], faces[3]]
        rest = store.faces("staff", face_ids=["unknown", *ids[::-1]], limit=2, token=page.token)
        assert (rest.faces, rest.token) == ([faces[4]], None)
        with pytest.raises(InvalidToken):
            store.faces("staff", face_ids=ids[:1], token=page.token)
        with pytest.raises(InvalidToken):
            store.faces("staff", token=page.token)

    def test_a_token_only_if_there_is_more(self, store: Store) -> None:
        store.make_collection("staff", "m")
        faces = store.add("staff", [new(seed) for seed in range(4)])
        assert store.faces("staff", limit=4).token is None
        page = store.faces("staff", limit=3)
        assert page.token is not None
        assert store.faces("staff", limit=3, token=page.token).faces == faces[3:]
        with pytest.raises(ValueError, match="at least one entry"):
            store.faces("staff", limit=0)

    def test_a_face_that_exists_throughout_is_listed_once(self, store: Store) -> None:
        store.make_collection("staff", "m")
        kept = [face.face_id for face in store.add("staff", [new(seed) for seed in range(2000)])]
        gone = threading.Event()

        def disturb() -> None:
            with Store(store.path, store.url) as other:
                while not gone.is_set():
                    added = other.add("staff", [new(seed) for seed in range(5)])
                    other.delete_faces("staff", [face.face_id for face in added[:4]])

        thread = threading.Thread(target=disturb)
        thread.start()
        page = store.faces("staff", limit=37)
        seen = [face.face_id for face in page.faces]
        while page.token:
            page = store.faces("staff", limit=37, token=page.token)
            seen += [face.face_id for face in page.faces]
        gone.set()
        thread.join()
        assert seen[:2000] == kept
        assert len(set(seen)) == len(seen)


class TestFaces:
    def test_faces_are_returned_as_they_were_added(self, store: Store) -> None:
        store.make_collection("staff", "m")
        [stored] = store.add("staff", [new(3, "Anna:1", box=(-0.1, 0.25, 0.5, 1.25))])
        assert store.faces("staff").faces == [stored]
        assert stored.box == (-0.1, 0.25, 0.5, 1.25)
        assert (stored.external_image_id, stored.confidence) == ("Anna:1", 99.5)
        np.testing.assert_array_equal(store.vectors("staff", [stored.face_id]), new(3).vector[None])

    def test_ids_are_amazons_pattern(self, store: Store) -> None:
        store.make_collection("staff", "m")
        pattern = "[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
        anonymous, named = store.add("staff", [new(1), new(1, "anna")])
        kinds = [re.fullmatch(pattern, face.face_id) for face in (anonymous, named)]
        assert [kind and kind[1] for kind in kinds] == ["4", "5"]
        assert anonymous.image_id == named.image_id == image_id(b"picture")

    def test_order_is_that_of_adding(self, store: Store) -> None:
        store.make_collection("staff", "m")
        added = [face for seed in range(5) for face in store.add("staff", [new(seed)])]
        assert store.faces("staff").faces == added

    @pytest.mark.parametrize("name", ["", "Jane Doe", "a/b", "é", "a" * 256])
    def test_names_follow_amazons_pattern(self, store: Store, name: str) -> None:
        store.make_collection("staff", "m")
        with pytest.raises(InvalidName, match="ExternalImageId"):
            store.add("staff", [new(1), new(2, name)])
        assert store.faces("staff").faces == []

    def test_an_invalid_name_comes_with_a_valid_one(self, store: Store) -> None:
        store.make_collection("staff", "m")
        with pytest.raises(InvalidName, match=r"'Jane Doe' cannot .*'Jane::Doe' would do"):
            store.add("staff", [new(2, "Jane Doe")])

    @pytest.mark.parametrize(
        "vector", [[], [[1.0, 2.0]], [1.0, float("nan")], [float("inf"), 0.0]], ids=str
    )
    def test_vectors_are_finite_and_flat(self, store: Store, vector: list[float]) -> None:
        store.make_collection("staff", "m")
        face = NewFace(
            picture=b"",
            external_image_id=None,
            box=(0, 0, 1, 1),
            confidence=1,
            vector=np.array(vector, dtype=np.float32),
        )
        with pytest.raises(ValueError, match="finite"):
            store.add("staff", [face])

    def test_vectors_of_one_collection_have_one_length(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.add("staff", [new()])
        longer = NewFace(
            picture=b"",
            external_image_id=None,
            box=(0, 0, 1, 1),
            confidence=1,
            vector=np.ones(9, dtype=np.float32),
        )
        with pytest.raises(ValueError, match=r"lengths \[8, 9\]"):
            store.add("staff", [new(1), longer])
        assert len(store.faces("staff").faces) == 1

    def test_deletion_returns_which_existed(self, store: Store) -> None:
        store.make_collection("staff", "m")
        first, second = store.add("staff", [new(1), new(2)])
        unknown = "00000000-0000-0000-0000-000000000000"
        assert store.delete_faces("staff", [second.face_id, unknown]).deleted == [second.face_id]
        assert store.delete_faces("staff", [second.face_id]).deleted == []
        assert store.faces("staff").faces == [first]

    def test_vector_of_an_unknown_face(self, store: Store) -> None:
        store.make_collection("staff", "m")
        with pytest.raises(FaceNotFound, match="faceId abc was not found in the collection"):
            store.vectors("staff", ["abc"])
        assert store.vectors("staff", []).shape == (0, 0)


class TestDuplicates:
    def test_the_same_image_and_name_is_stored_once(self, store: Store) -> None:
        store.make_collection("staff", "m")
        first = store.add("staff", [new(1, "anna")])
        assert store.add("staff", [new(1, "anna")]) == first
        assert store.add("staff", [new(1, "anna"), new(1, "anna")]) == first * 2
        assert store.faces("staff").faces == first

    def test_two_faces_of_one_image_are_two(self, store: Store) -> None:
        store.make_collection("staff", "m")
        faces = [new(1, "anna"), new(2, "anna", box=(0.5, 0.2, 0.3, 0.4))]
        assert len({face.face_id for face in store.add("staff", faces)}) == 2

    def test_another_name_image_or_model_is_another_face(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.make_collection("guests", "n")
        others = [new(1, "anna"), new(1, "bert"), new(1, "anna", picture=b"other")]
        added = [*store.add("staff", others), *store.add("guests", [new(1, "anna")])]
        assert len({face.face_id for face in added}) == 4

    def test_collections_of_one_model_agree_on_ids(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.make_collection("guests", "m")
        assert store.add("staff", [new(1, "anna")]) == store.add("guests", [new(1, "anna")])

    def test_without_a_name_each_face_is_new(self, store: Store) -> None:
        store.make_collection("staff", "m")
        assert store.add("staff", [new()]) != store.add("staff", [new()])
        assert len(store.faces("staff").faces) == 2

    def test_deleted_and_indexed_again_it_has_the_same_id(self, store: Store) -> None:
        store.make_collection("staff", "m")
        [face] = store.add("staff", [new(1, "anna")])
        store.delete_faces("staff", [face.face_id])
        assert store.add("staff", [new(1, "anna")]) == [face]

    def test_sixteen_threads_a_hundred_times(self, store: Store) -> None:
        store.make_collection("staff", "m")
        seen: set[str] = set()

        def index() -> None:
            for _ in range(100):
                seen.update(face.face_id for face in store.add("staff", [new(1, "anna")]))

        threads = [threading.Thread(target=index) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == len(store.faces("staff").faces) == 1


class TestFile:
    def test_default_place(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
        assert default_path() == tmp_path / "data" / "faces.db"
        Store(default_path()).close()
        assert default_path().is_file()
        monkeypatch.delenv("ONLOOKER_DATA")
        assert default_path().parent.name == "onlooker"

    def test_opens_again_with_all_that_was_there(self, place: Place) -> None:
        with Store(*place) as store:
            store.make_collection("staff", "m")
            faces = store.add("staff", [new(1, "anna"), new(2)])
        with Store(*place) as store:
            assert store.faces("staff").faces == faces


class TestProcesses:
    def test_read_your_writes(self, store: Store) -> None:
        """What one process has added, another one reads, every time."""
        store.make_collection("staff", "m")
        here, there = SPAWN.Pipe()
        writer = SPAWN.Process(target=_add_when_asked, args=((store.path, store.url), there))
        writer.start()
        for seed in range(300):
            here.send(seed)
            face_id = here.recv()
            assert store.faces("staff").faces[-1].face_id == face_id
        here.send(None)
        writer.join(10)
        assert writer.exitcode == 0

    def test_many_open_a_new_one_at_once(self, place: Place) -> None:
        path, url = place
        place = path.parent / "new" / "faces.db", url
        start = SPAWN.Barrier(6)
        processes = [
            SPAWN.Process(target=_make_collection, args=(place, number, start))
            for number in range(6)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        with Store(*place) as store:
            made = [one.name for one in store.collections().collections]
            assert sorted(made) == [f"c{n}" for n in range(6)]

    def test_killed_writers_lose_nothing_that_was_acknowledged(self, store: Store) -> None:
        store.make_collection("staff", "m")
        for seed in range(10):
            reader, end = SPAWN.Pipe(duplex=False)
            writer = SPAWN.Process(target=_add_for_ever, args=((store.path, store.url), seed, end))
            writer.start()
            end.close()
            acknowledged = [reader.recv()]
            time.sleep(random.Random(seed).uniform(0, 0.1))
            writer.kill()
            writer.join(10)
            with contextlib.suppress(EOFError):
                while True:
                    acknowledged.append(reader.recv())
            there = [face.face_id for face in store.faces("staff").faces]
            assert set(acknowledged) <= set(there), f"seed {seed}"
            assert len(there) == len(set(there))
        assert list(backup.verify(store)) == []


def _add_when_asked(place: Place, end: Connection) -> None:
    with Store(*place) as store:
        while (seed := end.recv()) is not None:
            [face] = store.add("staff", [new(seed)])
            end.send(face.face_id)


def _make_collection(place: Place, number: int, start: Barrier) -> None:
    start.wait(60)
    with Store(*place) as store:
        store.make_collection(f"c{number}", "m")


def _add_for_ever(place: Place, seed: int, end: Connection) -> None:
    with Store(*place) as store:
        while True:
            [face] = store.add("staff", [new(seed)])
            end.send(face.face_id)
