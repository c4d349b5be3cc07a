"""Letters of one form in two scripts: "КАССА" is Cyrillic in a Russian shop and Latin in no word.

A recogniser of Latin reads it without doubt, as KACCA. The rest of the image tells: a word whose
letters all exist in both scripts goes by the words that can be of one only.
"""

import unicodedata
from collections.abc import Sequence

from msgspec.structs import replace

from onlooker.types import TextLine

LATIN, CYRILLIC = "ABCEHIKMOPTXYaceiopxy", "АВСЕНІКМОРТХУасеіорху"
TO_CYRILLIC, TO_LATIN = str.maketrans(LATIN, CYRILLIC), str.maketrans(CYRILLIC, LATIN)


def in_one_script(lines: Sequence[TextLine]) -> list[TextLine]:
    """Return the lines of an image with every shared letter in the script of its word.

    A word of shared letters only is of the script of most other words; if as many are of each, it
    stays as it was read.
    """
    scripts = [_scripts(word.text) for line in lines for word in line.words]
    if not any("CYRILLIC" in each for each in scripts):
        return list(lines)
    excess = sum(each == {"CYRILLIC"} for each in scripts) - sum(
        each == {"LATIN"} for each in scripts
    )
    usual = {"CYRILLIC"} if excess > 0 else {"LATIN"} if excess < 0 else set()
    return [_in_script(line, usual) for line in lines]


def _in_script(line: TextLine, usual: set[str]) -> TextLine:
    words = tuple(
        replace(word, text=word.text.translate(_table(_scripts(word.text) or usual)))
        for word in line.words
    )
    return replace(line, words=words, text=" ".join(word.text for word in words))


def _table(scripts: set[str]) -> dict[int, int]:
    """Return the shared letters of the script, if it is one, by those of the other."""
    if len(scripts) != 1:
        return {}
    return TO_CYRILLIC if "CYRILLIC" in scripts else TO_LATIN


def _scripts(text: str) -> set[str]:
    """Return the scripts, of these two, of the letters that exist in only one of them."""
    own = (each for each in text if each.isalpha() and each not in LATIN + CYRILLIC)
    names = {unicodedata.name(each, "").split(" ")[0] for each in own}
    return names & {"LATIN", "CYRILLIC"}
