"""People without a name: joined, kept apart, named, merged, split, undone and forgotten."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from tests.support import postgres
from tests.support.stores import Place

from onlooker.identity.errors import StoreError
from onlooker.identity.people import people as module
from onlooker.identity.people.people import COLLECTION, People, are_people, open_people
from onlooker.identity.people.person_changes import Visitor
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.similarity import similarity
from onlooker.models.card import space

SPACE = space("mobilefacenet")


def vector(person: int, photo: int, noise: float = 0.45) -> bytes:
    """Return the vector of an image of a made-up person; two of one are alike at about .83."""
    own = np.random.default_rng(person).normal(size=SPACE.dim)
    other = np.random.default_rng([person, photo + 1]).normal(size=SPACE.dim)
    mixed = own / np.linalg.norm(own) + noise * other / np.linalg.norm(other)
    return np.asarray(mixed / np.linalg.norm(mixed), np.float32).tobytes()


def visitor(person: int, photo: int, **more: object) -> Visitor:
    made = Visitor(
        appearance=f"a-{person}-{photo}",
        stream="door",
        start=100.0 * photo,
        end=100.0 * photo + 10,
        frames=20,
        clarity=60.0,
        vector=vector(person, photo),
    )
    return replace(made, **more)


@pytest.fixture
def people(place: Place) -> Iterator[People]:
    with open_people(SPACE, *place) as opened:
        yield opened


def groups(people: People) -> dict[str, set[str]]:
    """Return the appearances of each person, as the journal has them."""
    return {
        person: {each.appearance for each in people.journal.visitors(person)}
        for person, _, _, _ in people.journal.people()
    }


def stored(people: People, place: Place) -> dict[str, set[str]]:
    """Return the same as the API's operations have it."""
    found: dict[str, set[str]] = {}
    with open_searcher(place[0], SPACE, place[1]) as searcher:
        for face in searcher.faces(COLLECTION).faces:
            if face.user_id is not None:
                found.setdefault(face.user_id, set()).add(face.external_image_id or "")
    return found


class TestJoin:
    def test_who_comes_again_is_known_and_others_are_not(self, people: People) -> None:
        first = people.join(visitor(1, 0))
        assert first == "unknown-000001"
        assert people.join(visitor(2, 0)) == "unknown-000002"
        assert [people.join(visitor(1, photo)) for photo in range(1, 6)] == [first] * 5
        assert len(groups(people)) == 2

    def test_who_is_still_there_is_recognised_and_not_assigned(self, people: People) -> None:
        assert people.recognise(visitor(1, 1), "r1") is None
        first = people.join(visitor(1, 0))
        assert people.recognise(visitor(1, 1), "r2") == first
        assert people.recognise(visitor(2, 0), "r2") is None
        assert groups(people) == {"unknown-000001": {"a-1-0"}}

    def test_what_was_said_in_a_record_is_said_again(self, people: People, place: Place) -> None:
        assert people.recognise(visitor(1, 1), "r1") is None
        people.join(visitor(1, 0))
        with open_people(SPACE, *place) as other:
            assert other.recognise(visitor(1, 1), "r1") is None
            assert other.recognise(visitor(1, 1), "r2") == "unknown-000001"
        people.name("unknown-000001", "ada")
        assert people.recognise(visitor(1, 1), "r2") == "ada"
        people.forget("ada")
        assert people.recognise(visitor(1, 1), "r2") is None

    def test_two_cameras_that_see_somebody_first_give_one_id(self, place: Place) -> None:
        gate = threading.Barrier(4)

        def camera(number: int) -> list[str | None]:
            with open_people(SPACE, *place) as people:
                gate.wait(30)
                return [people.join(visitor(person, number)) for person in range(5)]

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(camera, range(4)))
        assert len({tuple(each) for each in found}) == 1
        assert sorted(str(each) for each in found[0]) == [f"unknown-{n:06d}" for n in range(1, 6)]

    @pytest.mark.parametrize(("times", "joins"), [(1, False), (2, True), (3, True)])
    def test_somebody_seen_once_must_be_more_alike(
        self, people: People, times: int, joins: bool
    ) -> None:
        # As alike as a brother and a sister may be: 93.
        wanted = next(c / 1000 for c in range(1001) if similarity(c / 1000, SPACE.calibration) > 93)
        known, across = np.eye(2, SPACE.dim, dtype=np.float32)
        other = wanted * known + float(np.sqrt(1 - wanted**2)) * across
        for number in range(times):
            people.join(visitor(1, number, vector=known.tobytes()))
        found = people.join(visitor(2, 0, vector=np.asarray(other, np.float32).tobytes()))
        assert (found == "unknown-000001") == joins

    def test_an_appearance_is_assigned_once(self, people: People) -> None:
        assert [people.join(visitor(1, 0)) for _ in range(3)] == ["unknown-000001"] * 3
        assert groups(people) == {"unknown-000001": {"a-1-0"}}
        assert len(people.journal.changes(10)) == 1

    @pytest.mark.parametrize("poor", [{"clarity": 10.0}, {"frames": 2}])
    def test_a_poor_appearance_begins_nobody_but_may_join(
        self, people: People, poor: dict[str, float]
    ) -> None:
        assert people.join(visitor(1, 0, **poor)) is None
        first = people.join(visitor(1, 1))
        assert people.join(visitor(1, 2, **poor)) == first

    def test_one_similar_face_among_many_does_not_chain_relatives(self, people: People) -> None:
        first = people.join(visitor(1, 0))
        for photo in range(1, 4):
            assert people.join(visitor(1, photo)) == first
        own = np.frombuffer(vector(1, 0, noise=0.0), np.float32)
        between = np.frombuffer(vector(1, 0), np.float32) * 1.0966 - 0.8 * own
        sister = visitor(3, 0, vector=(between / np.linalg.norm(between)).tobytes())
        [found] = people._searcher.search_faces(
            COLLECTION, np.frombuffer(sister.vector, np.float32)[None], 0.0, 9
        )
        assert found[0].similarity > module.SAME
        assert people.join(sister) != first

    def test_two_in_one_image_are_two(self, people: People) -> None:
        twin = visitor(1, 1, together=("a-1-0",))
        assert people.join(visitor(1, 0)) != people.join(twin)

    def test_ids_are_never_used_again(self, people: People) -> None:
        first = people.join(visitor(1, 0))
        assert first is not None
        people.forget(first)
        assert people.join(visitor(2, 0)) == "unknown-000002"

    def test_few_vectors_are_kept_of_a_regular(
        self, people: People, monkeypatch: pytest.MonkeyPatch, place: Place
    ) -> None:
        monkeypatch.setattr(module, "MAX_VECTORS", 4)
        assert {people.join(visitor(1, photo)) for photo in range(9)} == {"unknown-000001"}
        assert len(groups(people)["unknown-000001"]) == 9
        assert len(stored(people, place)["unknown-000001"]) == 4


class TestChanges:
    @pytest.fixture(autouse=True)
    def two(self, people: People) -> None:
        """Two people, with three appearances and one."""
        for photo in range(3):
            people.join(visitor(1, photo))
        people.join(visitor(2, 0))

    def check(self, people: People, place: Place, expected: dict[str, set[str]]) -> None:
        assert groups(people) == stored(people, place) == expected

    def test_a_name_is_the_person_from_then_on(self, people: People, place: Place) -> None:
        people.name("unknown-000001", "ada")
        assert people.join(visitor(1, 3)) == "ada"
        assert people.known("unknown-000001") == "ada"
        self.check(
            people,
            place,
            {"ada": {"a-1-0", "a-1-1", "a-1-2", "a-1-3"}, "unknown-000002": {"a-2-0"}},
        )

    def test_merged_people_can_be_parted_again(self, people: People, place: Place) -> None:
        before = groups(people)
        people.merge("unknown-000002", "unknown-000001")
        self.check(people, place, {"unknown-000001": {"a-1-0", "a-1-1", "a-1-2", "a-2-0"}})
        assert people.known("unknown-000002") == "unknown-000001"
        people.undo(people.journal.changes(1)[0].number)
        self.check(people, place, before)
        assert people.known("unknown-000002") == "unknown-000002"

    def test_what_was_split_does_not_join_again(self, people: People, place: Place) -> None:
        made = people.split("unknown-000001", ["a-1-2"])
        self.check(
            people,
            place,
            {"unknown-000001": {"a-1-0", "a-1-1"}, made: {"a-1-2"}, "unknown-000002": {"a-2-0"}},
        )
        again = visitor(9, 0, vector=vector(1, 2))  # the same images in another run
        assert people.join(again) == made
        people.undo(people.journal.changes(5)[1].number)
        assert people.journal.person_of("a-1-2") == "unknown-000001"

    def test_a_person_cannot_be_split_into_itself_and_nobody(self, people: People) -> None:
        with pytest.raises(StoreError, match="nothing would be left"):
            people.split("unknown-000002", ["a-2-0"])
        with pytest.raises(StoreError, match="is not one of"):
            people.split("unknown-000001", ["a-2-0"])

    def test_not_this_person_holds_for_what_is_more_like_it(self, people: People) -> None:
        people.refuse("unknown-000001", "a-1-2")
        assert people.journal.person_of("a-1-2") is None
        assert people.join(visitor(9, 0, vector=vector(1, 2))) == "unknown-000003"
        assert people.join(visitor(9, 1, vector=vector(1, 1))) == "unknown-000001"

    def test_a_change_that_others_followed_is_not_undone(self, people: People) -> None:
        people.merge("unknown-000002", "unknown-000001")
        merge = people.journal.changes(1)[0].number
        people.split("unknown-000001", ["a-2-0"])
        with pytest.raises(StoreError, match="undo the later changes first"):
            people.undo(merge)
        people.undo(people.journal.changes(1)[0].number)
        people.undo(merge)
        with pytest.raises(StoreError, match="no change"):
            people.undo(merge)

    def test_even_a_join_can_be_undone(self, people: People, place: Place) -> None:
        people.undo(people.journal.changes(1)[0].number)
        self.check(people, place, {"unknown-000001": {"a-1-0", "a-1-1", "a-1-2"}})

    def test_nothing_is_left_of_whom_is_forgotten(self, people: People, place: Place) -> None:
        receipt = people.forget("unknown-000001")
        assert (receipt.appearances, receipt.faces) == (3, 3)
        self.check(people, place, {"unknown-000002": {"a-2-0"}})
        with open_searcher(place[0], SPACE, place[1]) as searcher:
            assert [face.external_image_id for face in searcher.faces(COLLECTION).faces] == [
                "a-2-0"
            ]
        with pytest.raises(StoreError, match="no person"):
            people.forget("unknown-000001")

    def test_no_name_is_left_of_whom_is_forgotten(self, people: People, tmp_path: Path) -> None:
        last = people.journal.last_change()
        people.name("unknown-000001", "Ada")
        apart = people.split("Ada", ["a-1-2"])
        people.hide("Ada")
        people.refuse("unknown-000002", "a-1-0")
        people.forget("Ada")
        changes = people.journal.changes(100)
        assert "Ada" not in str(changes)
        assert "unknown-000001" not in str(changes)
        assert people.journal.last_change() == last + 4, "no number is used again"
        assert people.journal.resolve("unknown-000001") == "unknown-000001"
        with pytest.raises(StoreError, match="no change"):
            people.undo(last + 1)  # the name
        people.undo(last + 2)  # the split: its appearance is nobody's then
        assert people.journal.person_of("a-1-2") is None
        assert apart not in groups(people)
        people.close()
        for file in tmp_path.glob("people.db*"):
            assert b"Ada" not in file.read_bytes(), file

    def test_hidden_people_are_marked(self, people: People) -> None:
        people.hide("unknown-000001")
        assert {p: hidden for p, _, _, hidden in people.journal.people()}["unknown-000001"]
        people.hide("unknown-000001", False)
        assert not any(hidden for _, _, _, hidden in people.journal.people())

    def test_hiding_and_showing_are_changes_that_can_be_undone(self, people: People) -> None:
        one = "unknown-000001"
        for hidden in (True, True, False):
            people.hide(one, hidden)
        show, hide, *_ = people.journal.changes(3)
        assert [(each.change.kind, each.change.person) for each in (show, hide)] == [
            ("show", one),
            ("hide", one),
        ], "the second hide changes nothing"
        with pytest.raises(StoreError, match="is not hidden any more"):
            people.undo(hide.number)
        people.undo(show.number)
        assert people.journal.is_hidden(one)
        people.undo(hide.number)
        assert not people.journal.is_hidden(one)
        with pytest.raises(StoreError, match="no change"):
            people.undo(hide.number)

    def test_people_who_are_alike_are_suggested_and_not_joined(self, people: People) -> None:
        assert people.suggest() == []
        made = people.join(visitor(1, 7, together=("a-1-0",)))
        [pair] = people.suggest()
        assert {pair.person, pair.other} == {"unknown-000001", made}
        assert pair.similarity > 90
        assert len(groups(people)) == 3

    def test_unknown_names_are_errors(self, people: People) -> None:
        calls: list[Callable[[], object]] = [
            lambda: people.name("nobody", "ada"),
            lambda: people.merge("unknown-000001", "nobody"),
            lambda: people.merge("unknown-000001", "unknown-000001"),
            lambda: people.refuse("unknown-000001", "nothing"),
            lambda: people.hide("nobody"),
        ]
        for call in calls:
            with pytest.raises(StoreError):
                call()

    def test_the_api_can_part_and_join_them(self, people: People, place: Place) -> None:
        """boto3's DisassociateFaces, for example, works on the same users."""
        with open_searcher(place[0], SPACE, place[1]) as searcher:
            face = people.journal.face_of("a-1-0")
            assert face is not None
            searcher.disassociate(COLLECTION, "unknown-000001", [face])
            searcher.associate(COLLECTION, "unknown-000002", [face], 0.0)
        assert people.join(visitor(9, 0, vector=vector(1, 0))) == "unknown-000002"


CHILD = """
import sys
from pathlib import Path
from tests.identity.people.test_people import SPACE, visitor
from onlooker.identity.people.people import open_people
print("ready", flush=True)
with open_people(SPACE, Path(sys.argv[1]), sys.argv[2] or None) as people:
    for photo in range(200):
        people.join(visitor(photo % 7, photo))
"""


@pytest.mark.parametrize(
    ("place", "seed"),
    [("sqlite", 0), ("sqlite", 1), ("sqlite", 2), ("postgresql", 0)],
    indirect=["place"],
)
def test_a_process_that_is_killed_at_any_time_loses_and_doubles_nothing(
    seed: int, place: Place
) -> None:
    chance = random.Random(seed)
    limit = 2.0
    while True:
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(place[0]), place[1] or ""],
            stdout=subprocess.PIPE,
            cwd=Path.cwd(),
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            try:
                assert child.wait(timeout=chance.uniform(0.02, limit)) == 0
            except subprocess.TimeoutExpired:
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
                limit *= 1.1  # a busy machine must get through once
                continue
        break
    with open_people(SPACE, *place) as people:
        found = groups(people)
        assert sorted(len(each) for each in found.values()) == [28, 28, 28, 29, 29, 29, 29]
        for appearances in found.values():
            assert len({each.split("-")[1] for each in appearances}) == 1
        assert stored(people, place) == found
        assert people.journal.pending() == []


def test_two_machines_share_the_people_of_a_database(tmp_path: Path) -> None:
    """Somebody whom one has met is the same for the other; here folders stand for machines."""
    url = postgres.database()
    here, there = tmp_path / "here" / "faces.db", tmp_path / "there" / "faces.db"
    assert not are_people(SPACE, there, url)
    with open_people(SPACE, here, url) as ours, open_people(SPACE, there, url) as theirs:
        assert are_people(SPACE, there, url)
        first = ours.join(visitor(1, 0))
        assert theirs.join(visitor(1, 1)) == theirs.join(visitor(1, 2)) == first
        assert theirs.join(visitor(2, 0)) == "unknown-000002"
        theirs.name("unknown-000001", "ada")
        assert ours.join(visitor(1, 3)) == "ada"
        assert groups(ours) == {"ada": {f"a-1-{n}" for n in range(4)}, "unknown-000002": {"a-2-0"}}
    assert not list(tmp_path.rglob("people.db"))


class TestApart:
    def test_two_people_are_not_suggested_again(self, people: People) -> None:
        same = vector(1, 0)
        people.join(visitor(1, 0, vector=same))
        people.join(visitor(2, 0, vector=same, together=("a-1-0",)))
        [pair] = people.suggest()
        assert people.similarity(pair.person, pair.other) == pytest.approx(100)
        assert not people.journal.are_two(pair.person, pair.other)
        people.refuse(pair.person, "a-2-0")
        assert people.journal.are_two(pair.person, pair.other)
        assert people.journal.are_two(pair.other, pair.person)
        assert people.suggest() == []

    def test_somebody_whose_vectors_are_not_kept(self, people: People) -> None:
        people.join(visitor(1, 0))
        with people.journal.transaction():
            people.journal.add(visitor(9, 9), None)
            people.journal.give("a-9-9", "unknown-000001")
        made = people.split("unknown-000001", ["a-9-9"])
        assert people.similarity(made, "unknown-000001") is None
        assert people.suggest() == []
        assert people.forget(made).faces == 0
