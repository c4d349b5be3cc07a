"""Scripts: the names under which `[text] readers` knows recognisers."""

import difflib
import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable

MIN_LETTERS = 20
"""An alphabet with fewer letters of a script does not read it."""
NAMES = {"CJK": "han", "HIRAGANA": "kana", "KATAKANA": "kana"}
"""Scripts whose letters have another word first in their Unicode names."""
OTHER = "other"
LAST_LETTER = 0x323AF
"""Of Unicode 16: behind it are no letters."""
FREQUENT = (
    *("arabic", "armenian", "bengali", "cyrillic", "devanagari", "georgian", "greek", "han"),
    *("hangul", "hebrew", "kana", "khmer", "latin", "tamil", "telugu", "thai", OTHER),
)
"""Names that are known without a search of Unicode, which takes 0.1 s."""


def scripts_of(alphabet: Iterable[str]) -> tuple[str, ...]:
    """Return the scripts that an alphabet can write, that of most letters first."""
    counts = _counts({each[:1] for each in alphabet if each[:1].isalpha()})
    return tuple(name for name, n in counts.most_common() if n >= MIN_LETTERS) or (OTHER,)


def _counts(letters: Iterable[str]) -> Counter[str]:
    first = (unicodedata.name(each, "").split(" ")[0] for each in letters)
    return Counter(NAMES.get(each, each.lower()) for each in first if each)


def check(name: str) -> None:
    """Raise ValueError unless `scripts_of` may return the name."""
    if name not in FREQUENT and name not in _known():
        near = difflib.get_close_matches(name.lower(), FREQUENT, 1)
        hint = f"did you mean {near[0]}?" if near else f"some are {', '.join(FREQUENT)}"
        raise ValueError(f"no script is called {name!r}; {hint}")


@functools.cache
def _known() -> frozenset[str]:
    """Return all names of scripts."""
    letters = filter(str.isalpha, map(chr, range(LAST_LETTER + 1)))
    return frozenset(_counts(letters))
