# cython: auto_pickle=False
"""Prefix beam search of CTC with a model of letters.

Signatures and sources are in pipeline/onlooker/vision/beam.pyi.
"""

from cython cimport final
from libc.math cimport exp, pow
from libc.stdlib cimport free, malloc, realloc

cdef double TINY = 1e-300
cdef double LEAST = 1e-6
"""Probability of a column's best class, at least: some way must lead on."""
cdef enum:
    START = 1
    MAX_WIDTH = 64
    MAX_COST = 1024

LETTER, DIGIT, SPACE, MARK, OTHER_LETTER = range(5)
cdef enum:
    A_LETTER = 0
    A_DIGIT = 1
    A_SPACE = 2
    A_MARK = 3
    FOREIGN = 4


cdef struct Prefix:
    # The characters of a line up to one, as a linked list.
    Py_ssize_t parent
    long long last
    unsigned int state
    unsigned char kind
    double word, code, number  # the probabilities that the token it ends in is one, 1 together
    double factor  # what the model makes of the last character's probability


cdef struct Hypothesis:
    # Probability of a prefix among the paths that end in a blank, and in its last character.
    Py_ssize_t prefix
    double blank, character


@final
cdef class Beam:
    cdef const unsigned int[::1] first, following, shorter
    cdef const unsigned char[::1] letter, cost, backoff, kinds, codes
    cdef double[MAX_COST] probabilities
    cdef double word, code, number, code_character, digit, code_end, number_end, mark, number_mark
    cdef double weight, usual
    cdef int width

    def __init__(self, letters, kinds, codes, prior):
        if not 0 < prior.width <= MAX_WIDTH:
            raise ValueError(f"a beam is 1 to {MAX_WIDTH} wide, not {prior.width}")
        if len(kinds) != len(codes):
            raise ValueError("kinds and codes must have one entry for each class")
        self.first, self.letter, self.cost = letters["first"], letters["letter"], letters["cost"]
        self.following, self.shorter = letters["next"], letters["shorter"]
        self.backoff = letters["backoff"]
        self.kinds, self.codes = kinds, codes
        self.word, self.code, self.number = prior.word, prior.code, prior.number
        self.code_character, self.digit = prior.code_character, prior.digit
        self.code_end, self.number_end = prior.code_end, prior.number_end
        self.mark, self.number_mark = prior.mark, prior.number_mark
        self.width, self.weight = prior.width, prior.weight
        self.usual = exp(prior.weight * prior.usual)
        cdef int each
        for each in range(MAX_COST):
            self.probabilities[each] = exp(-each / <double> prior.steps)

    cdef int look_up(self, unsigned int state, unsigned char code, unsigned int *after) noexcept nogil:
        """Return the cost of a letter in a state, and write the state after it."""
        cdef int total = 0
        cdef unsigned int edge
        while True:
            for edge in range(self.first[state], self.first[state + 1]):
                if self.letter[edge] >= code:
                    if self.letter[edge] == code:
                        after[0] = self.following[edge]
                        return min(total + self.cost[edge], MAX_COST - 1)
                    break
            if state == 0:
                after[0] = 0
                return MAX_COST - 1
            total += self.backoff[state]
            state = self.shorter[state]

    cdef double end(self, const Prefix *prefix) noexcept nogil:
        """Return the probability that the token ends here, to the power of the weight."""
        cdef unsigned int after
        cdef double share
        if prefix.kind != A_LETTER and prefix.kind != A_DIGIT:
            return 1.0
        share = prefix.code * self.code_end + prefix.number * self.number_end
        if prefix.word > 0:
            share += prefix.word * self.probabilities[self.look_up(prefix.state, 0, &after)]
        return pow(share, self.weight)

    cdef void extend(self, const Prefix *before, Prefix *new, long long last) noexcept nogil:
        cdef double word = 0, code = self.code_character, number = 0, share
        new.last = last
        new.kind = self.kinds[last]
        new.state = START
        if new.kind == A_LETTER or new.kind == A_DIGIT:
            if new.kind == A_DIGIT:
                number = self.digit * before.number
            elif before.word > 0:
                word = before.word * self.probabilities[
                    self.look_up(before.state, self.codes[last], &new.state)
                ]
            code *= before.code
            share = max(word + code + number, TINY)
            new.word, new.code, new.number = word / share, code / share, number / share
            new.factor = pow(share, self.weight) * self.usual
            return
        new.word, new.code, new.number = self.word, self.code, self.number
        if new.kind == A_SPACE:
            new.factor = self.usual * self.end(before)
        elif new.kind == A_MARK:
            share = self.number_mark if before.kind == A_DIGIT else self.mark
            new.factor = pow(share, self.weight) * self.usual * self.end(before)
        else:
            new.factor = self.end(before)
            if before.kind != FOREIGN:
                new.factor *= pow(self.code * self.code_character, self.weight) * self.usual

    def __call__(self, const long long[:, ::1] classes, const float[:, ::1] scores):
        """Return the classes of the most likely line."""
        cdef Py_ssize_t columns = classes.shape[0], ranks = classes.shape[1], column, rank
        if scores.shape[0] != columns or scores.shape[1] != ranks:
            raise ValueError("classes and scores must have the same shape")
        for column in range(columns):
            for rank in range(ranks):
                if not 0 <= classes[column, rank] < self.kinds.shape[0]:
                    raise ValueError(
                        f"class {classes[column, rank]} is not of the {self.kinds.shape[0]} classes"
                    )
        cdef Py_ssize_t room = 1024, count = 1, n, i, best, kept = 1, found
        cdef Prefix *prefixes = <Prefix *> malloc(room * sizeof(Prefix))
        cdef Hypothesis *now = <Hypothesis *> malloc(MAX_WIDTH * sizeof(Hypothesis))
        cdef Hypothesis *then = <Hypothesis *> malloc(
            MAX_WIDTH * (ranks + 2) * sizeof(Hypothesis)
        )
        cdef Hypothesis swapped
        cdef Prefix *before
        cdef long long last
        cdef double share, base, total, top
        if not (prefixes and now and then):
            free(prefixes)
            free(now)
            free(then)
            raise MemoryError
        try:
            prefixes[0] = Prefix(-1, -1, START, A_SPACE, self.word, self.code, self.number, 1.0)
            now[0] = Hypothesis(0, 1.0, 0.0)
            for column in range(columns):
                if count + kept * ranks > room:
                    room = 2 * room + kept * ranks
                    before = <Prefix *> realloc(prefixes, room * sizeof(Prefix))
                    if not before:
                        raise MemoryError
                    prefixes = before
                found = 0
                for n in range(kept):
                    before = &prefixes[now[n].prefix]
                    for rank in range(ranks):
                        share, last = scores[column, rank], classes[column, rank]
                        if rank == 0:
                            share = max(share, LEAST)
                        elif share == 0:
                            break
                        base = now[n].blank + now[n].character
                        if last == 0:
                            i = place(then, &found, now[n].prefix)
                            then[i].blank += base * share
                            continue
                        if last == before.last:
                            i = place(then, &found, now[n].prefix)
                            then[i].character += now[n].character * share
                            base = now[n].blank
                        if base == 0:
                            continue
                        best = -1
                        for i in range(kept):
                            if is_child(&prefixes[now[i].prefix], now[n].prefix, last):
                                best = now[i].prefix
                        for i in range(found):
                            if is_child(&prefixes[then[i].prefix], now[n].prefix, last):
                                best = then[i].prefix
                        if best < 0:
                            best = count
                            prefixes[best].parent = now[n].prefix
                            self.extend(before, &prefixes[best], last)
                            count += 1
                        i = place(then, &found, best)
                        then[i].character += base * share * prefixes[best].factor
                kept = min(found, self.width)
                top = 0
                for n in range(kept):
                    best = n
                    for i in range(n + 1, found):
                        if (then[i].blank + then[i].character
                                > then[best].blank + then[best].character):
                            best = i
                    swapped = then[n]
                    then[n] = then[best]
                    then[best] = swapped
                top = then[0].blank + then[0].character
                for n in range(kept):
                    now[n] = Hypothesis(
                        then[n].prefix, then[n].blank / top, then[n].character / top
                    )
            best, top = 0, -1
            for n in range(kept):
                total = now[n].blank + now[n].character
                before = &prefixes[now[n].prefix]
                total *= self.end(before)
                if before.kind == A_LETTER or before.kind == A_DIGIT:
                    total *= self.usual
                if total > top:
                    best, top = now[n].prefix, total
            line = []
            while best:
                line.append(prefixes[best].last)
                best = prefixes[best].parent
            line.reverse()
            return line
        finally:
            free(prefixes)
            free(now)
            free(then)


cdef bint is_child(const Prefix *prefix, Py_ssize_t parent, long long last) noexcept nogil:
    return prefix.parent == parent and prefix.last == last


cdef Py_ssize_t place(Hypothesis *some, Py_ssize_t *count, Py_ssize_t prefix) noexcept nogil:
    """Return the number of the prefix's hypothesis, which is made if there is none."""
    cdef Py_ssize_t n
    for n in range(count[0]):
        if some[n].prefix == prefix:
            return n
    some[count[0]] = Hypothesis(prefix, 0.0, 0.0)
    count[0] += 1
    return count[0] - 1
