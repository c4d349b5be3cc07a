"""Scripts: the names under which `[text] readers` knows recognisers."""

import unicodedata
from collections import Counter
from collections.abc import Iterable

MIN_LETTERS = 20
"""An alphabet with fewer letters of a script does not read it."""
NAMES = {"CJK": "han", "HIRAGANA": "kana", "KATAKANA": "kana"}
"""Scripts whose letters have another word first in their Unicode names."""
OTHER = "other"


def scripts_of(alphabet: Iterable[str]) -> tuple[str, ...]:
    """Return the scripts that an alphabet can write, that of most letters first."""
    letters = {each[:1] for each in alphabet if each[:1].isalpha()}
    first = (unicodedata.name(each, "").split(" ")[0] for each in letters)
    counts = Counter(NAMES.get(each, each.lower()) for each in first if each)
    return tuple(name for name, n in counts.most_common() if n >= MIN_LETTERS) or (OTHER,)
