"""Prices: the tiers of a group, by hand."""

import pytest

from onlooker.api.rekognition.operations import OPERATIONS
from onlooker.console.list_prices import GROUP_1, GROUP_2, GROUPS, image_prices, tiered


@pytest.mark.parametrize(
    ("number", "first", "second"),
    [
        (0, 0, 0),
        (1, 0.001, 0.001),
        (1_000_000, 1000, 1000),
        (1_500_000, 1400, 1400),
        (5_000_000, 4200, 4200),
        (40_000_000, 24_200, 23_450),
    ],
)
def test_tiers(number: int, first: float, second: float) -> None:
    assert tiered(number, GROUP_1) == pytest.approx(first)
    assert tiered(number, GROUP_2) == pytest.approx(second)


def test_a_group_shares_its_tiers() -> None:
    calls = {"DetectFaces": 900_000, "DetectText": 600_000, "ListFaces": 10, "IndexFaces": 1000}
    prices = image_prices(calls)
    assert prices["DetectFaces"] + prices["DetectText"] == pytest.approx(1400)
    assert prices["DetectFaces"] == pytest.approx(1.5 * prices["DetectText"])
    assert prices["ListFaces"] == 0
    assert prices["IndexFaces"] == pytest.approx(1)


def test_only_operations_of_the_api_have_prices() -> None:
    assert set(OPERATIONS) >= GROUPS.keys()
