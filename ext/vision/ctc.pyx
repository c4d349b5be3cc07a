"""From the classes of a recogniser's columns to characters.

Signatures are in pipeline/onlooker/vision/ctc.pyi.
"""


def collapse(const long long[::1] classes, const float[::1] scores):
    """The characters of a line: class, score, first column and last column of each."""
    cdef Py_ssize_t columns = classes.shape[0], column, first = 0
    if scores.shape[0] != columns:
        raise ValueError("classes and scores must be as long as each other")
    cdef float best = 0
    characters = []
    for column in range(columns):
        if column == first or scores[column] > best:
            best = scores[column]
        if column + 1 < columns and classes[column + 1] == classes[column]:
            continue
        # Class 0 is the blank: it parts equal neighbours and is itself nothing.
        if classes[column] != 0:
            characters.append((classes[column], best, first, column))
        first = column + 1
    return characters
