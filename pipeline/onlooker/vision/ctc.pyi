"""CTC decoding; the body is ext/vision/ctc.pyx."""

import numpy as np
from numpy.typing import NDArray

def collapse(
    classes: NDArray[np.int64], scores: NDArray[np.float32], spaces: NDArray[np.float32]
) -> list[tuple[int, float, int, int, float]]:
    """Return the characters: class, score, first column, last column, space before it.

    `classes` (columns,) is the best class of each column, `scores` (columns,) its probability and
    `spaces` (columns,) that of a space. Greedy CTC decoding (Graves et al., "Connectionist Temporal
    Classification", 2006): a run of equal classes is one character; class 0 is the blank. A
    character's score is the best of its run; the space before it is the sum over the blank columns
    since the character before. Raises ValueError if the three are not equally long.
    """
