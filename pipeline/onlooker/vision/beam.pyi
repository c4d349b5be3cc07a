"""CTC decoding with a model of letters; the body is ext/vision/beam.pyx."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from onlooker.vision.letters import Prior

LETTER: int
DIGIT: int
SPACE: int
MARK: int
OTHER_LETTER: int
"""Kinds of classes. Letters of other scripts, which the model does not know, are `OTHER_LETTER`."""

@final
class Beam:
    """The search for the most likely line.

    Prefix beam search (Hannun and others, "First-pass large vocabulary continuous speech
    recognition using bi-directional recurrent DNNs", 2014) with a model of letters that is an
    automaton with back-off (Katz, "Estimation of probabilities from sparse data", 1987).
    """

    def __init__(
        self,
        letters: Mapping[str, NDArray[Any]],
        kinds: NDArray[np.uint8],
        codes: NDArray[np.uint8],
        prior: Prior,
    ) -> None:
        """Take the arrays of `models/letters.npz`, and the kind and the code of each class.

        kinds: (classes,), by class, as above. codes: (classes,), the code in `letters` of each
        class that is a letter. Raises ValueError if the two are not equally long, or if the beam is
        not 1 to 64 wide.
        """

    def __call__(self, classes: NDArray[np.int64], scores: NDArray[np.float32]) -> list[int]:
        """Return the classes of the most likely line, without blanks.

        `classes` and `scores` are (columns, ranks): the best classes of each column, in falling
        order of their probabilities. Class 0 is the blank. Classes from the second on with a
        probability of 0 are no classes. Raises ValueError if the two differ in shape, or if a class
        has no kind.
        """
