"""CTC decoding.

Signatures are in pipeline/onlooker/vision/ctc.pyi.
"""

from libc.math cimport INFINITY, log

import numpy as np

cdef float UNRANKED = 1e-6
"""Probability of a class that is not among the best of a column."""


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


def aligned(
    const long long[::1] line, const long long[:, ::1] classes, const float[:, ::1] scores
):
    """Return the class of each column, and its probability, on the best way to read the line."""
    cdef Py_ssize_t columns = classes.shape[0], ranks = classes.shape[1], column, rank
    # Even states are blanks, and odd ones the characters.
    cdef Py_ssize_t states = 2 * line.shape[0] + 1, state, step, best
    cdef long long wanted
    cdef float seen
    if scores.shape[0] != columns or scores.shape[1] != ranks:
        raise ValueError("classes and scores must have the same shape")
    ways, found = np.zeros(columns, np.int64), np.zeros(columns, np.float32)
    cdef long long[::1] way = ways
    cdef float[::1] score = found
    # Log probability of each state by the best way to it, and how many states below that was before.
    cdef double[:, ::1] reached = np.full((columns, states), -INFINITY)
    cdef float[:, ::1] shares = np.zeros((columns, states), np.float32)
    cdef signed char[:, ::1] steps = np.zeros((columns, states), np.int8)
    for column in range(columns):
        for state in range(states):
            wanted = line[state // 2] if state % 2 else 0
            seen = UNRANKED
            for rank in range(ranks):
                if classes[column, rank] == wanted:
                    seen = max(seen, scores[column, rank])
            shares[column, state] = seen
            if column == 0:
                if state < 2:
                    reached[column, state] = log(seen)
            else:
                best = 0
                for step in range(1, min(state, 2) + 1):
                    # Only a blank, and not one between two of the same character, is left out.
                    if step == 2 and (state % 2 == 0 or wanted == line[state // 2 - 1]):
                        break
                    if reached[column - 1, state - step] > reached[column - 1, state - best]:
                        best = step
                steps[column, state] = <signed char> best
                reached[column, state] = reached[column - 1, state - best] + log(seen)
    if columns:
        state = states - 1
        if states > 1 and reached[columns - 1, state - 1] > reached[columns - 1, state]:
            state -= 1
        if reached[columns - 1, state] == -INFINITY:
            raise ValueError(f"{line.shape[0]} characters do not fit into {columns} columns")
        for column in range(columns - 1, -1, -1):
            way[column] = line[state // 2] if state % 2 else 0
            score[column] = shares[column, state]
            state -= steps[column, state]
    return ways, found
