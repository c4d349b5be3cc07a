"""Letters and digits that look alike: the characters beside them decide.

A reader knows words, but not numbers: in many fonts it cannot tell `O` from `0`, and `I` or `l`
from `1`. Between digits it is a digit, between letters a letter, and on a licence plate its place
decides.
"""

import re
from collections.abc import Sequence

from onlooker.vision.text_gaps import Character

DIGITS = {"O": "0", "o": "0", "Q": "0", "D": "0", "I": "1", "l": "1", "|": "1", "Z": "2",
          "S": "5", "G": "6", "B": "8"}  # fmt: skip
"""The digit that a letter looks like."""
LETTERS = {"0": "O", "1": "I", "2": "Z", "5": "S", "6": "G", "8": "B"}
"""The capital that a digit looks like."""
TWINS = frozenset("OoIl|01")
"""Those that are alike in many fonts. The others differ, and are changed only in doubt."""
CLEAR_SCORE = 0.9
"""Score from which a character is not in doubt."""
CERTAIN_SCORE = 0.97
"""Score from which a digit stays among letters: the reader would have preferred a word."""
CHANGED_SCORE = 0.6
"""Maximum score of a character that was changed."""
MIN_NUMBER, MIN_WORD = 2, 3
"""Digits, or letters, that make a run a number, or a word."""

RUN = re.compile(r"[^\W_]+|\|+")
PLATES = (
    *(f"{'A' * a}{dash}{'A' * b} {'9' * n}"
      for a in (1, 2, 3) for dash in "- " for b in (1, 2) for n in (1, 2, 3, 4)),
    "AA-999-AA", "AA 999 AA", "AA99 AAA", "9999 AAA", "AAA 9999", "AAA-9999", "AAA 999", "999 AAA",
    "AAA-999", "999-AAA", "AA 99 AA 9999", "AA 9999 AA", "AA-99-99", "99-99-AA", "99-AA-99",
    "99-AA-AA", "AA-AA-99", "99-AAA-9", "9-AAA-99", "AAA9A99", "9AAA999", "AA999AA",
)  # fmt: skip
"""Licence plates of many countries: A is a letter, 9 a digit."""
MAX_PLATE_CHANGES = 2
"""Of a plate with separators; without them, 1."""
LAST_LATIN = "\u024f"
"""The last letter of Unicode's Latin blocks. In other scripts other letters look alike."""


def resolved(characters: Sequence[Character]) -> tuple[Character, ...]:
    """Return the characters of a line, the look-alikes among them as the others demand."""
    text = "".join(character.text for character in characters)
    if any(each.isalpha() and each > LAST_LATIN for each in text):
        return tuple(characters)
    if len(text) != len(characters):  # a character of several letters
        return tuple(characters)
    doubtful = [
        each.text in "O0" or each.score < (CERTAIN_SCORE if each.text in TWINS else CLEAR_SCORE)
        for each in characters
    ]
    wanted = _plate(text, doubtful)
    if wanted is None:
        wanted = RUN.sub(lambda run: _run(run, characters), text)
    return tuple(
        each if each.text == new else each._replace(text=new, score=min(each.score, CHANGED_SCORE))
        for each, new in zip(characters, wanted, strict=True)
    )


def _plate(text: str, doubtful: Sequence[bool]) -> str | None:
    """Return the text of a licence plate; None if it is none, or could be several."""
    if not any(each.isdigit() for each in text):
        return None
    fitting = {}
    for plate in PLATES:
        fitted = _fitted(text, doubtful, plate) if len(plate) == len(text) else None
        if fitted is not None:
            changes = sum(a != b for a, b in zip(text, fitted, strict=True))
            if changes <= MAX_PLATE_CHANGES - plate.isalnum():
                fitting[fitted] = changes
    fewest = min(fitting.values(), default=0)
    best = [fitted for fitted, changes in fitting.items() if changes == fewest]
    return best[0] if len(best) == 1 else None


def _fitted(text: str, doubtful: Sequence[bool], plate: str) -> str | None:
    found = []
    for each, place, doubt in zip(text, plate, doubtful, strict=True):
        fits = each.isdecimal() if place == "9" else each.isupper() if place == "A" else None
        if fits is None:
            new = each if each == place else None
        elif fits:
            new = each
        else:
            new = (DIGITS if place == "9" else LETTERS).get(each) if doubt else None
        if new is None:
            return None
        found.append(new)
    return "".join(found)


def _run(run: re.Match[str], characters: Sequence[Character]) -> str:
    """Return a run of letters and digits, with digits in a number and letters in a word."""
    text = run[0]
    digits, letters = sum(map(str.isdecimal, text)), sum(map(str.isalpha, text))
    plain = sum(each.isdecimal() and each not in TWINS for each in text)
    found = []
    for place, each in enumerate(text):
        score = characters[run.start() + place].score
        doubt = each in TWINS or score < CLEAR_SCORE
        before, after = text[:place], text[place + 1 :]
        last_litre = each == "l" and not after and score >= CLEAR_SCORE
        if each in DIGITS and doubt and not last_litre and digits >= MIN_NUMBER:
            # A letter before a number is a letter: A4, I10, O2.
            number = before[:1].isdecimal() and all(c.isdecimal() or c in TWINS for c in text)
            inside = before[-1:].isdecimal() and after[:1].isdecimal()
            trails = each in TWINS and before[-2:].isdecimal() and len(before) > 1 and not after
            each = DIGITS[each] if number or inside or trails else each
        elif each in "Il" and before[-1:].islower() and after.isdecimal() and after:
            each = DIGITS[each]
        elif each in "01" and not plain and letters >= MIN_WORD and score < CERTAIN_SCORE:
            beside = before[-1:] + after[:1]
            if each == "0" or len(beside) == 2:
                small = beside.islower()
                each = {"0": "o", "1": "l"}[each] if small else LETTERS[each]
        found.append(each)
    return "".join(found)
