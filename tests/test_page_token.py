import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker import page_token
from onlooker.page_token import InvalidToken

SECRET = bytes(32)


@given(st.integers(0, 2**63 - 1))
def test_a_token_is_short_and_gives_its_number_back(number: int) -> None:
    token = page_token.token(SECRET, ("faces", 1, None), number)
    assert len(token) <= 255
    assert page_token.last(SECRET, ("faces", 1, None), token) == number


def test_no_token_is_the_beginning() -> None:
    assert page_token.last(SECRET, ("faces", 1), None) == 0


@pytest.mark.parametrize(
    ("secret", "scope"),
    [
        (bytes(31) + b"1", ("faces", 1, ["a"])),
        (SECRET, ("users", 1, ["a"])),
        (SECRET, ("faces", 2, ["a"])),
        (SECRET, ("faces", 1, ["b"])),
        (SECRET, ("faces", 1, None)),
    ],
)
def test_is_good_for_one_list_of_one_store(secret: bytes, scope: tuple[object, ...]) -> None:
    token = page_token.token(SECRET, ("faces", 1, ["a"]), 7)
    with pytest.raises(InvalidToken, match="Invalid Token: it was not made here"):
        page_token.last(secret, scope, token)


@given(st.one_of(st.text(), st.binary(max_size=40).map(lambda data: data.hex())))
def test_made_up_tokens(token: str) -> None:
    with pytest.raises(InvalidToken):
        page_token.last(SECRET, ("faces",), token)


def test_every_flipped_letter_is_noticed() -> None:
    token = page_token.token(SECRET, ("faces",), 7)
    for place, letter in enumerate(token):
        other = "A" if letter != "A" else "B"
        with pytest.raises(InvalidToken):
            page_token.last(SECRET, ("faces",), token[:place] + other + token[place + 1 :])


@given(st.binary(max_size=200))
def test_a_token_may_hold_any_content(content: bytes) -> None:
    token = page_token.sign(SECRET, ("iterator",), content)
    assert page_token.verify(SECRET, ("iterator",), token) == content
    with pytest.raises(InvalidToken):
        page_token.verify(SECRET, ("page",), token)
