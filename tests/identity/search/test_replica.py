from pathlib import Path

import numpy as np
import pytest
from tests.support.indexes import QUERIES, VECTORS, new, people

from onlooker.identity.errors import CollectionNotFound, ModelMismatch
from onlooker.identity.search import index_builder
from onlooker.identity.search.replica import Replica, check_lengths
from onlooker.identity.store import Store


def replica_of(store: Store) -> Replica:
    return Replica(store, "staff", "m", "cosine", "faces")


@pytest.fixture
def empty(store: Store) -> Replica:
    return replica_of(store)


def test_it_catches_up_with_what_was_added_and_deleted(store: Store, empty: Replica) -> None:
    assert (len(empty), empty.is_mapped, empty.catch_up()) == (0, False, False)
    faces = store.add("staff", [new(vector) for vector in VECTORS[:20]])
    assert empty.catch_up()
    store.delete_faces("staff", [face.face_id for face in faces[:5]])
    assert empty.catch_up()
    assert not empty.catch_up()
    assert len(empty) == 15
    view = empty.views().recent
    np.testing.assert_array_equal(view.vectors[view.live == 1], VECTORS[5:20])


def test_views_stay_valid_meanwhile(store: Store, empty: Replica) -> None:
    store.add("staff", [new(vector) for vector in VECTORS[:20]])
    empty.catch_up()
    views = empty.views()
    numbers, _ = views.nearest(VECTORS[:1], 5, "cosine")
    store.add("staff", [new(vector) for vector in VECTORS[20:400]])
    empty.catch_up()
    np.testing.assert_array_equal(views.nearest(VECTORS[:1], 5, "cosine")[0], numbers)


def test_a_mapped_file_and_newer_vectors_are_one(filed: Store) -> None:
    mapped = replica_of(filed)
    assert mapped.is_mapped
    more = people(12, 20)
    filed.add("staff", [new(vector) for vector in more])
    mapped.catch_up()
    assert len(mapped) == len(VECTORS) + len(more)
    numbers, values = mapped.views().nearest(more[:3], 4, "cosine")
    everyone = np.concatenate([VECTORS, more])
    expected = np.sort(more[:3] @ everyone.T)[:, :-5:-1]
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert (np.diff(values) <= 0).all()
    assert (numbers > 0).all()


def test_its_own_memory_is_counted_and_the_files_is_not(filed: Store) -> None:
    mapped = replica_of(filed)
    assert mapped.nbytes < VECTORS.nbytes / 50
    filed.make_collection("copy", "m")
    filed.add("copy", [new(vector) for vector in VECTORS])
    copied = Replica(filed, "copy", "m", "cosine", "faces")
    assert copied.nbytes >= VECTORS.nbytes


def test_when_a_new_file_pays(filed: Store) -> None:
    """A thousand changes are many here."""
    mapped = replica_of(filed)
    filed.set_method("staff", "auto")
    filed.add("staff", [new(vector) for vector in QUERIES])
    mapped.catch_up()
    assert not mapped.is_stale()
    filed.add("staff", [new(vector) for vector in people(12, 120)])
    mapped.catch_up()
    assert mapped.is_stale()
    index_builder.build(filed, "staff", "m", "cosine", "faces")
    assert not replica_of(filed).is_stale()


def test_a_method_that_needs_trees_makes_a_file_without_them_stale(filed: Store) -> None:
    filed.set_method("staff", "exact")
    filed.add("staff", [new(vector) for vector in people(12, 130)])
    index_builder.build(filed, "staff", "m", "cosine", "faces")
    mapped = replica_of(filed)
    assert not mapped.is_stale()
    filed.set_method("staff", "annoy")
    mapped.catch_up()
    assert mapped.is_stale()


def test_another_model_another_metric_or_no_collection(store: Store, empty: Replica) -> None:
    with pytest.raises(ModelMismatch, match=r"holds vectors of m, .* those of n"):
        Replica(store, "staff", "n", "cosine", "faces")
    with pytest.raises(ModelMismatch, match=r"are compared by cosine, and now m .* by euclidean"):
        Replica(store, "staff", "m", "euclidean", "faces")
    store.delete_collection("staff")
    with pytest.raises(CollectionNotFound):
        empty.catch_up()


def test_lengths() -> None:
    check_lengths(VECTORS, "cosine")
    check_lengths(2 * VECTORS, "euclidean")
    with pytest.raises(ValueError, match=r"length 2\.0000"):
        check_lengths(2 * VECTORS, "cosine")


def test_a_users_vector_is_scaled_to_length_one(tmp_path: Path) -> None:
    with Store(tmp_path / "faces.db") as store:
        store.make_collection("staff", "m")
        first, second = store.add("staff", [new(VECTORS[0]), new(VECTORS[100])])
        store.create_user("staff", "ann")
        both = [first.face_id, second.face_id]
        store.associate_alike("staff", "ann", both, lambda *_: 100.0)
        users = Replica(store, "staff", "m", "cosine", "users")
        [vector] = users.views().recent.vectors
        mean = (VECTORS[0] + VECTORS[100]) / 2
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
