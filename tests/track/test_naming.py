import pytest
from msgspec.structs import replace

from onlooker.track.naming import EVIDENCE_SECONDS, Naming, person
from onlooker.types import Identity, StoredFace


def match(name: str, similarity: float) -> Identity:
    face = StoredFace(
        face_id=f"id-{name}", image_id="i", external_image_id=name, box=(0, 0, 1, 1), confidence=99
    )
    return Identity(similarity=similarity, face=face)


def test_the_first_match_names_the_track() -> None:
    naming = Naming()
    assert not naming.update([], 0.0)
    assert naming.update([match("anna", 90), match("bert", 85)], 0.1)
    assert naming.person == "anna"


def test_frames_without_a_match_keep_the_name() -> None:
    naming = Naming()
    naming.update([match("anna", 90)], 0.0)
    for number in range(100):
        assert not naming.update([], number / 10)
    assert naming.person == "anna"


def test_one_frame_of_another_does_not_change_the_name() -> None:
    naming = Naming()
    naming.update([match("anna", 90)], 0.0)
    assert not naming.update([match("bert", 99)], 5.0)
    assert not naming.update([match("anna", 91)], 5.1)
    assert not naming.update([match("bert", 99)], 9.0)
    assert naming.person == "anna"


@pytest.mark.parametrize(("lead", "changed"), [(1.0, False), (5.0, True)])
def test_another_who_is_better_by_a_margin_for_seconds_gets_the_track(
    lead: float, changed: bool
) -> None:
    naming = Naming()
    naming.update([match("anna", 90)], 0.0)
    times = [1 + number / 10 for number in range(int(EVIDENCE_SECONDS * 10) + 2)]
    changes = [naming.update([match("bert", 90 + lead), match("anna", 90)], t) for t in times]
    assert any(changes) == changed
    assert naming.person == ("bert" if changed else "anna")


def test_the_best_similarity_is_kept() -> None:
    naming = Naming()
    for similarity in (85, 95, 88):
        naming.update([match("anna", similarity)], 0.0)
    assert naming.best is not None
    assert naming.best.similarity == 95


def test_a_person_is_named_by_user_then_image_then_face() -> None:
    face = match("anna", 90).face
    assert person(face) == "anna"
    assert person(replace(face, user_id="u7")) == "u7"
    assert person(replace(face, external_image_id=None)) == "id-anna"
