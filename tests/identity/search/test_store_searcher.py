import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.indexes import SPACE, VECTORS, new, unit

from onlooker.identity.search import replica
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.replica import Replica
from onlooker.identity.search.searcher import Searcher
from onlooker.identity.store import Store


@pytest.fixture
def searcher(tmp_path: Path) -> Iterator[Searcher]:
    with open_searcher(tmp_path / "faces.db", SPACE) as opened:
        yield opened


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
