import msgspec

from onlooker.identity.people.person_changes import Change, Kind, Move, without


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


def test_a_forgotten_person_is_in_no_change() -> None:
    ids, gone = {"ada", "unknown-000001"}, {"a"}
    change = Change(
        kind="split",
        person="bert",
        other="ada",
        moves=(Move("a", "f", "ada", "bert"), Move("b", None, "ada", "bert")),
        refusals=(("a", "bert"), ("b", "ada"), ("c", "bert")),
        redirect=("unknown-000001", "ada"),
    )
    assert without(change, ids, gone) == Change(
        kind="split",
        person="bert",
        moves=(Move("b", None, None, "bert"),),
        refusals=(("c", "bert"),),
    )
    for own in (
        Change(kind="join", person="ada", moves=(Move("a", "f", None, "ada"),)),
        Change(kind="hide", person="ada"),
        Change(kind="not", other="ada", refusals=(("b", "ada"),)),
    ):
        assert without(own, ids, gone) == Change(kind="forgotten")
    for other in (
        Change(kind="unassigned", moves=(Move("b", None, None, None),)),
        Change(kind="hide", person="bert"),
        Change(kind="forgotten"),
    ):
        assert without(other, ids, gone) == other


def test_what_hides_and_what_shows() -> None:
    kinds: list[Kind] = ["hide", "show", "merge"]
    assert [Change(kind=kind).hides for kind in kinds] == [True, False, None]
