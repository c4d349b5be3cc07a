"""Attributes of a track: the mean over its frames, each by how much the face shows."""

from typing import Any

import msgspec
from msgspec.structs import asdict

from onlooker.types import Attributes

PROBABILITIES = (
    "male",
    "smile",
    "eyeglasses",
    "sunglasses",
    "beard",
    "mustache",
    "eyes_open",
    "mouth_open",
    "occluded",
)
"""Fields of Attributes that are one probability each."""


class Averages(msgspec.Struct):
    """Sums over the frames of a track, each with the sum of its weights."""

    sums: dict[str, tuple[float, float]] = {}
    """By field; the bounds of the age are "age.0" and "age.1", emotions "emotions.TYPE"."""

    def add(self, attributes: Attributes, weight: float) -> None:
        """Add what one frame says; `weight` is greater than 0."""
        fields = asdict(attributes)
        values: dict[str, float] = {
            name: fields[name] for name in PROBABILITIES if fields[name] is not None
        }
        if attributes.age is not None:
            values |= {f"age.{number}": float(each) for number, each in enumerate(attributes.age)}
        for kind, probability in attributes.emotions or ():
            values[f"emotions.{kind}"] = probability
        for name, value in values.items():
            total, weights = self.sums.get(name, (0.0, 0.0))
            self.sums[name] = total + weight * value, weights + weight

    def add_all(self, other: "Averages") -> None:
        """Add the frames of another track."""
        for name, (value, weight) in other.sums.items():
            total, weights = self.sums.get(name, (0.0, 0.0))
            self.sums[name] = total + value, weights + weight

    def mean(self, best: Attributes | None) -> Attributes | None:
        """Return the weighted means; None if nothing was added.

        best: those of the best image, whose gaze direction is returned: that has no mean.
        """
        if not self.sums:
            return None
        means = {name: total / weights for name, (total, weights) in self.sums.items()}
        ages = [round(means[f"age.{number}"]) for number in (0, 1) if f"age.{number}" in means]
        emotions = tuple(
            (name.removeprefix("emotions."), value)
            for name, value in means.items()
            if name.startswith("emotions.")
        )
        probabilities: dict[str, Any] = {n: means[n] for n in PROBABILITIES if n in means}
        return Attributes(
            **probabilities,
            age=(ages[0], ages[1]) if ages else None,
            emotions=emotions or None,
            eye_direction=None if best is None else best.eye_direction,
        )
