import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.indexes import VECTORS, new, unit

from onlooker.identity.errors import CollectionNotFound, ModelMismatch, StoreClosed
from onlooker.identity.search import replica
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.replica import Replica
from onlooker.identity.search.searcher import Searcher, all_collections, all_faces
from onlooker.identity.store import Store
from onlooker.models.card import Calibration, Space

SPACE = Space(
    name="m",
    dim=64,
    smallest=40.0,
    calibration=Calibration(metric="cosine", slope=21.69, midpoint=0.4821),
)


@pytest.fixture
def searcher(tmp_path: Path) -> Iterator[Searcher]:
    with open_searcher(tmp_path / "faces.db", SPACE) as opened:
        yield opened


def test_a_face_is_found_from_its_adding_to_its_deletion(searcher: Searcher) -> None:
    assert searcher.space is SPACE
    made = searcher.create_collection("staff", {"team": "red"})
    assert (made.model, made.metric, searcher.tags("staff")) == ("m", "cosine", {"team": "red"})
    searcher.prepare("staff")
    first, second = searcher.add("staff", [new(VECTORS[0]), new(VECTORS[100])])
    [found] = searcher.search_faces("staff", VECTORS[:1])
    assert [(one.face, one.similarity) for one in found] == [(first, 100.0)]
    assert len(searcher.search_faces("staff", VECTORS[:1], 0.0, 1)[0]) == 1
    searcher.delete_faces("staff", [first.face_id])
    assert searcher.search_faces("staff", VECTORS[:1], 0.0)[0][0].face == second
    searcher.delete_collection("staff")
    with pytest.raises(CollectionNotFound):
        searcher.search_faces("staff", VECTORS[:1])


def test_users_are_alike_by_the_calibration_of_the_space(searcher: Searcher) -> None:
    searcher.create_collection("staff")
    searcher.create_user("staff", "ann")
    first, twin, other = searcher.add(
        "staff", [new(VECTORS[0]), new(VECTORS[0]), new(VECTORS[100])]
    )
    ids = [first.face_id, twin.face_id, other.face_id]
    done = searcher.associate("staff", "ann", ids)
    assert done.faces == ids[:2]
    assert [failure.reason for failure in done.failed] == ["LOW_MATCH_CONFIDENCE"]
    assert searcher.associate("staff", "ann", ids[2:], threshold=0.0).faces == ids[2:]
    searcher.disassociate("staff", "ann", ids[2:])
    searcher.prepare("staff", "users")
    [[match]] = searcher.search_users("staff", VECTORS[:1])
    assert (match.user.user_id, match.similarity) == ("ann", 100.0)


def test_a_collection_of_another_model(searcher: Searcher, tmp_path: Path) -> None:
    with Store(tmp_path / "faces.db") as store:
        store.make_collection("old", "dlib_resnet", metric="euclidean")
    with pytest.raises(ModelMismatch, match="dlib_resnet"):
        searcher.prepare("old")


def test_everything_is_listed_page_by_page(searcher: Searcher) -> None:
    for number in range(7):
        searcher.create_collection(f"c{number}")
    faces = searcher.add("c3", [new(vector) for vector in VECTORS[:5000]])
    assert [one.name for one in all_collections(searcher)] == [f"c{n}" for n in range(7)]
    assert list(all_faces(searcher, "c3")) == faces


def test_a_closed_one(searcher: Searcher) -> None:
    searcher.create_collection("staff")
    searcher.prepare("staff")
    searcher.close()
    with pytest.raises(StoreClosed):
        searcher.search_faces("staff", VECTORS[:1])


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
