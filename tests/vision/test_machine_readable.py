"""Machine-readable zones: those of ICAO's document, and made ones that a reader got wrong."""

import random

import pytest
from bench.support import made_text
from tests.support.text_pages import ThoroughText

from onlooker.vision.machine_readable import check_digit, corrected
from onlooker.vision.text_gaps import Character

SPECIMEN = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
)
"""Of ICAO Doc 9303, part 4."""


def read(text: str) -> str | None:
    found = corrected([Character(each, 0.9, n / len(text)) for n, each in enumerate(text)])
    return None if found is None else "".join(each.text for each in found)


def test_check_digits() -> None:
    assert [check_digit(each) for each in ("L898902C3", "740812", "120415", "<" * 14)] == list(
        "6290"
    )


@pytest.mark.parametrize("line", SPECIMEN)
def test_a_right_line_is_left(line: str) -> None:
    assert read(line) == line


@pytest.mark.parametrize("seed", range(40))
def test_letters_and_digits_by_their_places(seed: int) -> None:
    """With every O as 0 and I as |, in fields where the place decides, and spaces in between."""
    for line in made_text.zone(random.Random(seed)):
        names = "<<" in line[:-2].rstrip("<") and not any(map(str.isdecimal, line))
        wrong = line.replace("O", "0").replace("I", "|") if names else line
        assert read(wrong[:9] + " " + wrong[9:]) == line


def test_a_check_digit_decides_where_the_place_does_not() -> None:
    document = "4OUMHXVKD"
    line = f"{document}{check_digit(document)}UTO7408122F1204159{'<' * 15}"
    line += check_digit(line[:10] + line[13:20] + line[21:])
    assert read(line.replace("4O", "40")) == line


@pytest.mark.parametrize("missing", [-2, -1, 1, 3])
def test_fillers_are_counted_anew(missing: int) -> None:
    first = SPECIMEN[0]
    assert read(first[: len(first) - missing] if missing > 0 else first + "<" * -missing) == first


@pytest.mark.parametrize(
    "text", ["", "STATION", "a << b", "<" * 5, "x" * 44, "P<UTO" + "e" * 39, "1 < 2 << 3", "<<<<>>"]
)
def test_other_lines_are_none(text: str) -> None:
    assert read(text) is None


def test_a_zone_is_read() -> None:
    detect_text, chance = ThoroughText(), random.Random(5)
    for _ in range(4):
        lines = made_text.zone(chance)
        image = made_text.photographed(made_text.drawn("\n".join(lines), 24), chance)
        assert tuple(line.text for line in detect_text(image)) == lines
