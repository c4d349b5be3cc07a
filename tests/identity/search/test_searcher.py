"""The guarantees of the protocol, kept by the built-in implementation and by a naive one."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from tests.support import postgres
from tests.support.indexes import SPACE, VECTORS, new
from tests.support.memory_searcher import MemorySearcher

from onlooker.identity.errors import CollectionNotFound, ModelMismatch, StoreClosed
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.searcher import Searcher, all_collections, all_faces
from onlooker.models.card import Space
from onlooker.page_token import InvalidToken

Open = Callable[[Path, Space], Searcher]


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def open_(request: pytest.FixtureRequest) -> Open:
    """Return the function that opens a searcher of one implementation."""
    if request.param == "memory":
        return MemorySearcher
    if request.param == "sqlite":
        return open_searcher
    return partial(open_searcher, url=postgres.database())


@pytest.fixture
def searcher(open_: Open, tmp_path: Path) -> Iterator[Searcher]:
    with open_(tmp_path / "faces.db", SPACE) as opened:
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


def test_a_collection_of_another_model(searcher: Searcher, open_: Open, tmp_path: Path) -> None:
    another = msgspec.structs.replace(SPACE, name="n")
    with open_(tmp_path / "faces.db", another) as other:
        other.create_collection("old")
    with pytest.raises(ModelMismatch, match="holds vectors of n"):
        searcher.prepare("old")


def test_another_searcher_finds_what_one_has_added(
    searcher: Searcher, open_: Open, tmp_path: Path
) -> None:
    searcher.create_collection("staff")
    with open_(tmp_path / "faces.db", SPACE) as other:
        other.prepare("staff")
        for vector in VECTORS[:200:8]:
            [face] = searcher.add("staff", [new(vector)])
            assert other.search_faces("staff", vector[None])[0][0].face == face
            other.delete_faces("staff", [face.face_id])
            assert face not in [one.face for one in searcher.search_faces("staff", vector[None])[0]]


def test_pages_repeat_nothing_while_faces_come_and_go(searcher: Searcher) -> None:
    searcher.create_collection("staff")
    kept = searcher.add("staff", [new(vector) for vector in VECTORS[:50]])
    token, listed = None, []
    while True:
        page = searcher.faces("staff", limit=7, token=token)
        listed += page.faces
        [face] = searcher.add("staff", [new(VECTORS[60])])
        searcher.delete_faces("staff", [face.face_id])
        if (token := page.token) is None:
            break
    assert listed == kept
    with pytest.raises(InvalidToken):
        searcher.users("staff", token=searcher.faces("staff", limit=1).token)


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
