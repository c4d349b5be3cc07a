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

def aligned(
    line: NDArray[np.int64], classes: NDArray[np.int64], scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return for each column its class on the most likely way to read `line`, and its probability.

    `line` (characters,) are classes other than the blank; `classes` and `scores` are (columns,
    ranks), the best classes of each column and their probabilities. A class that is not among them
    has one in a million. `collapse` makes the characters of the line from the result. This is the
    alignment of Viterbi ("Error bounds for convolutional codes", 1967). Raises ValueError if the
    two differ in shape, or if the line has more characters, and blanks that must be between two of
    the same, than there are columns.
    """
