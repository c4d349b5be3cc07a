import msgspec

from onlooker.identity.people.person_changes import Change, Kind, Move


def test_a_change_survives_its_encoding() -> None:
    change = Change(
        kind="merge",
        person="ada",
        other="unknown-000001",
        moves=(Move("a", "f", "unknown-000001", "ada"), Move("b", None, None, "ada")),
        refusals=(("a", "bert"),),
        redirect=("unknown-000001", "ada"),
    )
    assert msgspec.json.decode(msgspec.json.encode(change), type=Change) == change


def test_what_hides_and_what_shows() -> None:
    kinds: list[Kind] = ["hide", "show", "merge"]
    assert [Change(kind=kind).hides for kind in kinds] == [True, False, None]
