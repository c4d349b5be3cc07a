"""Probabilities of values, and values of probabilities."""

import pytest

from onlooker.models.logistic import Logistic


def test_a_curve_goes_both_ways() -> None:
    curve = Logistic(slope=14.7, midpoint=0.516)
    assert curve.odds(0.516) == 0
    assert curve.probability(0.516) == 0.5
    assert curve.probability(1e9) == 1
    for p in (0.01, 0.5, 0.94):
        assert curve.probability(curve.value(p)) == pytest.approx(p)
