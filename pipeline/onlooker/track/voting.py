"""Voting: one reading out of many, character by character.

Readings of one line are aligned with the ones before, and each place goes to the character with
the most weight, as in ROVER (Fiscus, "A post-processing system to yield reduced word error rates",
1997). So a line of which every frame misread another letter can still be read.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from onlooker.track.alignment import align

END_GAP = 0.45
"""Share of its weight with which a reading votes against characters beyond its ends: they were
often outside the image, or behind something."""
MAX_READINGS = 8
"""Whole readings that are kept, those of the most weight."""
MAX_COLUMNS = 400
LOOKALIKES = (("0", "O"), ("1", "I"), ("2", "Z"), ("5", "S"), ("6", "G"), ("8", "B"))
"""Digits and the letters that they are taken for."""


class Ballot(msgspec.Struct):
    """The votes for each character of a line.

    columns: of each place the weights by character; "" is a vote for no character there. readings:
    weights of whole readings.
    """

    columns: list[dict[str, float]] = []
    readings: dict[str, float] = {}

    def vote(self, text: str, weights: Sequence[float]) -> None:
        """Add a reading; `weights` are those of its characters, greater than 0."""
        if not text or len(self.columns) + len(text) > MAX_COLUMNS:
            return
        total = sum(weights) / len(weights)
        self.readings[text] = self.readings.get(text, 0.0) + total
        if len(self.readings) > 2 * MAX_READINGS:
            kept = sorted(self.readings.items(), key=lambda item: -item[1])[:MAX_READINGS]
            self.readings = dict(kept)
        before = sum(self.columns[0].values()) if self.columns else 0.0
        favourites = "".join(_favourite(column) or "\0" for column in self.columns)
        pairs = align(favourites, text)
        ours = _span([here for here, _ in pairs])
        theirs = _span([there for _, there in pairs])
        columns = []
        for number, (here, there) in enumerate(pairs):
            column = dict(self.columns[here]) if here >= 0 else {}
            if here < 0 and before:
                column[""] = before if number in ours else END_GAP * before
            if there >= 0:
                column[text[there]] = column.get(text[there], 0.0) + weights[there]
            else:
                share = 1.0 if number in theirs else END_GAP
                column[""] = column.get("", 0.0) + share * total
            columns.append(column)
        self.columns = columns

    @property
    def text(self) -> str:
        """The reading with the most weight at each place; spaces at the ends are left out."""
        return "".join(_favourite(column) for column in self.columns).strip()

    @property
    def agreement(self) -> float:
        """Mean share, 0 to 1, of the votes that each character of the reading has."""
        shares = [
            column[favourite] / sum(column.values())
            for column in self.columns
            if (favourite := _favourite(column))
        ]
        return sum(shares) / len(shares) if shares else 0.0

    @property
    def runner_up(self) -> str | None:
        """The whole reading of most weight that is not the voted one; None if there is none."""
        others = [(-weight, text) for text, weight in self.readings.items() if text != self.text]
        return min(others)[1] if others else None

    def matching(self, pattern: re.Pattern[str]) -> str | None:
        """Return the best reading that the pattern matches as a whole; None if none does.

        The voted one is tried first, then whole readings by weight, then both with digits and the
        letters that look like them exchanged.
        """
        ranked = sorted(self.readings.items(), key=lambda item: (-item[1], item[0]))
        candidates = [self.text, *(text for text, _ in ranked)]
        for text in candidates:
            if pattern.fullmatch(text):
                return text
        for text in candidates:
            for changed in _lookalikes(text):
                if pattern.fullmatch(changed):
                    return changed
        return None


def similarity(one: str, other: str) -> float:
    """Return the share, 0 to 1, of the characters of the longer string that both have alike."""
    longer = max(len(one), len(other))
    return matches(one, other) / longer if longer else 1.0


def matches(one: str, other: str) -> int:
    """Return the number of characters that the aligned strings have in common."""
    return sum(
        here >= 0 and there >= 0 and one[here] == other[there] for here, there in align(one, other)
    )


def _span(places: Sequence[int]) -> range:
    """Return the numbers from the first place that is no gap to the last."""
    filled = [number for number, place in enumerate(places) if place >= 0]
    return range(filled[0], filled[-1] + 1) if filled else range(0)


def _favourite(column: dict[str, float]) -> str:
    return min(column, key=lambda character: (-column[character], character))


def _lookalikes(text: str, most: int = 4) -> Iterator[str]:
    """Yield the strings with up to `most` characters exchanged for their look-alikes."""
    exchanged = dict(LOOKALIKES) | {letter: digit for digit, letter in LOOKALIKES}
    places = [number for number, character in enumerate(text) if character in exchanged][:8]
    for chosen in sorted(range(1, 1 << len(places)), key=lambda bits: (bits.bit_count(), bits)):
        if chosen.bit_count() > most:
            return
        changed = list(text)
        for bit, place in enumerate(places):
            if chosen >> bit & 1:
                changed[place] = exchanged[changed[place]]
        yield "".join(changed)
