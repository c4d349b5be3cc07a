"""Right-to-left lines: from the order on the image to the order in which they are read and typed.

A reader goes through a line from left to right. Of Arabic and Hebrew that is the visual order; text
is stored, searched and shown in the logical order, of which a display makes the visual one (Unicode
Standard Annex 9, "Unicode Bidirectional Algorithm"). This is its inverse for one line: numbers and
words of the other direction keep their order inside.
"""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from onlooker.types import TextLine, Word

RIGHT_TO_LEFT = ("R", "AL")
LEFT_TO_RIGHT = ("L",)
NUMBERS = ("EN", "AN")
"""Read from the left in every direction."""
BRACKETS = str.maketrans("()[]{}<>«»", ")(][}{><»«")


def is_right_to_left(words: Sequence[str]) -> bool:
    """Return whether a line is read from the right, by its words in the visual order.

    It is if more of them are of a script that is written to the left, or as many, and the one at
    the right end is.
    """
    kinds = [_kinds(word) for word in words]
    right = sum(not kind.isdisjoint(RIGHT_TO_LEFT) for kind in kinds)
    left = sum(not kind.isdisjoint(LEFT_TO_RIGHT) for kind in kinds)
    return right > left or (right == left > 0 and not kinds[-1].isdisjoint(RIGHT_TO_LEFT))


def _kinds(text: str) -> set[str]:
    return {unicodedata.bidirectional(character) for character in text}


def logical(line: TextLine) -> TextLine:
    """Return a line in the visual order in the logical one, its words in the order of reading.

    A line that runs to the right is returned as it is, apart from words of the other direction.
    """
    if _kinds(line.text).isdisjoint(RIGHT_TO_LEFT):
        return line
    leftwards = is_right_to_left([word.text for word in line.words])
    words = [replace(word, text=_word(word.text, leftwards)) for word in line.words]
    ordered = _words(words, leftwards)
    text = " ".join(word.text for word in ordered)
    if _unpaired(text) > _unpaired(text.translate(BRACKETS)):
        # This reader names brackets by their form, not by their meaning.
        text = text.translate(BRACKETS)
        ordered = [replace(word, text=word.text.translate(BRACKETS)) for word in ordered]
    return replace(line, text=text, words=tuple(ordered))


def _word(text: str, leftwards: bool) -> str:
    """Return the characters of one word in the logical order."""
    if not leftwards and _kinds(text).isdisjoint(RIGHT_TO_LEFT):
        return text
    runs = _runs(text)
    # Marks that combine with a letter follow it; in a reversed run they came before it.
    return "".join(run if kept else _reversed(run) for run, kept in reversed(runs))


def _reversed(run: str) -> str:
    letters: list[str] = []
    marks = ""
    for character in run:
        if unicodedata.combining(character):
            marks = character + marks
        else:
            letters.append(character + marks)
            marks = ""
    return marks + "".join(reversed(letters))


def _runs(text: str) -> list[tuple[str, bool]]:
    """Return the runs of `text` that keep their order inside (True) or are reversed (False)."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    kept = [kind in LEFT_TO_RIGHT + NUMBERS for kind in kinds]
    # Signs between two of these belong to them ("12:30", "info@mail.com"), and so does a sign of
    # value at the end of a number. One before it is at its end in the logical order: that is how
    # "50%" looks in an Arabic line.
    places = [place for place, keep in enumerate(kept) if keep]
    for one, other in pairwise(places):
        if not any(kind in RIGHT_TO_LEFT for kind in kinds[one:other]):
            kept[one:other] = [True] * (other - one)
    for place, kind in enumerate(kinds):
        if kind == "ET" and place and kept[place - 1]:
            kept[place] = True
    runs: list[tuple[str, bool]] = []
    for character, keep in zip(text, kept, strict=True):
        if runs and runs[-1][1] == keep:
            runs[-1] = runs[-1][0] + character, keep
        else:
            runs.append((character, keep))
    return runs


def _words(words: Sequence[Word], leftwards: bool) -> list[Word]:
    """Return the words in the order of reading: those of the other direction keep their order."""
    groups: list[tuple[bool, list[Word]]] = []
    for word in words:
        kinds = _kinds(word.text)
        other = not kinds.isdisjoint(LEFT_TO_RIGHT if leftwards else RIGHT_TO_LEFT)
        # A number behind a Latin word goes with it: "iPhone 15".
        numbered = leftwards and kinds.isdisjoint(RIGHT_TO_LEFT) and not kinds.isdisjoint(NUMBERS)
        if groups and groups[-1][0] and (other or numbered):
            groups[-1][1].append(word)
        else:
            groups.append((other, [word]))
    if leftwards:
        return [word for _, group in reversed(groups) for word in group]
    return [word for other, group in groups for word in (reversed(group) if other else group)]


def _unpaired(text: str) -> int:
    """Return the number of brackets in `text` without a partner."""
    pairs = dict(zip(")]}>»", "([{<«", strict=True))
    opened: list[str] = []
    alone = 0
    for character in text:
        if character in pairs.values():
            opened.append(character)
        elif character in pairs:
            if opened and opened[-1] == pairs[character]:
                opened.pop()
            else:
                alone += 1
    return alone + len(opened)
