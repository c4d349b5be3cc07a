"""Scores of tracks against exact truth: IDF1, switches of identity, and visits."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from bench.support.scenes import Truth

from onlooker.track.assignment import assign
from onlooker.track.box_motion import overlap
from onlooker.types import Box

MIN_OVERLAP = 0.4
"""Intersection over union from which a box is a face of the truth."""

Tracked = tuple[str, Box]
"""Id and box."""


class Score(NamedTuple):
    """Sums over frames; add them to score several videos together."""

    found: int
    """Boxes that are a face of the person whom their track is counted as."""
    boxes: int
    truths: int
    switches: int
    """How often a person's track changes from one frame to the next in which it has one."""

    def __add__(self, other: "Score") -> "Score":  # type: ignore[override]
        return Score(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def idf1(self) -> float:
        """IDF1 (Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera
        Tracking", 2016)."""
        return 2 * self.found / max(1, self.boxes + self.truths)


def matched(truth: Sequence[Truth], boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """Return the pairs of a face of the truth and a box, by their places."""
    costs = np.array([[-overlap(one.box, box) for box in boxes] for one in truth], np.float64)
    return assign(costs.reshape(len(truth), len(boxes)), -MIN_OVERLAP)


def score(frames: Sequence[tuple[Sequence[Truth], Sequence[Tracked]]]) -> Score:
    """Return the score of one video."""
    together: Counter[tuple[str, str]] = Counter()
    last: dict[str, str] = {}
    switches = boxes = truths = 0
    for truth, tracked in frames:
        boxes, truths = boxes + len(tracked), truths + len(truth)
        for row, column in matched(truth, [box for _, box in tracked]):
            person, track = truth[row].person, tracked[column][0]
            together[person, track] += 1
            switches += last.get(person, track) != track
            last[person] = track
    people = sorted({person for person, _ in together})
    tracks = sorted({track for _, track in together})
    counts = np.array(
        [[-float(together[person, track]) for track in tracks] for person in people], np.float64
    ).reshape(len(people), len(tracks))
    found = sum(int(-counts[pair]) for pair in assign(counts, 0.0))
    return Score(found, boxes, truths, switches)
