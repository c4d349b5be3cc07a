"""Alignment of strings; the body is ext/track/alignment.pyx."""

def align(one: str, other: str) -> list[tuple[int, int]]:
    """Return the pairs of places of the alignment with the fewest edits, from left to right.

    A pair is (place in `one`, place in `other`); -1 stands for a gap. Each place is in one pair.
    The edits are insertions, deletions and substitutions (Levenshtein, 1966); among alignments with
    equally many, substitutions at the end of the strings are preferred. O(len(one) len(other)).
    """
