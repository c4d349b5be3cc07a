from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from onlooker.track.alignment import align

WORDS = st.text("abÄ字 ", max_size=8)


def least_edits(one: str, other: str) -> int:
    """Return the Levenshtein distance, by its definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(same, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(one), len(other))


@given(WORDS, WORDS)
def test_every_place_once_in_order_with_the_fewest_edits(one: str, other: str) -> None:
    pairs = align(one, other)
    assert [here for here, _ in pairs if here >= 0] == list(range(len(one)))
    assert [there for _, there in pairs if there >= 0] == list(range(len(other)))
    assert (-1, -1) not in pairs
    edits = sum(here < 0 or there < 0 or one[here] != other[there] for here, there in pairs)
    assert edits == least_edits(one, other)


def test_a_missing_letter_is_a_gap() -> None:
    assert align("abc", "ac") == [(0, 0), (1, -1), (2, 1)]
