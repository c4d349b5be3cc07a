"""CTC decoding.

Signatures are in pipeline/onlooker/vision/ctc.pyi.
"""


def collapse(const long long[::1] classes, const float[::1] scores):
    """Return the characters of a line: class, score, first column and last column of each."""
    cdef Py_ssize_t columns = classes.shape[0], column, first = 0
    if scores.shape[0] != columns:
        raise ValueError("classes and scores must have the same length")
    cdef float best = 0
    characters = []
    for column in range(columns):
        if column == first or scores[column] > best:
            best = scores[column]
        if column + 1 < columns and classes[column + 1] == classes[column]:
            continue
        # Class 0 is the blank: it separates equal neighbours and is no character.
        if classes[column] != 0:
            characters.append((classes[column], best, first, column))
        first = column + 1
    return characters
