"""A language model of letters: where an image leaves a doubt, the letters that make a word.

A recogniser reads GFT where a lamp hides the I of GIFT. People read GIFT, because they know the
word. Here all likely readings are weighed by how letters follow each other in words, which
`models/training/letters.py` counts. Names and rare words that are like others gain as well. Codes
and numbers have their own share: a token whose letters make no word is soon taken for a code, and
then no letter is better than another.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.models import own_weights
from onlooker.models.card import OwnWeights
from onlooker.vision import beam, ctc

CERTAIN_SCORE = 0.995
"""If every column's best class has this probability, nothing is weighed."""


class Prior(NamedTuple):
    """Shares and probabilities. Each token is a word, a code or a number.

    They were chosen on drawn words that the model was not counted from, frequent words, and codes,
    plates, prices and addresses, spoilt until a third was read wrong.
    """

    word: float = 0.6
    code: float = 0.3
    number: float = 0.1
    """Their shares among tokens."""
    code_character: float = 1 / 40
    digit: float = 1 / 12
    """Probability of each character of a code, and of each digit of a number."""
    code_end: float = 1 / 8
    number_end: float = 1 / 4
    """Probability that a code, or a number, ends after a character."""
    mark: float = 0.03
    number_mark: float = 0.2
    """Probability of each mark, and of each one after a digit."""
    weight: float = 0.5
    """The power of the model's probability that is multiplied with the recogniser's."""
    usual: float = 2.5
    """Negative logarithm of a usual character's probability: so much is given back for each one,
    and for a token that ends the line, or long readings would lose against short ones."""
    width: int = 10
    """Readings that are kept from one column to the next."""
    steps: int = 16
    """Costs in `models/letters.npz` are in so many parts of the unit of the natural logarithm."""


class Letters:
    """The model of letters, for the alphabet of a recogniser."""

    def __init__(self, own: OwnWeights, alphabet: Sequence[str]) -> None:
        """Load it. alphabet: characters by class; class 0 is the blank, "".

        Raises WeightsError if the file has another sha256 than the card.
        """
        arrays = own_weights.read(own)
        codes = {letter: code for code, letter in enumerate(str(arrays["alphabet"]), 1)}
        kinds = [_kind(each, codes) for each in alphabet]
        code = [codes.get(_folded(each), 0) for each in alphabet]
        self._beam = beam.Beam(arrays, np.array(kinds, np.uint8), np.array(code, np.uint8), Prior())

    def weighed(
        self, classes: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the class of each column, and its probability, as the likeliest line has them.

        `classes` and `scores` are (columns, ranks), the best classes of each column in falling
        order of their probabilities. Whichever letter is chosen, its probability is the one that
        the recogniser gives it.
        """
        best = np.ascontiguousarray(classes[:, 0]), np.ascontiguousarray(scores[:, 0])
        if not len(best[1]) or best[1].min() >= CERTAIN_SCORE:
            return best
        line = np.array(self._beam(classes, scores), np.int64)
        if not len(line):
            return best
        greedy = best[0][np.diff(best[0], prepend=0) != 0]
        if np.array_equal(line, greedy[greedy != 0]):
            return best
        return ctc.aligned(line, classes, scores)


def _folded(character: str) -> str:
    """Return a letter without case: of those that become two, as ß does, the first."""
    return character.casefold()[:1]


def _kind(character: str, codes: dict[str, int]) -> int:
    if _folded(character) in codes:
        return beam.LETTER
    if character == " ":
        return beam.SPACE
    if character.isdecimal():
        return beam.DIGIT
    return beam.OTHER_LETTER if character.isalpha() else beam.MARK
