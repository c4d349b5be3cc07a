from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.stores import Place

from onlooker import idempotency
from onlooker.idempotency import RequestMismatch
from onlooker.identity.errors import (
    CollectionNotFound,
    InvalidName,
    TooMany,
    UserExists,
    UserNotFound,
)
from onlooker.identity.faces import Failure, NewFace, Vectors
from onlooker.identity.store import Store
from onlooker.page_token import InvalidToken

NOBODY = "00000000-0000-0000-0000-000000000000"


def alike(face: Vectors, user: Vectors) -> float:
    """100 for the same direction, 0 for a right angle."""
    return float(100 * face @ user / np.linalg.norm(user))


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(*place) as opened:
        opened.make_collection("staff", "m")
        yield opened


def add(store: Store, degrees: float) -> str:
    """A face whose vector points there."""
    angle = np.radians(degrees)
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    face = NewFace(
        picture=b"", external_image_id=None, box=(0, 0, 1, 1), confidence=99, vector=vector
    )
    [stored] = store.add("staff", [face])
    return stored.face_id


class TestUsers:
    def test_are_listed_as_they_were_made(self, store: Store) -> None:
        for user_id in ("zoe", "ann", "Bob:1"):
            store.create_user("staff", user_id)
        listed = [(user.user_id, user.status) for user in store.users("staff").users]
        assert listed == [("zoe", "CREATED"), ("ann", "CREATED"), ("Bob:1", "CREATED")]
        assert store.collection("staff").users == 3
        store.delete_user("staff", "ann")
        assert [user.user_id for user in store.users("staff").users] == ["zoe", "Bob:1"]
        assert store.collection("staff").users == 2

    def test_come_in_pages(self, store: Store) -> None:
        names = [f"user{number}" for number in range(7)]
        for name in names:
            store.create_user("staff", name)
        seen, token = [], None
        while True:
            page = store.users("staff", limit=3, token=token)
            seen += [user.user_id for user in page.users]
            if (token := page.token) is None:
                break
        assert seen == names
        store.make_collection("guests", "m")
        with pytest.raises(InvalidToken):
            store.users("guests", token=store.users("staff", limit=1).token)

    def test_a_name_is_taken_once(self, store: Store) -> None:
        store.create_user("staff", "ann")
        with pytest.raises(UserExists, match="user id: ann already exists"):
            store.create_user("staff", "ann")

    @pytest.mark.parametrize("name", ["", "a b", "é", "a" * 129])
    def test_names_follow_amazons_pattern(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidName, match="UserId: it takes 1 to 128"):
            store.create_user("staff", name)

    def test_who_is_not_there(self, store: Store) -> None:
        calls: list[Callable[..., Any]] = [
            store.delete_user,
            store.user_vector,
            store.user_vector,
            lambda collection, user: store.associate_alike(collection, user, [], alike),
            lambda collection, user: store.disassociate(collection, user, []),
            lambda collection, user: store.faces(collection, user_id=user),
        ]
        for call in calls:
            with pytest.raises(UserNotFound, match="user id: ann does not exist"):
                call("staff", "ann")
            with pytest.raises(CollectionNotFound):
                call("nobody", "ann")


class TestAssociating:
    def test_faces_of_a_user_are_its_own(self, store: Store) -> None:
        one, other, strange = add(store, 0), add(store, 10), add(store, 90)
        store.create_user("staff", "ann")
        made = store.associate_alike("staff", "ann", [one, other, one], alike)
        assert (made.faces, made.failed, made.status) == ([one, other], [], "ACTIVE")
        assert [face.face_id for face in store.faces("staff", user_id="ann").faces] == [one, other]
        whose = {face.face_id: face.user_id for face in store.faces("staff").faces}
        assert whose == {one: "ann", other: "ann", strange: None}
        mean = store.user_vector("staff", "ann")
        assert mean is not None
        expected = store.vectors("staff", [one, other]).mean(axis=0)
        np.testing.assert_allclose(mean, expected, atol=1e-7)
        assert store.users("staff").users[0].faces == 2

    def test_each_failure_has_its_reason(self, store: Store) -> None:
        own, far, taken, fine = add(store, 0), add(store, 60), add(store, 5), add(store, 8)
        store.create_user("staff", "ann")
        store.create_user("staff", "bob")
        store.associate_alike("staff", "ann", [own], alike)
        store.associate_alike("staff", "bob", [taken], alike)
        made = store.associate_alike("staff", "ann", [far, NOBODY, taken, fine, own], alike)
        assert made.faces == [fine, own]
        low, unknown, different = made.failed
        assert (low.face_id, low.reason, low.user_id) == (far, "LOW_MATCH_CONFIDENCE", "ann")
        assert low.confidence == pytest.approx(50, abs=0.01)
        assert unknown == Failure(face_id=NOBODY, reason="FACE_NOT_FOUND")
        assert different == Failure(
            face_id=taken, reason="ASSOCIATED_TO_A_DIFFERENT_USER", user_id="bob"
        )
        assert store.associate_alike("staff", "ann", [far], alike, threshold=40).faces == [far]

    def test_the_first_face_is_taken_as_it_is_the_next_must_be_like_it(self, store: Store) -> None:
        first, second = add(store, 0), add(store, 90)
        store.create_user("staff", "ann")
        made = store.associate_alike("staff", "ann", [first, second], alike)
        assert made.faces == [first]

    def test_at_most_a_hundred_faces(self, store: Store) -> None:
        faces = [add(store, 0) for _ in range(101)]
        store.create_user("staff", "ann")
        store.associate_alike("staff", "ann", faces[:99], alike)
        with pytest.raises(TooMany, match="ann would have 101 faces, and at most 100 are possible"):
            store.associate_alike("staff", "ann", faces[99:], alike)
        assert store.users("staff").users[0].faces == 99
        assert store.associate_alike("staff", "ann", faces[99:100], alike).failed == []

    def test_taking_faces_away(self, store: Store) -> None:
        one, other, foreign, free = add(store, 0), add(store, 10), add(store, 0), add(store, 0)
        store.create_user("staff", "ann")
        store.create_user("staff", "bob")
        store.associate_alike("staff", "ann", [one, other], alike)
        store.associate_alike("staff", "bob", [foreign], alike)
        taken = store.disassociate("staff", "ann", [one, foreign, free, NOBODY])
        assert (taken.faces, taken.status) == ([one], "ACTIVE")
        assert [(each.face_id, each.reason) for each in taken.failed] == [
            (foreign, "ASSOCIATED_TO_A_DIFFERENT_USER"),
            (free, "FACE_NOT_FOUND"),
            (NOBODY, "FACE_NOT_FOUND"),
        ]
        left = store.user_vector("staff", "ann")
        assert left is not None
        np.testing.assert_allclose(left, store.vectors("staff", [other])[0])
        assert store.disassociate("staff", "ann", [other]).status == "CREATED"
        assert store.user_vector("staff", "ann") is None

    def test_a_face_of_a_user_is_not_deleted(self, store: Store) -> None:
        one, free = add(store, 0), add(store, 0)
        store.create_user("staff", "ann")
        store.associate_alike("staff", "ann", [one], alike)
        outcome = store.delete_faces("staff", [one, free, NOBODY])
        assert outcome.deleted == [free]
        assert outcome.failed == [
            Failure(face_id=one, reason="ASSOCIATED_TO_AN_EXISTING_USER", user_id="ann"),
            Failure(face_id=NOBODY, reason="FACE_NOT_FOUND"),
        ]
        store.delete_user("staff", "ann")
        assert store.delete_faces("staff", [one]).deleted == [one]

    def test_a_collection_with_users_can_be_deleted(self, store: Store) -> None:
        one = add(store, 0)
        store.create_user("staff", "ann")
        store.associate_alike("staff", "ann", [one], alike)
        store.delete_collection("staff")
        assert store.collections().collections == []


class TestRequests:
    def test_the_same_again_changes_nothing_and_has_the_same_answer(self, store: Store) -> None:
        one, far = add(store, 0), add(store, 60)
        store.create_user("staff", "ann", request="r1")
        store.create_user("staff", "ann", request="r1")
        first = store.associate_alike("staff", "ann", [one, far, NOBODY], alike, request="r1")
        assert (
            store.associate_alike("staff", "ann", [one, far, NOBODY], alike, request="r1") == first
        )
        gone = store.disassociate("staff", "ann", [one], request="r1")
        assert store.disassociate("staff", "ann", [one], request="r1") == gone
        store.delete_user("staff", "ann", request="r1")
        store.delete_user("staff", "ann", request="r1")

    def test_with_other_parameters_is_an_error(self, store: Store) -> None:
        store.create_user("staff", "ann", request="r1")
        with pytest.raises(RequestMismatch, match="The ClientRequestToken: r1 you have supplied"):
            store.create_user("staff", "bob", request="r1")
        assert [user.user_id for user in store.users("staff").users] == ["ann"]

    def test_what_failed_may_be_tried_again(self, store: Store) -> None:
        with pytest.raises(CollectionNotFound):
            store.create_user("guests", "ann", request="r1")
        store.make_collection("guests", "m")
        store.create_user("guests", "ann", request="r1")
        assert store.collection("guests").users == 1

    def test_of_a_collection_that_was_made_again_is_another_one(self, store: Store) -> None:
        store.create_user("staff", "ann", request="r1")
        store.delete_collection("staff")
        with pytest.raises(CollectionNotFound):
            store.create_user("staff", "ann", request="r1")
        store.make_collection("staff", "m")
        store.create_user("staff", "ann", request="r1")
        assert [user.user_id for user in store.users("staff").users] == ["ann"]
        store.delete_collection("staff")
        store.make_collection("staff", "m")
        store.create_user("staff", "bob", request="r1")
        assert [user.user_id for user in store.users("staff").users] == ["bob"]

    def test_is_forgotten_after_a_week(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        store.create_user("staff", "ann", request="r1")
        monkeypatch.setattr(idempotency, "TOKEN_SECONDS", -1.0)
        store.create_user("staff", "bob", request="r1")
        assert store.collection("staff").users == 2
