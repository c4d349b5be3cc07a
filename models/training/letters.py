"""Training of `models/letters.npz`: which letters follow which in the words of twenty languages.

    pip install wordfreq==3.1.1
    python models/training/letters.py

A model of the letters inside words, up to six in a row, counted in the words that are most frequent
in each language, without case. The square roots of their frequencies count, since signs are made of
rarer words than sentences are. Sequences are smoothed by those that are one letter shorter (Witten
and Bell, "The zero-frequency problem", 1991), and one that these foretell as well is left out, so
that the rest backs off to them (Katz, "Estimation of probabilities from sparse data", 1987).

The frequencies are those of wordfreq, whose data are under CC BY-SA 4.0; so is this file.
"""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from wordfreq import top_n_list, word_frequency

OUT = Path(__file__).parent.parent / "letters.npz"

LANGUAGES = {
    "en": 1.0, "de": 0.4, "fr": 0.4, "es": 0.4, "it": 0.4, "pt": 0.4, "nl": 0.2, "pl": 0.2,
    "sv": 0.15, "nb": 0.15, "da": 0.15, "cs": 0.15, "fi": 0.1, "ca": 0.1, "ro": 0.1, "hu": 0.1,
    "tr": 0.1, "id": 0.1, "sh": 0.1, "lt": 0.1,
}  # fmt: skip
"""Weights of the languages of wordfreq that are written in Latin letters."""
WORDS = 30_000
"""Words of each language, the most frequent ones."""
ORDER = 6
"""Maximum number of letters before another that count."""
START, END = "^", "$"
LAST_LATIN = "\u024f"
MIN_GAIN = 25.0
"""A sequence stays if it changes the logarithm of its probability, times its count in medians of a
word's, by so much."""
UNSEEN = 0.5
"""Count, in the same unit, of a letter that was never seen."""
STEPS = 16
"""Costs are negative natural logarithms, in sixteenths, in a byte."""

Counts = Mapping[str, Mapping[str, float]]
"""By the letters before: how often each letter comes next."""


def words() -> Iterator[tuple[str, float]]:
    """Yield words of letters only, in lower case, and their weights."""
    for language, weight in LANGUAGES.items():
        for entry in top_n_list(language, WORDS):
            share = weight * math.sqrt(word_frequency(entry, language))
            for word in re.findall(r"[^\W\d_]+", entry.casefold()):
                if max(word) <= LAST_LATIN:
                    yield word, share


def counted() -> Counts:
    weights: dict[str, float] = defaultdict(float)
    for word, weight in words():
        weights[word] += weight
    usual = float(np.median(list(weights.values())))
    counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for word, weight in weights.items():
        text = START + word + END
        for place in range(1, len(text)):
            for before in range(min(ORDER, place) + 1):
                counts[text[place - before : place]][text[place]] += weight / usual
    return counts


class Backoff:
    """The probabilities that are kept, by the letters before, and the share left for others."""

    def __init__(self, counts: Counts) -> None:
        letters = counts[""]
        total = sum(letters.values()) + UNSEEN * len(letters)
        self.kept = {"": {each: (n + UNSEEN) / total for each, n in letters.items()}}
        self.left = {"": 1.0}
        for before in sorted(counts, key=lambda each: (len(each), each))[1:]:
            self._add(before, counts[before])
        self._add_ways()

    def probability(self, before: str, letter: str) -> float:
        share = 1.0
        while letter not in self.kept.get(before, {}):
            share *= self.left.get(before, 1.0)
            before = before[1:]
        return share * self.kept[before][letter]

    def _add(self, before: str, following: Mapping[str, float]) -> None:
        total, kinds = sum(following.values()), len(following)
        kept = {}
        for letter, count in following.items():
            shorter = self.probability(before[1:], letter)
            smooth = (count + kinds * shorter) / (total + kinds)
            if count * abs(math.log(smooth / shorter)) >= MIN_GAIN:
                kept[letter] = smooth
        if kept:
            self.kept[before] = kept
            others = 1 - sum(self.probability(before[1:], each) for each in kept)
            left = (1 - sum(kept.values())) / max(others, 1e-4)
            self.left[before] = min(1.0, max(left, 1e-6))

    def _add_ways(self) -> None:
        """Keep each sequence that leads to the beginning of one that is kept."""
        for before in sorted(self.kept, key=len, reverse=True):
            if len(before) > 1 and before[-1] not in self.kept.get(before[:-1], {}):
                probability = self.probability(before[:-1], before[-1])
                self.kept.setdefault(before[:-1], {})[before[-1]] = probability
                self.left.setdefault(before[:-1], 1.0)


def arrays(model: Backoff) -> dict[str, np.ndarray]:
    """Return the model as an automaton: states are the letters before, 0 none, 1 a word's start.

    Edges of state s are those from `first`[s] to `first`[s + 1]: the code of the `letter`, its
    `cost`, and the state it leads to, `next`. Without an edge, it costs `backoff`[s], and the edges
    of the state `shorter`[s] are those to look at. Codes are 0 for a word's end, and from 1 on the
    places in `alphabet`.
    """
    alphabet = sorted(set(model.kept[""]) - {END})
    code = {END: 0} | {letter: place for place, letter in enumerate(alphabet, 1)}
    states = ["", START, *sorted(set(model.kept) - {"", START})]
    number = {before: place for place, before in enumerate(states)}

    def longest(before: str) -> int:
        while before not in number:
            before = before[1:]
        return number[before]

    edges = [
        (code[letter], cost(probability), 0 if letter == END else longest(before + letter))
        for before in states
        for letter, probability in sorted(model.kept[before].items(), key=lambda one: code[one[0]])
    ]
    counts = [len(model.kept[before]) for before in states]
    return {
        "alphabet": np.array("".join(alphabet)),
        "first": np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32),
        "letter": np.array([each for each, _, _ in edges], np.uint8),
        "cost": np.array([each for _, each, _ in edges], np.uint8),
        "next": np.array([each for _, _, each in edges], np.uint32),
        "shorter": np.array([longest(each[1:]) for each in states], np.uint32),
        "backoff": np.array([cost(model.left[each]) for each in states], np.uint8),
    }


def cost(probability: float) -> int:
    return min(255, round(-STEPS * math.log(probability)))


def main() -> None:
    made = arrays(Backoff(counted()))
    np.savez_compressed(OUT, allow_pickle=False, **made)
    print(f"{len(made['letter'])} sequences, {len(made['shorter'])} states")
    print(f"{OUT.stat().st_size} bytes, sha256 {hashlib.sha256(OUT.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
