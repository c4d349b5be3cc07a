"""Probabilities of measured values."""

import math
from typing import Any

import msgspec
import numpy as np


class Logistic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The curve from a value to the probability 1 / (1 + exp(-slope * (value - midpoint)))."""

    slope: float
    midpoint: float

    def odds(self, value: Any) -> Any:
        """Return the log-odds, 0 at the midpoint, of a number or an array."""
        return self.slope * (value - self.midpoint)

    def probability(self, value: Any) -> Any:
        """Return the probability of a number, or of each of an array."""
        # In the form that does not overflow.
        return 0.5 + 0.5 * np.tanh(self.odds(value) / 2)

    def value(self, probability: float) -> float:
        """Return the value with this probability, which is above 0 and below 1."""
        return self.midpoint + math.log(probability / (1 - probability)) / self.slope
