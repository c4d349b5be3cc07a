"""The search of a large collection in PostgreSQL, against a naive one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support import postgres
from tests.support.indexes import QUERIES, SPACE, VECTORS, new

from onlooker.identity.errors import CollectionNotFound
from onlooker.identity.faces import Metric
from onlooker.identity.postgres import postgres_connection
from onlooker.identity.postgres.postgres_database import PostgresDatabase
from onlooker.identity.search import postgres_index
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.postgres_index import PostgresIndex, face_index
from onlooker.identity.store import Store
from onlooker.types import StoredFace


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(postgres_index, "MIN_INDEXED", 1000)
    with Store(Path("no file"), postgres.database()) as opened:
        yield opened


def filled(store: Store, metric: Metric = "cosine") -> tuple[PostgresIndex[StoredFace], list[str]]:
    store.make_collection("staff", "m", metric=metric)
    faces = store.add("staff", [new(vector) for vector in VECTORS])
    assert isinstance(store.database, PostgresDatabase)
    return face_index(store.database, "staff", "m", metric), [face.face_id for face in faces]


def indexes(store: Store) -> list[str]:
    found = store.database.rows(
        "SELECT relname::text FROM pg_class WHERE relname LIKE '%_nearest_%'", ()
    )
    return [name for (name,) in found]


def built(index: PostgresIndex[StoredFace], store: Store) -> None:
    index.search(QUERIES[:1], 1)
    index.wait()
    assert indexes(store) == ["faces_nearest_1"]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_index_finds_what_a_scan_finds(store: Store, metric: Metric) -> None:
    index, names = filled(store, metric)
    built(index, store)
    found = index.search(QUERIES, 10)
    distances = np.linalg.norm(QUERIES[:, None] - VECTORS[None], axis=2)
    right = 0
    for query, hits in enumerate(found):
        best = set(np.argsort(distances[query])[:10].tolist())
        places = [names.index(hit.entry.face_id) for hit in hits]
        right += len(best & set(places))
        exact = (
            QUERIES[query] @ VECTORS[places].T if metric == "cosine" else distances[query, places]
        )
        np.testing.assert_allclose([hit.value for hit in hits], exact, atol=1e-5)
        assert [hit.value for hit in hits] == sorted(
            (hit.value for hit in hits), reverse=metric == "cosine"
        )
    assert right / (10 * len(QUERIES)) >= 0.98


def test_the_index_is_part_of_every_change(store: Store) -> None:
    index, names = filled(store)
    built(index, store)
    store.delete_faces("staff", [names[5]])
    assert index.search(VECTORS[5:6], 1)[0][0].entry.face_id != names[5]
    [again] = store.add("staff", [new(VECTORS[5])])
    assert index.search(VECTORS[5:6], 1)[0][0].entry.face_id == again.face_id


def test_the_index_goes_with_its_collection(store: Store) -> None:
    index, _ = filled(store)
    built(index, store)
    store.delete_collection("staff")
    assert indexes(store) == []
    with pytest.raises(CollectionNotFound):
        index.search(QUERIES[:1], 1)


def test_an_index_that_was_not_completed_is_built_again(store: Store) -> None:
    index, _ = filled(store)
    built(index, store)
    store.database.write(
        lambda each: each.execute(
            "UPDATE pg_index SET indisvalid = false "
            "WHERE indexrelid = 'onlooker.faces_nearest_1'::regclass"
        )
    )
    index.search(QUERIES[:1], 1)
    index.wait()
    index._next_build = 0.0
    index.search(QUERIES[:1], 1)
    index.wait()
    [(valid,)] = store.database.rows(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'onlooker.faces_nearest_1'::regclass",
        (),
    )
    assert valid


def test_more_results_than_the_index_gives(store: Store) -> None:
    index, _ = filled(store)
    built(index, store)
    for count in (100, 101, 256, 3000):
        assert len(index.search(QUERIES[:1], count)[0]) == count


def test_all_faces_of_one_person_are_found(store: Store) -> None:
    random = np.random.default_rng(1)
    near = VECTORS[0] + random.normal(0, 0.01, (1200, VECTORS.shape[1]))
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    store.make_collection("staff", "m")
    store.add("staff", [new(vector) for vector in near.astype(np.float32)])
    assert isinstance(store.database, PostgresDatabase)
    index = face_index(store.database, "staff", "m", "cosine")
    built(index, store)
    for count in (100, 250):
        [found] = index.search(VECTORS[:1], count)
        assert len({hit.entry.face_id for hit in found}) == count


def test_an_index_that_another_machine_has_just_built_stays(store: Store) -> None:
    index, _ = filled(store)
    built(index, store)
    number = "SELECT 'onlooker.faces_nearest_1'::regclass::oid::bigint"
    before = store.database.rows(number, ())
    index._build(1, VECTORS.shape[1])  # as if the search had been before that
    assert store.database.rows(number, ()) == before


def test_a_long_reader_does_not_keep_the_faces_of_a_deleted_collection(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index, _ = filled(store)
    built(index, store)
    settings = {**postgres_connection.SETTINGS, "lock_timeout": "100ms"}
    monkeypatch.setattr(postgres_connection, "SETTINGS", settings)
    with store.database.reading() as reader:
        reader.execute("SELECT count(*) FROM faces").fetchone()
        store.delete_collection("staff")
    assert "a vector index remains for now collection=staff" in caplog.text
    assert store.database.rows("SELECT count(*) FROM faces", ()) == [(0,)]
    assert indexes(store) == ["faces_nearest_1"]
    store.make_collection("guests", "m")
    store.delete_collection("guests")
    assert indexes(store) == []


def test_closing_cancels_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_index, "MIN_INDEXED", 1000)
    url = postgres.database()
    with open_searcher(Path("no file"), SPACE, url) as searcher:
        searcher.create_collection("staff")
        searcher.add("staff", [new(vector) for vector in VECTORS])
        searcher.search_faces("staff", QUERIES[:1])
    with open_searcher(Path("no file"), SPACE, url, finish_seconds=60) as searcher:
        searcher.search_faces("staff", QUERIES[:1])
    with Store(Path("no file"), url) as store:
        assert indexes(store) == ["faces_nearest_1"]
