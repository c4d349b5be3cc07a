"""CTC decoding; the body is ext/vision/ctc.pyx."""

import numpy as np
from numpy.typing import NDArray

def collapse(
    classes: NDArray[np.int64], scores: NDArray[np.float32]
) -> list[tuple[int, float, int, int]]:
    """Return the characters of a line: class, score, first column and last column of each.

    `classes` (columns,) is the best class of each column and `scores` (columns,) its probability.
    Greedy CTC decoding (Graves et al., "Connectionist Temporal Classification", 2006): a run of
    equal classes is one character; class 0 is the blank. A character's score is the
    best of its run. Raises ValueError if the two are not equally long.
    """
