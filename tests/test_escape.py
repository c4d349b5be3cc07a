"""Names that are written in few characters: none is lost, and no two become one."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onlooker.escape import PEOPLE, STREAMS, Escape

WAYS = [(PEOPLE, r"[a-zA-Z0-9_.\-:]*"), (STREAMS, r"[a-zA-Z0-9_.\-]*")]
# Letters of the escapes themselves beside others, so that names often look like escapes.
NAMES = st.text(st.sampled_from("abfcu:_.-0235 é李 \n\u0301\U0001f600\udce9Å")) | st.text()


def normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("name", "person", "stream"),
    [
        ("anna", "anna", "anna"),
        ("Müller", "M:fc:ller", "M_ufc_ller"),
        ("Möller", "M:f6:ller", "M_uf6_ller"),
        ("李雷", ":674e.96f7:", "_u674e.96f7_"),
        ("Anna Schmidt", "Anna::Schmidt", "Anna_u_Schmidt"),
        ("barack_obama", "barack_obama", "barack_obama"),
        ("M:fc:ller", "M:3a:fc:3a:ller", "M_u3a_fc_u3a_ller"),
        ("M_ufc_ller", "M_ufc_ller", "M_u5f_ufc_ller"),
        ("a  é b_", "a:::::e9:::b_", "a_u__u__ue9__u_b_"),
        ("a::b", "a:3a.3a:b", "a_u3a.3a_b"),
        ("10:30:45", "10:30:45", "10_u3a_30_u3a_45"),
        ("caf\udce9", "caf:dce9:", "caf_udce9_"),
    ],
)
def test_names_are_written_as_documented(name: str, person: str, stream: str) -> None:
    assert (PEOPLE.encode(name), STREAMS.encode(name)) == (person, stream)
    assert (PEOPLE.decode(person), STREAMS.decode(stream)) == (name, name)


@pytest.mark.parametrize(("way", "allowed"), WAYS, ids=["people", "streams"])
@given(name=NAMES)
@example(name="_ü_u5f_ub:fc:_")
@example(name="üu41_")
@example(name="ü_u")
def test_every_name_is_read_back(way: Escape, allowed: str, name: str) -> None:
    written = way.encode(name)
    assert re.fullmatch(allowed, written)
    assert way.decode(written) == normal(name)
    assert way.encode(unicodedata.normalize("NFD", name)) == written


@pytest.mark.parametrize(("way", "allowed"), WAYS, ids=["people", "streams"])
@given(written=st.from_regex(r"([a-f0-9u]|:|_u|_|\.){0,20}", fullmatch=True), name=NAMES)
def test_no_two_names_are_written_or_shown_alike(
    way: Escape, allowed: str, written: str, name: str
) -> None:
    """Whoever chose `written`: it is the writing of the name that is decoded, or a name itself."""
    if not re.fullmatch(allowed, written):
        return
    assert way.encode(written) == written or way.decode(written) != written
    assert (way.encode(name) == way.encode(written)) == (normal(name) == normal(written))
    assert way.encode(way.decode(written)) == written or way.decode(written) == written


def test_invisible_characters_are_not_printed() -> None:
    for name in ("a\nb", "\x1b[31mred", "a\u202eb", "caf\udce9"):
        written = PEOPLE.encode(name)
        assert PEOPLE.shown(written) == written
    persian = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    assert PEOPLE.shown(PEOPLE.encode(persian)) == persian
    assert PEOPLE.shown("10:30:45") == "10:30:45"


def test_a_user_may_type_a_name_or_how_it_is_written() -> None:
    for text in ("Müller", "Mu\u0308ller", "M:fc:ller"):
        assert PEOPLE.meant(text) == "M:fc:ller"
