"""The machine-readable zone of passports and identity cards: ICAO Doc 9303, parts 3 to 6.

Its lines have 44, 36 or 30 characters. The place of each says whether it is a letter or a digit, so
that a reader's `0` for `O` can be corrected; elsewhere a check digit says which of the two it is.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import product

from onlooker.vision.look_alikes import DIGITS, LETTERS
from onlooker.vision.text_gaps import Character

FILLER = "<"
MIN_FILLERS = 2
LAYOUTS = (
    "A" * 44,
    "A" * 36,
    "A" * 30,
    "XXXXXXXXXCAAA999999CA999999CXXXXXXXXXXXXXXCX",
    "XXXXXXXXXCAAA999999CA999999CXXXXXXXX",
    "AAAAAXXXXXXXXXCXXXXXXXXXXXXXXX",
    "999999CA999999CAAAXXXXXXXXXXX9",
)
"""The lines of passports (44), of cards of two lines (36) and of three (30): A is a letter, 9 a
digit, X either, C the check digit of the field before it. All may be fillers."""
WRONG_CHECK = 3
"""Characters that are not where a layout wants them and count as much as a wrong check digit."""
MAX_MISCOUNTED = 3
"""Fillers by which a reader is wrong at most."""
MAX_TWINS = 8
"""Characters of a field of which each could be a letter or a digit: 256 ways to try."""


def corrected(characters: Sequence[Character]) -> tuple[Character, ...] | None:
    """Return the characters of a line of such a zone; None if the line is of something else."""
    letters = [each for each in characters if each.text != " "]
    text = "".join(each.text for each in letters).replace("|", "I")
    if len(text) != len(letters) or text.count(FILLER) < MIN_FILLERS:
        return None
    letters, text = _counted(letters, text)
    fitted = [each for layout in LAYOUTS if (each := _fitted(text, layout)) is not None]
    if not fitted:
        return None
    best, _ = min(fitted, key=lambda each: each[1])
    return tuple(each._replace(text=new) for each, new in zip(letters, best, strict=True))


def _counted(letters: list[Character], text: str) -> tuple[list[Character], str]:
    """Return the line with as many fillers as make it as long as such lines are.

    A reader loses count of equal characters: the longest row of them is made longer or shorter.
    """
    nearest = min({len(layout) for layout in LAYOUTS}, key=lambda length: abs(length - len(text)))
    missing = nearest - len(text)
    row = max(re.findall(f"{FILLER}+", text), key=len)
    if not 0 < abs(missing) <= MAX_MISCOUNTED < len(row):
        return letters, text
    at = text.index(row) + 1
    if missing > 0:
        return letters[:at] + letters[at : at + 1] * missing + letters[at:], (
            text[:at] + FILLER * missing + text[at:]
        )
    return letters[:at] + letters[at - missing :], text[:at] + text[at - missing :]


def _fitted(text: str, layout: str) -> tuple[str, int] | None:
    """Return `text` with letters and digits where the layout wants them, and its misfit.

    None means that the text has other characters, or another length.
    """
    if len(text) != len(layout):
        return None
    found = []
    for each, place in zip(text, layout, strict=True):
        if each != FILLER and place == "A" and not _is_capital(each):
            each = LETTERS.get(each, "")
        elif each != FILLER and place in "9C" and not each.isdecimal():
            each = DIGITS.get(each, "")
        if each != FILLER and not (_is_capital(each) or each.isdecimal()):
            return None
        found.append(each)
    misfit = 0
    for begin, end in _checked_fields(layout):
        if layout[begin] == "X":
            found[begin:end] = _agreeing(found[begin:end], found[end])
        misfit += WRONG_CHECK * (check_digit(found[begin:end]) != found[end])
    return "".join(found), misfit + sum(a != b for a, b in zip(text, found, strict=True))


def _is_capital(character: str) -> bool:
    return "A" <= character <= "Z"


def _checked_fields(layout: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the fields that are followed by their check digit."""
    for end in [end for end, place in enumerate(layout) if place == "C"]:
        begin = end
        while begin and layout[begin - 1] == layout[end - 1]:
            begin -= 1
        yield begin, end


def _agreeing(field: list[str], check: str) -> list[str]:
    """Return the field with the fewest O and I for 0 and 1, or the reverse, that fits its check."""
    twins = {"O": "O0", "0": "0O", "I": "I1", "1": "1I"}
    if sum(each in twins for each in field) > MAX_TWINS:
        return field
    ways = product(*(twins.get(each, each) for each in field))
    fitting = [way for way in ways if check_digit(way) == check]
    return list(min(fitting, key=lambda way: sum(map(str.__ne__, way, field)), default=field))


def check_digit(field: Sequence[str]) -> str:
    """Return the check digit of a field: its values times 7, 3, 1, 7, ..., summed, modulo 10."""
    values = (0 if each == FILLER else int(each, 36) for each in field)
    return str(sum(value * (7, 3, 1)[n % 3] for n, value in enumerate(values)) % 10)
