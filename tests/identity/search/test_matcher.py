import gc
import math
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.stores import Place

from onlooker.identity.errors import CollectionNotFound, ModelMismatch
from onlooker.identity.faces import NewFace
from onlooker.identity.search import index_cache
from onlooker.identity.search.matcher import Matcher, likeness, similarity
from onlooker.identity.search.replica import Replica
from onlooker.identity.store import Store
from onlooker.models.card import Calibration, Space, space

COSINE = Calibration(metric="cosine", slope=21.69, midpoint=0.4821)
EUCLIDEAN = Calibration(metric="euclidean", slope=-33.85, midpoint=0.5148)


class TestSimilarity:
    @pytest.mark.parametrize(
        ("value", "calibration", "expected"),
        [
            (0.4821, COSINE, 50.0),
            (0.4821 + math.log(4) / 21.69, COSINE, 80.0),
            (0.4821 + math.log(99) / 21.69, COSINE, 99.0),
            (-1.0, COSINE, 0.0),
            (0.5148, EUCLIDEAN, 50.0),
            (0.5148 - math.log(4) / 33.85, EUCLIDEAN, 80.0),
            (1e9, EUCLIDEAN, 0.0),
        ],
    )
    def test_is_the_cards_curve(
        self, value: float, calibration: Calibration, expected: float
    ) -> None:
        assert similarity(value, calibration) == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("value", [1.0, 1.0000001, 0.9999])
    def test_the_same_image_is_exactly_100(self, value: float) -> None:
        assert similarity(value, COSINE) == 100.0

    def test_same_vector_is_exactly_100(self) -> None:
        assert similarity(0.0, EUCLIDEAN) == 100.0

    @given(st.floats(-1, 1), st.floats(-1, 1))
    def test_grows_with_the_cosine(self, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert 0 <= similarity(low, COSINE) <= similarity(high, COSINE) <= 100


def at(cosine: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A unit vector of 192 numbers at this cosine from the first axis."""
    vector = np.zeros(192, dtype=np.float32)
    vector[0], vector[1] = cosine, math.sqrt(1 - cosine**2)
    return vector


def new(vector: np.ndarray[tuple[int], np.dtype[np.float32]]) -> NewFace:
    return NewFace(
        picture=b"", external_image_id=None, box=(0, 0, 1, 1), confidence=99, vector=vector
    )


@pytest.fixture
def embedder() -> Space:
    return space("mobilefacenet")


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(*place) as opened:
        opened.make_collection("staff", "mobilefacenet")
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


class TestMatcher:
    def test_best_first_down_to_the_threshold(self, store: Store, embedder: Space) -> None:
        [found] = Matcher(store, embedder).faces("staff", at(1.0)[None])
        assert [one.face.external_image_id for one in found] == ["anna", "bert", "carl"]
        assert found[0].similarity == 100.0
        assert 100 > found[1].similarity > found[2].similarity >= 80

    def test_most_faces(self, store: Store, embedder: Space) -> None:
        [found] = Matcher(store, embedder).faces("staff", at(1.0)[None], 0, 2)
        assert [one.face.external_image_id for one in found] == ["anna", "bert"]

    def test_no_match(self, store: Store, embedder: Space) -> None:
        matcher = Matcher(store, embedder)
        assert matcher.faces("staff", at(-1.0)[None]) == [()]
        assert matcher.faces("staff", np.empty((0, 192), dtype=np.float32)) == []

    def test_each_vector_has_its_own(self, store: Store, embedder: Space) -> None:
        vectors = np.stack([at(-0.5), at(0.0), at(0.7)])
        found = Matcher(store, embedder).faces("staff", vectors, threshold=100)
        names = [[one.face.external_image_id for one in identities] for identities in found]
        assert names == [["emil"], [], ["bert"]]

    def test_an_indexed_face_is_found_by_the_next_search(
        self, store: Store, embedder: Space
    ) -> None:
        matcher = Matcher(store, embedder)
        for number in range(200):
            vector = np.zeros(192, dtype=np.float32)
            vector[number % 190 + 2] = -1 if number >= 190 else 1
            [stored] = store.add(
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
            [found] = matcher.faces("staff", vector[None])
            assert [(one.similarity, one.face) for one in found] == [(100.0, stored)]
            store.delete_faces("staff", [stored.face_id])
            assert matcher.faces("staff", vector[None]) == [()]

    def test_another_models_collection(self, store: Store, embedder: Space) -> None:
        store.make_collection("guests", "dlib_resnet")
        advice = r'holds vectors of dlib_resnet.*mobilefacenet: set embedder = "dlib_resnet" under'
        with pytest.raises(ModelMismatch, match=advice):
            Matcher(store, embedder).prepare("guests")

    def test_unknown_collection(self, store: Store, embedder: Space) -> None:
        with pytest.raises(CollectionNotFound, match="nobody does not exist"):
            Matcher(store, embedder).faces("nobody", at(1.0)[None])

    def test_all_matches_are_found(self, store: Store, embedder: Space) -> None:
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
        store.add("staff", twins * 300)
        matcher = Matcher(store, embedder)
        [found] = matcher.faces("staff", at(1.0)[None])
        assert len(found) == 303
        assert len(matcher.faces("staff", at(1.0)[None], max_faces=280)[0]) == 280

    def test_a_collection_that_is_made_again(self, store: Store, embedder: Space) -> None:
        matcher = Matcher(store, embedder)
        matcher.prepare("staff")
        store.delete_collection("staff")
        with pytest.raises(CollectionNotFound):
            matcher.faces("staff", at(1.0)[None])
        store.make_collection("staff", "mobilefacenet")
        assert matcher.faces("staff", at(1.0)[None]) == [()]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
class TestMemory:
    def test_of_many_collections_is_bounded(
        self, store: Store, embedder: Space, monkeypatch: pytest.MonkeyPatch
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
            store.make_collection(f"tenant{number}", "mobilefacenet")
            store.add(f"tenant{number}", faces)
        nbytes = len(faces) * faces[0].vector.nbytes
        matcher = Matcher(store, embedder, max_bytes=10 * nbytes)
        for number in range(30):
            matcher.faces(f"tenant{number}", at(1.0)[None])
        gc.collect()
        alive = [replica() is not None for replica in loaded]
        assert 2 <= sum(alive) <= 10
        assert not any(alive[:20])
        matcher.faces("tenant29", at(1.0)[None])
        assert len(loaded) == 30  # it was still there
        [found] = matcher.faces("tenant0", at(1.0)[None])
        assert len(loaded) == 31
        assert len(found) == 153  # above the threshold, as before


class TestUsers:
    def test_are_found_by_the_mean_of_their_faces(self, store: Store, embedder: Space) -> None:
        faces = {face.external_image_id: face.face_id for face in store.faces("staff").faces}
        alike = likeness(embedder)
        matcher = Matcher(store, embedder)
        for user_id in ("ann", "em", "nobody"):
            store.create_user("staff", user_id)
        assert matcher.users("staff", at(0.6)[None]) == [()]
        store.associate_alike("staff", "ann", [faces["anna"], faces["bert"]], alike)
        store.associate_alike("staff", "em", [faces["emil"]], alike)
        [[found]] = matcher.users("staff", at(0.6)[None])
        assert (found.user.user_id, found.user.status) == ("ann", "ACTIVE")
        mean = (at(1.0) + at(0.7)) / np.linalg.norm(at(1.0) + at(0.7))
        assert found.similarity == pytest.approx(
            similarity(float(mean @ at(0.6)), embedder.calibration)
        )
        [everybody] = matcher.users("staff", at(0.6)[None], threshold=0)
        assert [one.user.user_id for one in everybody] == ["ann", "em"]
        [[most]] = matcher.users("staff", at(0.6)[None], threshold=0, max_users=1)
        assert most == everybody[0]

    def test_the_next_search_includes_all_changes(self, store: Store, embedder: Space) -> None:
        [anna] = [one for one in store.faces("staff").faces if one.external_image_id == "anna"]
        matcher = Matcher(store, embedder)
        for _ in range(3):
            store.create_user("staff", "ann")
            store.associate_alike("staff", "ann", [anna.face_id], likeness(embedder))
            [[found]] = matcher.users("staff", at(1.0)[None])
            assert (found.similarity, found.user.faces) == (100.0, 1)
            assert matcher.faces("staff", at(1.0)[None])[0][0].face.user_id == "ann"
            store.disassociate("staff", "ann", [anna.face_id])
            assert matcher.users("staff", at(1.0)[None]) == [()]
            assert matcher.faces("staff", at(1.0)[None])[0][0].face.user_id is None
            store.associate_alike("staff", "ann", [anna.face_id], likeness(embedder))
            store.delete_user("staff", "ann")
            assert matcher.users("staff", at(1.0)[None]) == [()]


class TestLikeness:
    @pytest.mark.parametrize("name", ["mobilefacenet", "dlib_resnet"])
    def test_is_the_similarity_to_a_mean(self, name: str) -> None:
        alike = likeness(space(name))
        assert alike(at(1.0), at(1.0)) == 100.0
        assert alike(at(1.0), at(-1.0)) == pytest.approx(0, abs=1e-6)

    def test_a_mean_of_unit_vectors_is_shorter_than_they_are(self) -> None:
        mean = (at(1.0) + at(0.0)) / np.float32(2)
        expected = similarity(math.sqrt(0.5), space("mobilefacenet").calibration)
        assert likeness(space("mobilefacenet"))(at(1.0), mean) == pytest.approx(expected)
