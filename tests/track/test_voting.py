import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.track.voting import MAX_READINGS, Ballot, similarity


def voted(*readings: str, weight: float = 1.0) -> Ballot:
    ballot = Ballot()
    for text in readings:
        ballot.vote(text, [weight] * len(text))
    return ballot


@given(st.lists(st.sampled_from(["", "YAMAHA", "EXIT 5"]), max_size=5))
def test_readings_that_agree_are_the_result(texts: list[str]) -> None:
    for text in set(texts):
        ballot = voted(*[each for each in texts if each == text])
        assert ballot.text == text
        assert ballot.agreement == (1.0 if text else 0.0)
        assert ballot.runner_up is None


def test_a_line_that_no_frame_read_right_is_read_right() -> None:
    assert voted("YAMAHR", "VAMAHA", "YAMANA").text == "YAMAHA"
    assert voted("AMAHA", "YAMAA", "YAMAHA1", "YMAHA").text == "YAMAHA"


def test_parts_do_not_outvote_the_whole() -> None:
    assert voted("YAMAHA", "AMAHA", "MAHA").text == "YAMAHA"


def test_an_extra_letter_of_one_frame_is_left_out() -> None:
    assert voted("EXIT", "EXIT", "EXXIT", "EXIT.").text == "EXIT"


def test_sure_readings_weigh_more() -> None:
    ballot = Ballot()
    ballot.vote("B0", [0.3, 0.3])
    ballot.vote("B0", [0.3, 0.3])
    ballot.vote("BO", [0.99, 0.99])
    assert ballot.text == "BO"
    assert ballot.runner_up == "B0"
    assert 0.5 < ballot.agreement < 1


def test_the_order_of_readings_matters_little() -> None:
    readings = ["STOP HERE"] * 4 + ["STOP HER", "ST0P HERE", "TOP HERE", "STOPHERE"]
    for seed in range(20):
        random.Random(seed).shuffle(readings)
        assert voted(*readings).text == "STOP HERE"


def test_memory_is_bounded() -> None:
    ballot = Ballot()
    for number in range(1000):
        ballot.vote(f"{number:010d}", [1.0] * 10)
    assert len(ballot.readings) <= 2 * MAX_READINGS + 1
    assert len(ballot.columns) <= 410
    ballot.vote("x" * 500, [1.0] * 500)
    assert len(ballot.columns) <= 410


@pytest.mark.parametrize(
    ("readings", "pattern", "expected"),
    [
        (["B A 123"], r"[A-Z] [A-Z] \d+", "B A 123"),
        (["BA 1Z3", "BA 1Z3"], r"[A-Z]{2} \d{3}", "BA 123"),
        (["8A 123"], r"[A-Z]{2} \d{3}", "BA 123"),
        (["EXIT"], r"\d+", None),
        (["AB 12", "AB 12", "AB 123"], r"[A-Z]{2} \d{3}", "AB 123"),
    ],
)
def test_what_is_expected_is_chosen_after_the_vote(
    readings: list[str], pattern: str, expected: str | None
) -> None:
    assert voted(*readings).matching(re.compile(pattern)) == expected


def test_similarity_is_the_share_in_common() -> None:
    assert similarity("YAMAHA", "AMAHA") == pytest.approx(5 / 6)
    assert similarity("", "") == 1.0
    assert similarity("abc", "xyz") == 0.0
