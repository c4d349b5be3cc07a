"""Letters and digits that look alike, resolved by the characters beside them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.vision.look_alikes import CHANGED_SCORE, resolved
from onlooker.vision.text_gaps import Character


def characters(text: str, score: float = 1.0) -> list[Character]:
    return [Character(each, score, n / len(text)) for n, each in enumerate(text)]


def read(text: str, score: float = 1.0) -> str:
    return "".join(each.text for each in resolved(characters(text, score)))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("FB 6684O", "FB 66840"),
        ("TDE-0 349", "TDE-O 349"),
        ("U0-U 44", "UO-U 44"),
        ("iPhonel5", "iPhone15"),
        ("ISO900I", "ISO9001"),
        ("3O5", "305"),
        ("AB-I23-CD", "AB-123-CD"),
    ],
)
def test_a_place_decides(text: str, right: str) -> None:
    assert read(text, 0.95) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [("Z0OM", "ZOOM"), ("LI0SSIS", "LIOSSIS"), ("ki1o", "kilo"), ("12S45", "12545")],
)
def test_in_doubt_the_others_decide(text: str, right: str) -> None:
    assert read(text, 0.8) == right


@pytest.mark.parametrize(
    "text",
    ["I10", "O2", "H2O", "B52", "COVID-19", "R2D2", "500ml", "100l", "1ST", "A1", "B2B", "SOS",
     "OIL", "AB-123-CD", "Level 0", "L0", "3D", "10S", "Œuvre 10", "€50", "12:30", "", " ",
     "М0СКВА"],
)  # fmt: skip
def test_what_may_well_be_right_is_left(text: str) -> None:
    assert read(text) == text


def test_a_changed_character_is_less_certain() -> None:
    found = resolved(characters("6684O"))
    assert [each.score for each in found] == [1, 1, 1, 1, CHANGED_SCORE]
    assert [each.centre for each in found] == [each.centre for each in characters("6684O")]


@given(st.text("O0Il1|Z2S5B8G6QDAX -·é", max_size=12), st.floats(0, 1))
def test_only_look_alikes_change(text: str, score: float) -> None:
    pairs = [set("O0oQD"), set("Il|1"), set("Z2"), set("S5"), set("B8"), set("G6")]
    for before, after in zip(text, read(text, score), strict=True):
        assert before == after or any({before, after} <= pair for pair in pairs)
