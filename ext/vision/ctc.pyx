"""CTC decoding.

Signatures are in pipeline/onlooker/vision/ctc.pyi.
"""


def collapse(const long long[::1] classes, const float[::1] scores, const float[::1] spaces):
    """Return the characters of a line: class, score, first and last column, space before it."""
    cdef Py_ssize_t columns = classes.shape[0], column, first = 0
    if scores.shape[0] != columns or spaces.shape[0] != columns:
        raise ValueError("classes, scores and spaces must have the same length")
    cdef float best = 0, space = 0
    characters = []
    for column in range(columns):
        if column == first or scores[column] > best:
            best = scores[column]
        # Class 0 is the blank: it separates equal neighbours and is no character.
        if classes[column] == 0:
            space += spaces[column]
        if column + 1 < columns and classes[column + 1] == classes[column]:
            continue
        if classes[column] != 0:
            characters.append((classes[column], best, first, column, space))
            space = 0
        first = column + 1
    return characters
