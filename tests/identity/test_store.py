import contextlib
import multiprocessing
import os
import random
import re
import resource
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from onlooker.identity import changes, migrations, schema
from onlooker.identity.database import _Write
from onlooker.identity.errors import (
    CollectionExists,
    CollectionNotFound,
    FaceNotFound,
    InvalidName,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    TooMany,
)
from onlooker.identity.faces import NewFace, image_id
from onlooker.identity.store import Store, default_path
from onlooker.page_token import InvalidToken

FORMATS = sorted((Path(__file__).parent / "formats").glob("*.sql"))
SPAWN = multiprocessing.get_context("spawn")


def new(
    seed: int = 0,
    name: str | None = None,
    picture: bytes = b"picture",
    box: tuple[float, float, float, float] = (0.1, 0.2, 0.3, 0.4),
) -> NewFace:
    vector = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return NewFace(picture=picture, external_image_id=name, box=box, confidence=99.5, vector=vector)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "faces.db") as opened:
        yield opened


def test_a_vector_is_of_length_one_where_the_model_compares_by_cosine(store: Store) -> None:
    long = replace(new(), vector=2 * new().vector)
    store.make_collection("staff", "mobilefacenet")
    store.make_collection("guests", "dlib_resnet", metric="euclidean")
    with pytest.raises(ValueError, match=r"length 2\.0000; 'mobilefacenet' compares by cosine"):
        store.add("staff", [new(1), long])
    assert not store.faces("staff").faces
    assert len(store.add("guests", [long])) == 1


class TestCollections:
    def test_are_listed_as_they_were_made_with_their_faces(self, store: Store) -> None:
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
    def test_names_are_amazons(self, store: Store, name: str) -> None:
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

    def test_a_big_one_is_deleted_in_parts(
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
    def test_are_given_changed_and_taken(self, store: Store) -> None:
        store.make_collection("staff", "m", {"team": "red", "site": "Köln"})
        assert store.tags("staff") == {"site": "Köln", "team": "red"}
        store.tag("staff", {"team": "blue", "floor": ""})
        store.untag("staff", ["site", "unknown"])
        assert store.tags("staff") == {"floor": "", "team": "blue"}
        store.delete_collection("staff")
        store.make_collection("staff", "m")
        assert store.tags("staff") == {}

    def test_two_hundred_are_the_most(self, store: Store) -> None:
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

    def test_a_token_only_where_there_is_more(self, store: Store) -> None:
        store.make_collection("staff", "m")
        faces = store.add("staff", [new(seed) for seed in range(4)])
        assert store.faces("staff", limit=4).token is None
        page = store.faces("staff", limit=3)
        assert page.token is not None
        assert store.faces("staff", limit=3, token=page.token).faces == faces[3:]
        with pytest.raises(ValueError, match="at least one entry"):
            store.faces("staff", limit=0)

    def test_who_was_there_all_along_is_seen_once(self, store: Store) -> None:
        store.make_collection("staff", "m")
        kept = [face.face_id for face in store.add("staff", [new(seed) for seed in range(2000)])]
        gone = threading.Event()

        def disturb() -> None:
            with Store(store.path) as other:
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
    def test_come_back_as_they_went_in(self, store: Store) -> None:
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
    def test_names_are_amazons(self, store: Store, name: str) -> None:
        store.make_collection("staff", "m")
        with pytest.raises(InvalidName, match="ExternalImageId"):
            store.add("staff", [new(1), new(2, name)])
        assert store.faces("staff").faces == []

    def test_a_bad_name_comes_with_a_good_one(self, store: Store) -> None:
        store.make_collection("staff", "m")
        with pytest.raises(InvalidName, match=r"'Jane Doe' cannot .*'Jane_Doe' would do"):
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

    def test_deletion_tells_which_were_there(self, store: Store) -> None:
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
    def test_same_picture_and_name_is_stored_once(self, store: Store) -> None:
        store.make_collection("staff", "m")
        first = store.add("staff", [new(1, "anna")])
        assert store.add("staff", [new(1, "anna")]) == first
        assert store.add("staff", [new(1, "anna"), new(1, "anna")]) == first * 2
        assert store.faces("staff").faces == first

    def test_two_faces_of_one_picture_are_two(self, store: Store) -> None:
        store.make_collection("staff", "m")
        faces = [new(1, "anna"), new(2, "anna", box=(0.5, 0.2, 0.3, 0.4))]
        assert len({face.face_id for face in store.add("staff", faces)}) == 2

    def test_another_name_picture_or_model_is_another_face(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.make_collection("guests", "n")
        others = [new(1, "anna"), new(1, "bert"), new(1, "anna", picture=b"other")]
        added = [*store.add("staff", others), *store.add("guests", [new(1, "anna")])]
        assert len({face.face_id for face in added}) == 4

    def test_collections_of_one_model_agree_on_ids(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.make_collection("guests", "m")
        assert store.add("staff", [new(1, "anna")]) == store.add("guests", [new(1, "anna")])

    def test_without_a_name_each_adding_is_a_new_face(self, store: Store) -> None:
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


class TestChanges:
    def test_every_change_has_a_number_of_its_own(self, store: Store) -> None:
        store.make_collection("staff", "m")
        start = changes.last(store.database, "staff")
        faces = store.add("staff", [new(1), new(2), new(3)])
        assert changes.last(store.database, "staff") == start + 3
        store.delete_faces("staff", [faces[1].face_id])
        assert changes.last(store.database, "staff") == start + 4
        store.add("staff", [])
        store.faces("staff")
        assert changes.last(store.database, "staff") == start + 4

    def test_are_what_happened_since(self, store: Store) -> None:
        store.make_collection("staff", "m")
        start = changes.last(store.database, "staff")
        first, second = store.add("staff", [new(1), new(2)])
        middle = changes.last(store.database, "staff")
        store.delete_faces("staff", [first.face_id])
        store.add("staff", [new(3)])

        new_ones = changes.after(store.database, "staff", start)
        assert (new_ones.model, new_ones.reset) == ("m", False)
        assert new_ones.number == changes.last(store.database, "staff")
        assert new_ones.added.tolist() == [start + 2, start + 4]
        np.testing.assert_array_equal(new_ones.vectors, [new(2).vector, new(3).vector])

        new_ones = changes.after(store.database, "staff", middle)
        assert new_ones.deleted.tolist() == [start + 1]
        assert new_ones.added.tolist() == [start + 4]
        assert changes.faces_at(store.database, [start + 1, start + 2]) == {start + 2: second}

        new_ones = changes.after(store.database, "staff", new_ones.number)
        assert (len(new_ones.deleted), len(new_ones.added)) == (0, 0)

    def test_a_collection_made_again_is_another(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.add("staff", [new(1)])
        before = changes.last(store.database, "staff")
        store.delete_collection("staff")
        store.make_collection("staff", "n")
        new_ones = changes.after(store.database, "staff", before)
        assert (new_ones.reset, new_ones.model) == (True, "n")


class TestGroupCommit:
    def test_threads_share_commits(self, store: Store) -> None:
        """And what is wrong with one is its own."""
        store.make_collection("staff", "m")
        commits = 0

        def count(statement: str) -> None:
            nonlocal commits
            commits += statement == "COMMIT"

        store.database._writer.set_trace_callback(count)
        ready = threading.Barrier(16)
        failed = []

        def index(number: int) -> None:
            ready.wait(30)
            for turn in range(20):
                store.add("staff", [new(number, f"{number}.{turn}")])
                try:
                    store.add("nobody", [new(number)])
                except CollectionNotFound:
                    failed.append(number)

        threads = [threading.Thread(target=index, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.faces("staff").faces) == store.collection("staff").faces == 320
        assert len(failed) == 320
        assert commits < 500  # of 640

    def test_a_full_disk_is_the_fault_of_one(self, store: Store) -> None:
        store.make_collection("staff", "m")
        pages = store.database._writer.execute("PRAGMA page_count").fetchone()[0]
        store.database._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
        outcomes: dict[str, str] = {}

        def index(name: str, count: int) -> None:
            try:
                store.add("staff", [new(seed) for seed in range(count)])
                outcomes[name] = "added"
            except StoreFull:
                outcomes[name] = "full"

        with store.database._turn:  # so that both wait for the same commit
            threads = [
                threading.Thread(target=index, args=("big", 2000)),
                threading.Thread(target=index, args=("small", 1)),
            ]
            for thread in threads:
                thread.start()
            while len(store.database._queue) < 2:
                time.sleep(0.001)
        for thread in threads:
            thread.join()
        assert outcomes == {"big": "full", "small": "added"}
        assert store.collection("staff").faces == 1


class TestFormats:
    @pytest.mark.parametrize("file", FORMATS, ids=lambda file: file.stem)
    def test_every_format_there_was_is_brought_up_to_date(self, file: Path, tmp_path: Path) -> None:
        old = sqlite3.connect(tmp_path / "faces.db")
        old.executescript(file.read_text())
        (version,) = old.execute("PRAGMA user_version").fetchone()
        old.close()
        assert version == int(file.stem)
        with Store(tmp_path / "faces.db") as store:
            listed = [(one.name, one.faces, one.users) for one in store.collections().collections]
            assert listed[:2] == [("staff", 2, 0), ("guests", 1, 0)]
            assert store.collection("staff").metric == "cosine"
            assert store.collection("guests").metric == "euclidean"
            anna, nobody = store.faces("staff").faces
            assert (anna.face_id, anna.external_image_id) == (
                "c51d2890-1582-5700-a4d5-52db43292143",
                "anna",
            )
            assert nobody.external_image_id is None
            assert np.linalg.norm(store.vectors("staff", [anna.face_id])) == pytest.approx(1)
            assert changes.after(store.database, "staff", 4).deleted.tolist() == [5]
            store.delete_faces("staff", [nobody.face_id])
            store.create_user("staff", "ann")
            assert store.collection("staff").faces == 1
            (version,) = store.database._writer.execute("PRAGMA user_version").fetchone()
            assert version == len(migrations.MIGRATIONS)
            new_tables = _schema(store)
        with Store(tmp_path / "new.db") as store:
            assert _schema(store) == new_tables

    def test_each_one_is_tried(self) -> None:
        assert [int(file.stem) for file in FORMATS] == list(range(1, len(migrations.MIGRATIONS)))


def _schema(store: Store) -> list[tuple[str]]:
    with store.database.reading() as database:
        return database.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()


class TestFile:
    def test_default_place(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
        assert default_path() == tmp_path / "data" / "faces.db"
        Store(default_path()).close()
        assert default_path().is_file()
        monkeypatch.delenv("ONLOOKER_DATA")
        assert default_path().parent.name == "onlooker"

    def test_is_durable_and_shared(self, store: Store) -> None:
        asked = {
            name: store.database._writer.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "user_version")
        }
        assert asked == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "user_version": 3,
        }

    def test_opens_again_with_all_that_was_there(self, tmp_path: Path) -> None:
        with Store(tmp_path / "faces.db") as store:
            store.make_collection("staff", "m")
            faces = store.add("staff", [new(1, "anna"), new(2)])
        with Store(tmp_path / "faces.db") as store:
            assert store.faces("staff").faces == faces

    def test_text_file(self, tmp_path: Path) -> None:
        (tmp_path / "faces.db").write_text("these are not the faces that you look for" * 100)
        with pytest.raises(StoreError, match=r"faces.db: .* it is not a face store; move"):
            Store(tmp_path / "faces.db")

    def test_another_programs_database_stays_untouched(self, tmp_path: Path) -> None:
        path = tmp_path / "faces.db"
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE recipes (name)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="database of another program"):
            Store(path)
        assert path.read_bytes() == before

    def test_newer_format(self, store: Store, tmp_path: Path) -> None:
        store.database._writer.execute("PRAGMA user_version = 99")
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
        pages = store.database._writer.execute("PRAGMA page_count").fetchone()[0]
        store.database._writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreFull, match="disk is full, and nothing was changed; free some"):
            store.add("staff", [new(seed) for seed in range(2, 2000)])
        assert store.faces("staff").faces == [kept]
        store.database._writer.execute("PRAGMA max_page_count = 1000000")
        store.add("staff", [new(2)])
        assert len(store.faces("staff").faces) == 2

    def test_read_only(self, store: Store) -> None:
        store.make_collection("staff", "m")
        store.database._writer.execute("PRAGMA query_only = 1")
        with pytest.raises(StoreReadOnly, match="cannot be written; make the file and its folder"):
            store.add("staff", [new(1)])
        assert store.faces("staff").faces == []

    def test_damage_is_said(self, tmp_path: Path) -> None:
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
            store.database._writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLocked, match="another process has kept it locked"):
                hasty.add("staff", [new(1)])
            assert hasty.faces("staff").faces == []  # readers never wait
            store.database._writer.rollback()
            hasty.add("staff", [new(1)])

    def test_writes_that_wait_together_wait_for_the_lock_once(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onlooker.identity.database.LOCK_SECONDS", 0.1)
        with Store(store.path) as hasty:
            statements: list[str] = []
            hasty.database._writer.set_trace_callback(statements.append)
            writes = [_Write(lambda database: None) for _ in range(5)]
            store.database._writer.execute("BEGIN IMMEDIATE")
            hasty.database._commit(writes)
            store.database._writer.rollback()
            assert statements.count("BEGIN IMMEDIATE") == 1
            assert [type(write.error) for write in writes] == [StoreLocked] * 5
            assert all(write.done for write in writes)

    def test_another_file_in_its_place_is_said(self, store: Store) -> None:
        with store.database.reading():  # so that the next one opens the file again
            for ending in ("", "-wal", "-shm"):
                store.path.with_name(store.path.name + ending).unlink()
            store.path.write_bytes(b"nonsense" * 1000)
            with pytest.raises(StoreDamaged, match="is not a face store"):
                store.collections()

    def test_a_disk_that_fails_is_said(
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
    def test_after_an_unclean_stop_all_of_it_is_checked(
        self, tmp_path: Path, damaged: bool
    ) -> None:
        path = tmp_path / "faces.db"
        reader, end = SPAWN.Pipe(duplex=False)
        writer = SPAWN.Process(target=_add_for_ever, args=(path, 1, end))
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

    def test_while_others_have_it_open_nothing_is_checked(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.make_collection("staff", "m")

        def never(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr("onlooker.identity.database.check", never)
        Store(store.path).close()

    def test_a_child_opens_its_own(self, store: Store) -> None:
        store.database._process += 1
        with pytest.raises(StoreClosed, match="open a Store in each process"):
            store.collections()

    def test_a_closed_one_says_so(self, store: Store) -> None:
        store.close()
        for call in (store.collections, lambda: store.make_collection("staff", "m")):
            with pytest.raises(StoreClosed, match=r"faces\.db: was closed"):
                call()


class TestProcesses:
    def test_read_your_writes(self, store: Store) -> None:
        """What one process added when its call returned, another one reads: every time."""
        store.make_collection("staff", "m")
        here, there = SPAWN.Pipe()
        writer = SPAWN.Process(target=_add_when_asked, args=(store.path, there))
        writer.start()
        for seed in range(300):
            here.send(seed)
            face_id = here.recv()
            assert store.faces("staff").faces[-1].face_id == face_id
        here.send(None)
        writer.join(10)
        assert writer.exitcode == 0

    def test_many_open_a_new_file_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "faces.db"
        start = SPAWN.Barrier(6)
        processes = [
            SPAWN.Process(target=_make_collection, args=(path, number, start))
            for number in range(6)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        with Store(path) as store:
            made = [one.name for one in store.collections().collections]
            assert sorted(made) == [f"c{n}" for n in range(6)]

    def test_killed_writers_lose_nothing_that_was_acknowledged(self, store: Store) -> None:
        store.make_collection("staff", "m")
        for seed in range(10):
            reader, end = SPAWN.Pipe(duplex=False)
            writer = SPAWN.Process(target=_add_for_ever, args=(store.path, seed, end))
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
        (sound,) = store.database._writer.execute("PRAGMA integrity_check").fetchone()
        assert sound == "ok"


def _add_when_asked(path: Path, end: Connection) -> None:
    with Store(path) as store:
        while (seed := end.recv()) is not None:
            [face] = store.add("staff", [new(seed)])
            end.send(face.face_id)


def _make_collection(path: Path, number: int, start: Barrier) -> None:
    start.wait(60)
    with Store(path) as store:
        store.make_collection(f"c{number}", "m")


def _add_for_ever(path: Path, seed: int, end: Connection) -> None:
    with Store(path) as store:
        while True:
            [face] = store.add("staff", [new(seed)])
            end.send(face.face_id)
