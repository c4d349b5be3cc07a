from collections.abc import Iterator

import numpy as np
import pytest
from tests.support.stores import Place
from tests.support.stores import face as new

from onlooker.identity import changes
from onlooker.identity.errors import CollectionNotFound
from onlooker.identity.store import Store


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(*place) as opened:
        yield opened


def test_every_change_has_a_number_of_its_own(store: Store) -> None:
    store.make_collection("staff", "m")
    start = changes.last(store.database, "staff")
    faces = store.add("staff", [new(1), new(2), new(3)])
    assert changes.last(store.database, "staff") == start + 3
    store.delete_faces("staff", [faces[1].face_id])
    assert changes.last(store.database, "staff") == start + 4
    store.add("staff", [])
    store.faces("staff")
    assert changes.last(store.database, "staff") == start + 4


def test_are_what_happened_since(store: Store) -> None:
    store.make_collection("staff", "m")
    start = changes.last(store.database, "staff")
    first, second = store.add("staff", [new(1), new(2)])
    middle = changes.last(store.database, "staff")
    store.delete_faces("staff", [first.face_id])
    store.add("staff", [new(3)])

    found = changes.after(store.database, "staff", start)
    assert (found.model, found.reset) == ("m", False)
    assert found.number == changes.last(store.database, "staff")
    assert found.added.tolist() == [start + 2, start + 4]
    np.testing.assert_array_equal(found.vectors, [new(2).vector, new(3).vector])

    found = changes.after(store.database, "staff", middle)
    assert found.deleted.tolist() == [start + 1]
    assert found.added.tolist() == [start + 4]
    assert changes.faces_at(store.database, [start + 1, start + 2]) == {start + 2: second}

    found = changes.after(store.database, "staff", found.number)
    assert (len(found.deleted), len(found.added)) == (0, 0)


def test_a_collection_made_again_is_another(store: Store) -> None:
    store.make_collection("staff", "m")
    store.add("staff", [new(1)])
    before = changes.last(store.database, "staff")
    store.delete_collection("staff")
    store.make_collection("staff", "n")
    found = changes.after(store.database, "staff", before)
    assert (found.reset, found.model) == (True, "n")


def test_many_come_in_parts(store: Store) -> None:
    store.make_collection("staff", "m")
    faces = store.add("staff", [new(seed) for seed in range(25)])
    store.delete_faces("staff", [faces[0].face_id])
    number, seen = 0, []
    while number != changes.last(store.database, "staff"):
        found = changes.after(store.database, "staff", number, max_added=10)
        number = found.number
        seen += [changes.faces_at(store.database, [each])[each] for each in found.added.tolist()]
    assert seen == faces[1:]


def test_users_have_numbers_of_their_own(store: Store) -> None:
    store.make_collection("staff", "m")
    first, second = store.add("staff", [new(1), new(2)])
    store.create_user("staff", "ann")
    start = changes.last(store.database, "staff")
    store.associate_alike("staff", "ann", [first.face_id], lambda *_: 100.0)
    found = changes.after(store.database, "staff", start, "users")
    [number] = found.added.tolist()
    assert changes.users_at(store.database, [number])[number].user_id == "ann"
    np.testing.assert_array_equal(found.vectors, [new(1).vector])
    store.associate_alike("staff", "ann", [second.face_id], lambda *_: 100.0)
    found = changes.after(store.database, "staff", found.number, "users")
    assert found.deleted.tolist() == [number]
    [vector] = changes.vectors_at(store.database, found.added.tolist(), "users").values()
    np.testing.assert_allclose(vector, (new(1).vector + new(2).vector) / 2, rtol=1e-6)


def test_unknown_collection(store: Store) -> None:
    with pytest.raises(CollectionNotFound):
        changes.last(store.database, "nobody")
    with pytest.raises(CollectionNotFound):
        changes.after(store.database, "nobody", 0)
